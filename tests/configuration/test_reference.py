import re
import tomllib
from pathlib import Path

import pytest

from podworker.configuration import Settings, load_settings
from podworker.configuration.reference import markdown
from podworker.configuration.sources import Source

PAGE = Path(__file__).parents[2] / "docs/configuration.md"


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text() == markdown(), "Run: podworker config --markdown > docs/configuration.md"


def test_the_page_has_every_setting() -> None:
    names = re.findall(r"^\| `([A-Z_]+)` \|", markdown(), re.MULTILINE)
    assert names == [name.upper() for name in Settings.model_fields]


def test_the_page_does_not_depend_on_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    before = markdown()
    monkeypatch.setenv("SLOTS", "none of this")
    assert markdown() == before


def test_the_example_file_works() -> None:
    match = re.search(r"```toml\n(.*?)```", markdown(), re.DOTALL)
    assert match
    Path("podworker.toml").write_text(match[1])
    settings = load_settings()
    assert {settings.origin(name) for name in tomllib.loads(match[1])} == {Source.FILE}
