from dataclasses import replace
from pathlib import Path

import pytest

from podworker.inference.engine_options import EngineOptions
from tests.gguf_files.tiny import LONG_CONTEXT
from tests.inference.engines import OPTIONS


@pytest.fixture(scope="session")
def tiny(tiny_model: Path) -> EngineOptions:
    """Options for an engine with a tiny model: where it is the engine that is tested, and not what it writes."""
    return replace(OPTIONS, model=tiny_model, context_length=LONG_CONTEXT)
