"""Whether the engine that is configured can use a GPU at all."""

import logging
import subprocess
import sys

from podworker.configuration import Settings, machine

logger = logging.getLogger(__name__)

_TIMEOUT_SECONDS = 60.0
_QUESTION = """
import xllamacpp
kinds = {str(device["type"]) for device in xllamacpp.get_device_info()}
print(any("GPU" in kind for kind in kinds))
"""


def engine_uses_gpus(settings: Settings) -> bool:
    """Whether the model can be put on the GPUs of this machine. False where there are none.

    An ENGINE_BINARY is taken at its word: it is there for its GPU support. The built-in engine comes with and without;
    it is asked in a process of its own, since asking starts CUDA. On a machine without a GPU nobody is asked.
    """
    if not machine.gpus():
        return False
    if settings.engine_binary is not None or built_in_engine_uses_gpus():
        return True
    logger.warning(
        "There is a GPU, but the built-in engine is built without support for it: the model runs on the CPU. Use "
        "podworker's CUDA image, or set ENGINE_BINARY to a `llama-server` that is built with CUDA."
    )
    return False


def built_in_engine_uses_gpus() -> bool:
    """Whether the built-in engine is built for GPUs, and sees one."""
    try:
        answer = subprocess.run(
            [sys.executable, "-P", "-c", _QUESTION],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=_TIMEOUT_SECONDS,
            check=False,
            text=True,
        )
    except subprocess.TimeoutExpired:
        return False
    return answer.stdout.strip() == "True"
