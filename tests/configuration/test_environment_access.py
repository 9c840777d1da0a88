"""Environment variables are read in configuration/ only; this holds for the whole package."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import podworker

PACKAGE = Path(podworker.__file__).parent
NAMES = {"environ", "environb", "getenv", "getenvb"}


def accesses(source: str, *, may_pass_on: bool) -> Iterator[int]:
    """The lines that touch the environment.

    Args:
        source: A module's text.
        may_pass_on: Whether the environment as a whole may be handed to child processes. Reading one variable of it is
            still found.
    """
    tree = ast.parse(source)
    parents = {child: node for node in ast.walk(tree) for child in ast.iter_child_nodes(node)}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module == "os" and NAMES & {name.name for name in node.names}:
            yield node.lineno
        if isinstance(node, ast.Attribute) and node.attr in NAMES:
            passed_on = node.attr == "environ" and _as_a_whole(node, parents[node])
            if not (may_pass_on and passed_on):
                yield node.lineno


def _as_a_whole(node: ast.Attribute, parent: ast.AST) -> bool:
    if isinstance(parent, ast.Attribute):
        return parent.attr == "copy"
    if isinstance(parent, ast.Call):
        return isinstance(parent.func, ast.Name) and parent.func.id == "dict"
    return isinstance(parent, ast.Dict | ast.BinOp | ast.keyword) and not isinstance(node.ctx, ast.Store)


MODULES = [path for path in sorted(PACKAGE.rglob("*.py")) if "configuration" not in path.relative_to(PACKAGE).parts]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_only_the_configuration_reads_the_environment(path: Path) -> None:
    lines = list(accesses(path.read_text(), may_pass_on="emulator" in path.relative_to(PACKAGE).parts))
    assert not lines, (
        f"{path.relative_to(PACKAGE)} uses the environment in lines {lines}. Declare a setting in "
        "configuration/declared/, or take configuration.machine.environment() for a child process."
    )


@pytest.mark.parametrize(
    "source",
    [
        "import os\nos.environ['A']",
        "import os\nos.environ.get('A')",
        "import os\n'A' in os.environ",
        "import os as system\nsystem.getenv('A')",
        "from os import environ",
        "import os\nos.environ['A'] = 'b'",
        "import os\nfor name in os.environ: pass",
    ],
)
def test_reads_are_found(source: str) -> None:
    assert list(accesses(source, may_pass_on=True))


@pytest.mark.parametrize(
    "source",
    [
        "import os, subprocess\nsubprocess.Popen([], env=os.environ)",
        "import os\n{**os.environ, 'A': 'b'}",
        "import os\nos.environ | {'A': 'b'}",
        "import os\ndict(os.environ)",
        "import os\nos.environ.copy()",
    ],
)
def test_passing_on_is_told_apart(source: str) -> None:
    assert list(accesses(source, may_pass_on=False))
    assert not list(accesses(source, may_pass_on=True))
