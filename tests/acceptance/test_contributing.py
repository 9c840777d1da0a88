"""CONTRIBUTING.md names the scripts that a contributor runs."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "CONTRIBUTING.md").read_text()


def test_it_names_scripts_that_there_are() -> None:
    named = set(re.findall(r"scripts/([\w-]+)", PAGE))

    assert named >= {"check", "test", "try-readme", "docs", "image-check", "soak", "bench"}
    for name in named:
        assert (ROOT / "scripts" / name).is_file()
