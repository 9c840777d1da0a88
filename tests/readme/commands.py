"""The commands of a README: every line of its shell blocks, its Python blocks, and commands within its sentences."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

_FENCED = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_HEADING = re.compile(r"^## (.+)$", re.MULTILINE)
_INLINE = re.compile(r"`([^`]+)`")
_PROGRAM = re.compile(r"(podworker|python3?|pip|pytest|uv|git|docker|podman|apt|apt-get|sudo) +\S|scripts/\w")
_BEFORE_A_COMMENT = re.compile(r"""(?:"[^"]*"|'[^']*'|(?<=\S)\#|[^#])*""")


class Kind(StrEnum):
    """Where a command stands."""

    SHELL = "sh"
    PYTHON = "python"
    SENTENCE = "sentence"


@dataclass(frozen=True, slots=True)
class Command:
    """Something that a reader is told to run, exactly as it is written."""

    section: str
    kind: Kind
    text: str

    @property
    def bare(self) -> str:
        """The text without a comment at the end of its line."""
        return self.text if self.kind is Kind.PYTHON else _without_comment(self.text)


def commands(markdown: str) -> list[Command]:
    """Everything that a README tells its reader to run, in its order, each once.

    A command in a sentence counts only where no shell block has the same: there it is only spoken of.
    """
    found: list[Command] = []
    for heading, text in _sections(markdown):
        found += _in_section(heading, text)
    typed = {command.bare for command in found if command.kind is Kind.SHELL}
    spoken: set[str] = set()
    kept = []
    for command in found:
        if command.kind is Kind.SENTENCE:
            if command.bare in typed | spoken:
                continue
            spoken.add(command.bare)
        kept.append(command)
    return kept


def _sections(markdown: str) -> Iterator[tuple[str, str]]:
    """Headings of the second level, with what stands below them; fenced lines are no headings."""
    hidden = _FENCED.sub(lambda block: re.sub(r"[^\n]", " ", block[0]), markdown)
    found = list(_HEADING.finditer(hidden))
    starts = [0, *(heading.start() for heading in found)]
    ends = [*starts[1:], len(markdown)]
    for heading, start, end in zip(["", *(heading[1] for heading in found)], starts, ends, strict=True):
        yield heading, markdown[start:end]


def _in_section(heading: str, text: str) -> Iterator[Command]:
    after = 0
    for block in _FENCED.finditer(text):
        yield from _in_sentences(heading, text[after : block.start()])
        after = block.end()
        if block[1] == "python":
            yield Command(heading, Kind.PYTHON, block[2])
        elif block[1] in ("sh", "bash", "shell"):
            yield from (Command(heading, Kind.SHELL, line) for line in block[2].splitlines() if _without_comment(line))
    yield from _in_sentences(heading, text[after:])


def _in_sentences(heading: str, text: str) -> Iterator[Command]:
    for span in _INLINE.finditer(text):
        words = re.sub(r"\s*\n\s*", " ", span[1]).strip()
        if _PROGRAM.match(words):
            yield Command(heading, Kind.SENTENCE, words)


def _without_comment(line: str) -> str:
    before = _BEFORE_A_COMMENT.match(line)
    return before[0].strip() if before else ""
