"""docs/capabilities.md says what there is."""

import re
from pathlib import Path

from podworker.inference.routes import ROUTES

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "capabilities.md").read_text()
ROWS = re.findall(r"^\| `(/[^`]*)` \| (yes|) ?\|", PAGE, re.MULTILINE)


def test_the_table_has_every_route_and_no_other() -> None:
    assert dict(ROWS) == {path: "yes" if route.streams else "" for path, route in ROUTES.items()}


def test_every_test_that_it_names_is_there() -> None:
    named = set(re.findall(r"`(tests/[^`]*\.py)`", PAGE))

    assert {ROOT / name for name in named if not (ROOT / name).is_file()} == set()
    mine = {f"tests/capabilities/{path.name}" for path in Path(__file__).parent.glob("test_*.py")}
    assert mine - named == {"tests/capabilities/test_messages.py", "tests/capabilities/test_documentation.py"}
