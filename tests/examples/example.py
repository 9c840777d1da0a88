"""The examples as their readers run them."""

import importlib.util
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

EXAMPLES = Path(__file__).parents[2] / "examples"


@contextmanager
def handler_module(name: str) -> Iterator[ModuleType]:
    """An example's handler.py, imported with its folder on the path as `python handler.py` has it."""
    folder = EXAMPLES / name
    beside = {file.stem for file in folder.glob("*.py")}
    spec = importlib.util.spec_from_file_location(f"example_{name}", folder / "handler.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(folder))
    sys.modules[spec.name] = module
    try:
        spec.loader.exec_module(module)
        yield module
    finally:
        sys.path.remove(str(folder))
        for each in (*beside, spec.name):
            sys.modules.pop(each, None)


def inputs(name: str) -> dict[str, Any]:
    """The inputs that an example comes with, by their file's name."""
    files = [EXAMPLES / name / "test_input.json", *sorted((EXAMPLES / name).glob("inputs/*.json"))]
    return {file.stem: json.loads(file.read_text())["input"] for file in files}
