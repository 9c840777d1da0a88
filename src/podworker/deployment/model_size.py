"""The model that an endpoint will serve, as far as it can be known before a worker has it."""

from podworker.configuration import Settings
from podworker.deployment.environment import is_reference
from podworker.errors import InvalidSettings, StartupError
from podworker.models.described import described
from podworker.models.metadata import ModelInfo
from podworker.models.reference import AUTO, parse_reference

_KEYS = ("hf_token", "aws_access_key_id", "aws_secret_access_key", "aws_session_token")


def model_to_serve(settings: Settings) -> tuple[ModelInfo | None, str | None]:
    """What the model's header says, read where it is; it is not downloaded.

    Args:
        settings: MODEL, and the keys to reach it.

    Returns:
        The description, and a note. Without the first, the second says why; neither where MODEL is not set.

    Raises:
        StartupError: There is no such model, or its header cannot be read, and the settings do not say what to run on.
        InvalidSettings: MODEL is not set, for an image that needs it.
    """
    if settings.model is None:
        if settings.deploy_image is None and settings.deploy_variant != "handler":
            raise InvalidSettings(
                "Which model? Set MODEL, such as Qwen/Qwen3-8B-GGUF:Q4_K_M; or DEPLOY_IMAGE for a worker of your own.",
                param="MODEL",
            )
        return None, None
    chosen = bool(settings.deploy_gpus or settings.deploy_cpu)
    if parse_reference(settings.model).quantization == AUTO:
        return None, f"{settings.model} is as large as the GPUs allow: its size is not known before."
    # What stands for a secret of RunPod's opens nothing here.
    unset = {key: None for key in _KEYS if is_reference(getattr(settings, key))}
    try:
        found = described(settings.model_copy(update=unset))
    except StartupError as error:
        if not chosen:
            raise
        return None, f"The model's size is not known here: {error.message}"
    try:
        return found.description, None
    finally:
        found.release()
