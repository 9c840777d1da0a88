import pytest

from podworker.inference.engine_options import EngineOptions
from tests.inference.engines import tiny_options


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> EngineOptions:
    """Options for an engine with a tiny model: where it is the engine that is tested, and not what it writes."""
    return tiny_options(tmp_path_factory.mktemp("tiny"))
