"""What GitHub runs, beyond what actionlint and zizmor look at (scripts/check-workflows)."""

import os
import re
from collections import defaultdict
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
USES = re.compile(r"^ *-? *uses: (\S+?)@(.*)$", re.MULTILINE)
PINNED = re.compile(r"[0-9a-f]{40} # v\d+\.\d+\.\d+")
RUN = re.compile(r"^ *-? *run: (.*)$", re.MULTILINE)
JOB = re.compile(r"^  (\w+):\n((?:    .*\n|\n)+)", re.MULTILINE)


@pytest.fixture(params=WORKFLOWS, ids=lambda path: path.name)
def workflow(request: pytest.FixtureRequest) -> str:
    return str(request.param.read_text())


def test_actions_are_pinned_by_commit() -> None:
    versions = defaultdict(set)
    for path in WORKFLOWS:
        for action, version in USES.findall(path.read_text()):
            assert PINNED.fullmatch(version), f"{path.name}: {action}@{version}"
            versions[action].add(version)
    assert versions
    assert {action for action, found in versions.items() if len(found) > 1} == set()


def test_jobs_have_limits_and_rights_of_their_own(workflow: str) -> None:
    assert "\npermissions: {}\n" in workflow
    assert "\nconcurrency:\n" in workflow
    jobs = JOB.findall(workflow.partition("\njobs:\n")[2])
    assert jobs
    for name, job in jobs:
        assert "\n    timeout-minutes: " in f"\n{job}", name
        assert "\n    permissions:\n" in f"\n{job}", name


def test_what_is_run_are_scripts_that_run_anywhere(workflow: str) -> None:
    commands = RUN.findall(workflow)
    scripts = [word for command in commands for word in command.split() if word.startswith("scripts/")]
    assert scripts
    for script in scripts:
        assert os.access(ROOT / script, os.X_OK), script
    others = [command for command in commands if "scripts/" not in command]
    assert all(command.startswith("sudo apt-get install ") for command in others), others


def test_all_images_are_released() -> None:
    release = (ROOT / ".github" / "workflows" / "release.yml").read_text()
    assert "variant: [cpu, cuda11.8, cuda12.8, handler]" in release


def test_a_release_in_a_fork_publishes_nothing() -> None:
    """Users release their forks, so that RunPod builds them: that must neither fail nor take hours of their minutes."""
    jobs = dict(JOB.findall((ROOT / ".github" / "workflows" / "release.yml").read_text().partition("\njobs:\n")[2]))
    for name, job in jobs.items():
        assert "!github.event.repository.fork" in job or "\n    needs: package\n" in job, name
    assert "vars.PUBLISH_IMAGES" not in jobs["pypi"]


def test_one_version_of_uv() -> None:
    """The workflows' is the image's."""
    versions = {version for path in WORKFLOWS for version in re.findall(r"UV_VERSION: (\S+)", path.read_text())}
    image = re.findall(r"^ARG UV_IMAGE=\S+:(\S+)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    assert versions == set(image)
