import json
from pathlib import Path

import pytest

from benchmarks.__main__ import BENCHMARKS
from benchmarks.page import FIGURES, TEXTS, page

DOCS = Path(__file__).parents[1] / "docs"


def test_the_page_shows_the_figures() -> None:
    assert (DOCS / "benchmarks.md").read_text() == page(), "scripts/bench --page > docs/benchmarks.md"


def test_what_is_on_the_page_can_be_measured_again() -> None:
    assert set(TEXTS) <= set(BENCHMARKS)


@pytest.mark.parametrize("name", TEXTS)
def test_what_the_page_shows_holds(name: str) -> None:
    measured = json.loads((FIGURES / f"{name}.json").read_text())
    assert measured["name"] == name
    assert measured["holds"]
