"""The import rule of docs/architecture.md, held against the source itself."""

import ast
import re
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import podworker

SOURCE = Path(podworker.__file__).parent

FLOORS = {
    "errors": 0.5,  # the ground that the first floor stands on
    "child": 0.5,
    "first_import": 0.5,
    "unix_socket": 0.5,
    "signal_wakeup": 0.5,
    "configuration": 1,
    "monitoring": 2,
    "gateway": 3,
    "models": 3,
    "inference": 4,
    "local_run": 4,
    "testing": 4,
    "stop_signals": 4,
    "event_loop": 4.5,
    "worker": 5,
    "deployment": 5,
    "doctor": 5,
    "cli": 6,
    "__main__": 7,  # no more than a call of `cli`
}
APART = {"emulator"}
"""Knows nothing of the worker: the two speak HTTP only."""
STARTERS = {"cli", "testing"}
"""These start what stands apart."""


def module_name(file: Path) -> str:
    parts = ("podworker", *file.relative_to(SOURCE).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(file): file for file in SOURCE.rglob("*.py")}


def room(module: str) -> str:
    """The part of podworker that a module belongs to."""
    return module.split(".")[1]


def imports(tree: ast.AST) -> Iterator[str]:
    """The modules of podworker that are imported anywhere in it, in functions too."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in MODULES)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "an import is absolute"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            yield from (name if name in MODULES else str(node.module) for name in names if node.module in MODULES)


GRAPH = {module: set(imports(ast.parse(file.read_text()))) for module, file in MODULES.items()}
# The facade names what stands below it, but imports it only when it is asked: see tests/test_podworker.py.
FACADE = GRAPH.pop("podworker")


def test_every_module_has_a_floor() -> None:
    assert {room(module) for module in GRAPH} == {*FLOORS, *APART}


@pytest.mark.parametrize("module", sorted(module for module in GRAPH if room(module) in FLOORS))
def test_a_floor_imports_only_what_stands_below(module: str) -> None:
    own = room(module)
    for imported in GRAPH[module]:
        assert imported != "podworker", "what stands in the house does not use its front door"
        if room(imported) != own and not (own in STARTERS and room(imported) in APART):
            assert FLOORS.get(room(imported), 99) < FLOORS[own], f"{module} imports {imported}"


@pytest.mark.parametrize("module", sorted(module for module in GRAPH if room(module) in APART))
def test_what_stands_apart_imports_only_itself(module: str) -> None:
    assert {room(imported) for imported in GRAPH[module]} <= {room(module)}


def test_there_are_no_import_circles() -> None:
    try:
        TopologicalSorter(GRAPH).prepare()
    except CycleError as error:
        pytest.fail(" → ".join(reversed(error.args[1])))


def test_the_facade_names_what_it_imports() -> None:
    assert {*podworker._HOMES.values(), "podworker.first_import"} == FACADE


def test_a_module_that_users_name_a_file_after_is_not_relied_on() -> None:
    """A `secrets.py` beside the handler stands in the place of Python's own."""
    users = {
        module for module, file in MODULES.items() if re.search(r"^\s*(import|from) secrets\b", file.read_text(), re.M)
    }
    assert not users, "os.urandom does the same"


def test_the_check_sees_imports_wherever_they_stand() -> None:
    source = """
    import asyncio, podworker.errors
    from podworker.gateway import job, queue as door
    from podworker.configuration import Settings
    if TYPE_CHECKING:
        from podworker.worker import serve
    def function():
        import podworker.cli
    """
    names = ("errors", "gateway.job", "gateway.queue", "configuration", "worker", "cli")
    assert set(imports(ast.parse(f"if True:{source}"))) == {f"podworker.{name}" for name in names}
