from pathlib import Path

import pytest

from podworker.configuration.runtime_folders import runtime_folders

ALWAYS = [Path("/tmp"), Path("/dev/shm")]  # noqa: S108 - what is tested


@pytest.mark.parametrize(
    ("environ", "first"),
    [
        ({}, []),
        ({"XDG_RUNTIME_DIR": "/run/user/7", "TMPDIR": "/scratch"}, [Path("/run/user/7"), Path("/scratch")]),
        ({"XDG_RUNTIME_DIR": "", "TMPDIR": "relative"}, []),
        ({"XDG_RUNTIME_DIR": "/a", "TMPDIR": "/a"}, [Path("/a")]),
    ],
)
def test_in_order(environ: dict[str, str], first: list[Path]) -> None:
    assert runtime_folders(environ) == [*first, *ALWAYS]


def test_of_this_process() -> None:
    assert runtime_folders()[-2:] == ALWAYS or Path("/tmp") in runtime_folders()  # noqa: S108
