"""What an image says of itself: files that its Dockerfile puts in place, and the variables that name them."""

import os
from collections.abc import Mapping
from pathlib import Path

ENGINE_BUILD_VARIABLE = "PODWORKER_ENGINE_BUILD"
ENGINE_BUILD_NAME = "engine-build.json"


def engine_build_file(engine_binary: Path | None, environ: Mapping[str, str] | None = None) -> Path | None:
    """The file that says for which GPUs the engine was built, whether or not it is there. None: nothing names one.

    Args:
        engine_binary: The setting ENGINE_BINARY: without the variable, the file stands beside it.
        environ: Instead of the real environment.
    """
    environ = os.environ if environ is None else environ
    if named := environ.get(ENGINE_BUILD_VARIABLE, "").strip():
        return Path(named)
    return engine_binary.with_name(ENGINE_BUILD_NAME) if engine_binary else None
