"""The README in Turkish says the same as the one in English, as far as a program can tell."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ENGLISH, TURKISH = (
    (ROOT / name).read_text().replace("README.tr.md", "README.md") for name in ("README.md", "README.tr.md")
)
COMMENT = re.compile(r"\s+# .*")


def blocks(text: str) -> list[str]:
    """What is typed and what is printed; comments are in the reader's language."""
    return [COMMENT.sub("", block) for block in re.findall(r"^```.*?^```", text, re.MULTILINE | re.DOTALL)]


@pytest.mark.parametrize(
    ("what", "pattern"),
    [
        ("sections", r"^#{1,3} (?=\S)"),
        ("links", r"\]\(([^)]+)\)"),
        ("rows of tables", r"^\| ?(`[^|]*|-)"),
        ("list entries", r"^- (\[\S+\]|\*\*)"),
    ],
)
def test_both_have_the_same(what: str, pattern: str) -> None:
    english, turkish = (re.findall(pattern, text, re.MULTILINE) for text in (ENGLISH, TURKISH))
    assert english, what
    assert turkish == english


def test_both_have_the_same_code_and_output() -> None:
    assert blocks(TURKISH) == blocks(ENGLISH)
