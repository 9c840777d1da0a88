import importlib.resources
import json
import subprocess
import sys
from collections.abc import Iterable

import pytest

import podworker

SLOW = {"asyncio", "pydantic", "aiohttp", "runpod", "click", "xllamacpp", "importlib.metadata"}


def modules_after(statement: str) -> set[str]:
    """What a fresh interpreter has imported after a statement."""
    program = f"{statement}\nimport json, sys\nprint(json.dumps(list(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True, timeout=60)
    return set(json.loads(done.stdout))


@pytest.mark.parametrize(
    ("statement", "absent"),
    [
        ("import podworker", SLOW),
        # The engine process: the first step of every cold start.
        ("import podworker.inference.engine_main", SLOW),
        ("import podworker; podworker.WorkerError, podworker.InvalidInput", SLOW),
        ("import podworker; podworker.Job, podworker.Stream", SLOW - {"asyncio"}),
        # The SDK takes 1.7 s to import: `serve` does it while the model loads.
        ("import podworker; podworker.serve", {"aiohttp", "runpod", "click", "xllamacpp"}),
        ("import podworker; podworker.LanguageModel", {"aiohttp", "runpod", "click", "xllamacpp"}),
    ],
)
def test_no_more_is_imported_than_needed(statement: str, absent: Iterable[str]) -> None:
    imported = modules_after(statement)
    assert "podworker" in imported
    assert imported.isdisjoint(absent)


@pytest.mark.parametrize("name", podworker.__all__)
def test_every_public_name_is_there(name: str) -> None:
    value = getattr(podworker, name)
    assert value.__name__ == name
    assert value.__module__ == podworker._HOMES[name]
    assert getattr(podworker, name) is value
    assert value.__doc__


def test_all_names_at_once() -> None:
    names: dict[str, object] = {}
    exec("from podworker import *", names)  # noqa: S102 - what is tested
    assert set(podworker.__all__) <= set(names)
    assert sorted(podworker.__all__) == sorted(podworker._HOMES)


def test_another_name_is_not_there() -> None:
    assert not hasattr(podworker, "nothing")
    with pytest.raises(AttributeError, match="module 'podworker' has no attribute 'nothing'"):
        _ = podworker.nothing


def test_the_package_is_typed() -> None:
    assert (importlib.resources.files("podworker") / "py.typed").is_file()
