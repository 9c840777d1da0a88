"""The models that an endpoint will serve, as far as they can be known before a worker has them."""

from collections.abc import Callable, Sequence

from podworker.configuration import Settings
from podworker.configuration.sources import Source
from podworker.deployment.environment import is_reference
from podworker.errors import DownloadFailed, InvalidSettings, StartupError
from podworker.models.described import described, described_beside
from podworker.models.model_set import ModelSet, wanted_beside
from podworker.models.reference import AUTO, parse_reference

_KEYS = ("hf_token", "aws_access_key_id", "aws_secret_access_key", "aws_session_token")
_PATIENCE = {
    "download_patience_seconds": 10.0,
    "download_idle_timeout_seconds": 5.0,
    "download_connect_timeout_seconds": 5.0,
}
"""Seconds, where the user has set none: somebody waits at a terminal, not a worker that must start."""
_WITHOUT = (
    "Or deploy without a look at the model: name the GPUs, with --set deploy_gpus=AMPERE_24 (`podworker deploy "
    "--presets` shows what well-known models need), and GB of disk, with --set deploy_disk_gb=30. HF_ENDPOINT names "
    "another hub; a model that is in MODEL_STORE or in a Hugging Face cache of this machine is read there."
)


def models_to_serve(settings: Settings, tell: Callable[[str], None]) -> tuple[ModelSet | None, tuple[str, ...]]:
    """What the headers of the model and of the files beside it say, read where they are; nothing is downloaded.

    Args:
        settings: MODEL, MMPROJ, LORA and DRAFT_MODEL, and the keys to reach them.
        tell: Called with a sentence before the network is used.

    Returns:
        The descriptions, and notes. Without the first, a note says why; neither where MODEL is not set.

    Raises:
        StartupError: There is no such file, or a header cannot be read, and the settings do not say what to run on.
        InvalidSettings: MODEL is not set, for an image that needs it.
    """
    if settings.model is None:
        if settings.deploy_image is None and settings.deploy_variant != "handler":
            raise InvalidSettings(
                "Which model? Set MODEL, such as Qwen/Qwen3-8B-GGUF:Q4_K_M; or DEPLOY_IMAGE for a worker of your own.",
                param="MODEL",
            )
        return None, ()
    if parse_reference(settings.model).quantization == AUTO:
        return None, (f"{settings.model} is as large as the GPUs allow: its size is not known before.",)
    elsewhere = sorted(_paths_elsewhere(settings))
    notes = tuple(f"{name} is a path that is not here: its memory is not counted." for name in elsewhere)
    try:
        return _described(settings_to_ask_with(settings, without=elsewhere), tell), notes
    except StartupError as error:
        if settings.deploy_gpus or settings.deploy_cpu:
            return None, (f"The model's size is not known here: {error.message}",)
        if type(error) is DownloadFailed:
            raise DownloadFailed(f"{error.message} {_WITHOUT}") from error
        raise


def _described(settings: Settings, tell: Callable[[str], None]) -> ModelSet:
    found = described_beside(settings, described(settings, tell=tell), tell)
    try:
        _ = found.size  # reads the headers of those that are here, while nobody may evict them
        return found
    finally:
        found.release()


def settings_to_ask_with(settings: Settings, *, without: Sequence[str] = ()) -> Settings:
    """The settings to read headers with: in haste, and `without` some of them."""
    # What stands for a secret of RunPod's opens nothing here.
    unset = [*(key for key in _KEYS if is_reference(getattr(settings, key))), *map(str.lower, without)]
    hurried = {name: value for name, value in _PATIENCE.items() if settings.origin(name) is Source.DEFAULT}
    return settings.model_copy(update={**dict.fromkeys(unset), **hurried})


def _paths_elsewhere(settings: Settings) -> set[str]:
    """The settings whose files are in the image or on the volume only."""
    paths = [(item.setting, item.reference.path) for item in wanted_beside(settings)]
    return {setting for setting, path in paths if path is not None and not path.is_file()}
