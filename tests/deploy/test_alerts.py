"""promtool on the rules, their unit tests and the configuration; the rules against the errors that there are."""

import re
import subprocess
from pathlib import Path

import pytest

from tests.deploy.promql import FOLDER, alerts, document


@pytest.mark.parametrize(
    "arguments",
    [
        ["check", "rules", "--lint-fatal", "alerts.yml"],
        ["check", "config", "--lint-fatal", "prometheus.yml"],
        ["test", "rules", "alerts.test.yml"],
    ],
    ids=lambda arguments: " ".join(arguments[:2]),
)
@pytest.mark.timeout(600)  # it is fetched the first time
def test_promtool(promtool: Path, arguments: list[str]) -> None:
    done = subprocess.run(
        [promtool, *arguments], cwd=FOLDER, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    assert done.returncode == 0, done.stdout
    assert "FAILED" not in done.stdout


def test_each_alert_is_tested_to_fire_and_to_be_silent() -> None:
    tests = document("alerts.test.yml")["tests"]
    fires, silent = set(), set()
    for test in tests:
        alert = test["name"].partition(",")[0]
        for check in test["promql_expr_test"]:
            labels = [sample["labels"] for sample in check.get("exp_samples", [])]
            if not labels:
                silent.add(alert)
            elif all(f'alertname="{alert}"' in one for one in labels):
                fires.add(alert)
    assert fires == silent == set(alerts())


def test_each_alert_says_what_to_do() -> None:
    for group in document("alerts.yml")["groups"]:
        for rule in group["rules"]:
            assert rule["labels"]["severity"] in {"info", "warning", "critical"}
            assert re.fullmatch(r"\d+m", rule["for"])
            assert set(rule["annotations"]) == {"summary", "description"}
            assert rule["annotations"]["description"].endswith(".")


def test_the_page_lists_each_alert() -> None:
    rules = [rule for group in document("alerts.yml")["groups"] for rule in group["rules"]]
    page = (FOLDER.parents[1] / "docs" / "monitoring.md").read_text()
    listed = re.findall(r"^\| `(Podworker\w+)` \| (\w+) \|", page, re.MULTILINE)
    assert listed == [(rule["alert"], rule["labels"]["severity"]) for rule in rules]
