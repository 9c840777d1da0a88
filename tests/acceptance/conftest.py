from collections.abc import Iterator

import pytest

from tests.acceptance.dev_server import SMALL, DevServer


@pytest.fixture(scope="session")
def dev(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DevServer]:
    """One endpoint with the demo model, for all tests that leave it as it was."""
    with DevServer(tmp_path_factory.mktemp("dev"), *SMALL, "--set", "slots=4") as server:
        server.wait_ready()
        yield server
        assert server.stop() == 0
        assert server.left_over() == []
