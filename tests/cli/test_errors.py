import json
import re
from pathlib import Path

from click.testing import CliRunner

from podworker.cli import main
from podworker.cli.errors import markdown
from podworker.errors import InvalidInput, WorkerError

PAGE = Path(__file__).parents[2] / "docs/errors.md"


def test_the_page_is_current() -> None:
    assert PAGE.read_text() == markdown(), "Run: podworker errors --markdown > docs/errors.md"


def test_every_error_has_its_row() -> None:
    def below(error: type[WorkerError]) -> set[str]:
        ours = {error.code} if error.__module__ == "podworker.errors" else set()
        return ours.union(*map(below, error.__subclasses__()))

    rows = re.findall(r"^\| `(\w+)` \| (\d+) \| (?:yes|no) \| `\w+` \| .+\. \|$", markdown(), re.MULTILINE)
    assert {code for code, _ in rows} == below(WorkerError)
    assert len(rows) == len({code for code, _ in rows})


def test_the_example_is_what_clients_get() -> None:
    example = json.loads(re.findall(r"```json\n(.*?)```", markdown(), re.DOTALL)[0])
    assert InvalidInput(example["message"], param=example["param"]).body() == example


def test_the_command() -> None:
    printed = CliRunner().invoke(main, ["errors"])
    assert printed.exit_code == 0
    assert re.search(r"^worker_stopping +503, try again +\w", printed.output, re.MULTILINE)
    assert CliRunner().invoke(main, ["errors", "--markdown"]).output == markdown()
