"""What a stranger does with each command of our README. A command that is not known here is an error."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from tests.readme.commands import Command, Kind, commands

QUESTION = "Why is the sky blue?"
JOB = '{"input": {"text": "hello"}}'
AS_WRITTEN = ""
CTRL_D = "\x04"
NEEDS_A_HUB = "it needs a model hub"


class UnknownCommandError(Exception):
    """The README has a command that nobody decided about."""


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that is typed into a terminal, or the reason why it is not."""

    text: str = AS_WRITTEN
    expect: str = ""
    """A regular expression for what it must print."""
    dialogue: tuple[tuple[str, str], ...] = ()
    """What to wait for, and what to type then."""
    serves: bool = False
    """It runs in a terminal of its own until the section, or the next server, begins."""
    in_every_terminal: bool = False
    ours: bool = False
    """Not the README's words: what a reader does by himself, or what looks at a result."""
    skip: str = ""
    """Why it is not run."""
    section: str = ""
    file: tuple[str, str] | None = None
    """A file that the reader saves before: its path in the clone, and its text."""


def ours(text: str, expect: str = "") -> Step:
    """A command that the README does not have in these words."""
    return Step(text, expect, ours=True)


def skipped(reason: str) -> tuple[Step, ...]:
    """Not run."""
    return (Step(skip=reason),)


NEW_PROJECT_STEPS = (
    "~/podworker/.tools/bin/uv venv",
    ". .venv/bin/activate",
    "~/podworker/.tools/bin/uv pip install -r requirements-dev.txt",
    "python handler.py",
    "pytest",
)
"""What the command prints as the next steps, after `cd`, where only the clone has uv."""
NEW_PROJECT_RESULTS = {"python handler.py": r'"shout": ?"HELLO"', "pytest": r"\d passed"}
NEW_PROJECT = (
    Step(expect=r"Next:\s+cd my-worker"),
    ours("cd my-worker"),
    *(ours(step, expect=NEW_PROJECT_RESULTS.get(step, "")) for step in NEW_PROJECT_STEPS),
    ours("cd .."),
    ours(". .venv/bin/activate"),
    ours("rm -r my-worker"),
)
HANDLER_ANSWERS = ours("""podworker call --input '{"text": "hello"}'""", expect="HELLO")

SHELL: dict[str, tuple[Step, ...]] = {
    r"(sudo )?apt(-get)? install .+": skipped("the clean machine has it"),
    r'scripts/demo ".+"': (Step(expect="cold start in all"),),
    r"\. \.venv/bin/activate": (Step(in_every_terminal=True),),
    r"podworker dev": (Step(expect=r"OpenAI +http://127\.0\.0\.1:8000/v2/local/openai/v1", serves=True),),
    r'podworker call ".+"': (Step(expect=r"\w"),),
    r"podworker chat": (Step(dialogue=((r"/help lists", f"{QUESTION}\n"), (r"first token after", CTRL_D))),),
    r'podworker chat ".+"': (Step(expect=r"\w"),),
    r"podworker chat < question\.txt": (Step(expect=r"\w", file=("question.txt", f"{QUESTION}\n")),),
    r"podworker (dev|deploy .*) ?--model \w+/.*": skipped(NEEDS_A_HUB),
    r"podworker doctor": (Step(expect=r"\d+ ok"),),
    r"podworker models pull \| .*": (ours("podworker models list", expect="Store"),),
    r"podworker config": (Step(expect="CONTEXT_LENGTH"),),
    r"podworker health": skipped("it looks at the worker of a container: scripts/image-check does that"),
    r"podworker new my-worker": NEW_PROJECT,
    r"python handler\.py": (Step(expect=r'"shout": ?"HELLO"', file=("test_input.json", JOB)),),
    r"python handler\.py --test_input '.*'": (
        ours(f"python handler.py --test_input '{JOB}'", expect=r'"shout": ?"HELLO"'),
    ),
    r"podworker dev handler\.py": (Step(expect=r"Endpoint +http", serves=True), HANDLER_ANSWERS),
    r"python handler\.py --rp_serve_api": (
        Step(expect=r"Endpoint +http", serves=True),
        HANDLER_ANSWERS,
        ours("git checkout --quiet handler.py test_input.json"),
    ),
}
TESTS: dict[str, tuple[Step, ...]] = {
    r"scripts/test": (Step(expect=r"\d+ passed"),),
    r"scripts/check": (Step(),),
    r"scripts/bench": (Step(expect=r"\w"),),
    r"scripts/soak": skipped("it runs for hours"),
}
"""They set up what developers need, and take minutes."""

PYTHON: dict[str, tuple[str, bool]] = {
    r"^from openai import": ("openai_client.py", True),
    r"^import runpod\b": ("runpod_client.py", True),
    r"^podworker\.serve\(": ("handler.py", False),
}
"""The file that a block is saved to, by a line of the block; and whether to run it. The commands below it do, else."""


def plan(markdown: str, *, with_tests: bool = False) -> list[Step]:
    """All that is typed, in the README's order.

    Raises:
        UnknownCommandError: The README has a command that this module does not know.
    """
    return [step for command in commands(markdown) for step in _steps(command, with_tests=with_tests)]


def _steps(command: Command, *, with_tests: bool) -> list[Step]:
    if command.kind is Kind.PYTHON:
        steps: Sequence[Step] = [_python_step(command.text)]
    else:
        steps = _shell_steps(command.bare, with_tests=with_tests)
    return [replace(step, text=step.text or command.text, section=command.section) for step in steps]


def _shell_steps(bare: str, *, with_tests: bool) -> Sequence[Step]:
    for pattern, steps in SHELL.items():
        if re.fullmatch(pattern, bare):
            return steps
    for pattern, steps in TESTS.items():
        if re.fullmatch(pattern, bare):
            return steps if with_tests or steps[0].skip else skipped("it takes minutes; --with-tests runs it")
    raise UnknownCommandError(f"The README says: {bare}\nSay in tests/readme/plan.py what a reader does with it.")


def _python_step(block: str) -> Step:
    for pattern, (file, run) in PYTHON.items():
        if not re.search(pattern, block, re.MULTILINE):
            continue
        if not run:
            return Step(f"# the block is saved as {file}", file=(file, block))
        variables = "".join(f"{assignment} " for assignment in re.findall(r"# with ([A-Z_]+=\S+)", block))
        return Step(f"{variables}python {file}", expect=r"\w", file=(file, block))
    raise UnknownCommandError(
        f"The README has a Python block:\n{block}\nSay in tests/readme/plan.py what to do with it."
    )
