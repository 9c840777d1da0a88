import copy
from collections.abc import Mapping
from functools import cache
from typing import Any

import pytest

from podworker.deployment import hub_file
from podworker.deployment.hub_rules import problems_of_hub, problems_of_tests

hub = cache(hub_file.hub)
CPU = {"runsOn": "CPU", "cpuFlavor": "cpu3c-2-4", "containerDiskInGb": 5}


def changed(table: Mapping[str, Any], path: str, value: object) -> dict[str, Any]:
    """A copy with one entry replaced; None takes it away."""
    result = copy.deepcopy(dict(table))
    place: Any = result
    *folders, key = path.split(".")
    for folder in folders:
        place = place[int(folder)] if isinstance(place, list) else place[folder]
    if value is None:
        del place[key]
    else:
        place[key] = value
    return result


@pytest.mark.parametrize(
    ("path", "value", "says"),
    [
        ("title", "", "title: must be a text."),
        ("description", "x" * 192, "description: has 192 characters; 191 are allowed."),
        ("type", "pod", 'type: must be "serverless".'),
        ("category", "other", "category: must be one of audio, embedding, image, language, video."),
        ("iconUrl", "icon.png", "iconUrl: must be an https address."),
        ("licence", "MIT", "licence: RunPod knows no such key."),
        ("config", None, "config: is missing."),
        ("config.runsOn", "TPU", 'config.runsOn: must be "GPU" or "CPU".'),
        ("config.endpointType", "queue", 'config.endpointType: must be "LB", or missing for an endpoint with a queue.'),
        ("config.containerDiskInGb", "20", "config.containerDiskInGb: must be a whole number of GB."),
        ("config.gpuCount", None, "config.gpuCount: must be a whole number."),
        ("config.gpuIds", "RTX 4090", "config.gpuIds: must name a pool"),
        ("config.gpuIds", "ADA_24,NVIDIA L5", "config.gpuIds: 'NVIDIA L5' is neither a pool nor"),
        ("config.allowedCudaVersions", ["12"], "config.allowedCudaVersions: must be a list of versions"),
        ("config.allowedCudaVersions", ["12.10", "12.9"], "config.allowedCudaVersions: must begin with the lowest"),
        ("config.env.0.key", "a-b", "config.env.0.key: must be the name of a variable."),
        ("config.env.0.value", "x", "config.env.0: must have either a value or an input."),
        ("config.env.0.input.type", "file", "config.env.0.input.type: must be one of string, huggingface"),
        ("config.env.0.input.default", 5, "config.env.0.input.default: 5 is no string."),
        ("config.env.0.input.name", "", "config.env.0.input.name: must be a text."),
        ("config.env.0.input.placeholder", "", "config.env.0.input.placeholder: RunPod knows no such key."),
        ("config.env.0.input.min", 1, "config.env.0.input: min and max are for numbers only."),
        ("config.env.0.input.trueValue", "1", "config.env.0.input: trueValue and falseValue are for booleans only."),
        ("config.env.0.input.options", [{"label": "a", "value": "a"}], "is none of the options."),
        ("config.env.0.input.options", [{"label": "a"}], "config.env.0.input.options: each must have"),
        ("config.env.1.key", "MODEL", "config.env: MODEL is there twice."),
        ("config.env.2.input.default", 10, "config.env.2.input.default: 10 is beyond min or max."),
        ("config.presets.0.defaults", {"MODELL": "a/b"}, "config.presets.0.defaults: MODELL is no variable"),
        ("config.presets.0.name", "", "config.presets.0.name: must be a text."),
    ],
)
def test_a_mistake_is_named(path: str, value: object, says: str) -> None:
    problems = problems_of_hub(changed(hub(), path, value))
    assert any(says in problem for problem in problems), problems


def test_a_gpu_may_be_left_out() -> None:
    assert problems_of_hub(changed(hub(), "config.gpuIds", "AMPERE_24,-NVIDIA L4")) == []


def test_cpus() -> None:
    found = changed(hub(), "config", {**CPU, "env": [{"key": "A", "value": "b"}]})
    assert problems_of_hub(found) == []
    assert problems_of_hub(changed(found, "config.cpuFlavor", None)) == [
        "config.cpuFlavor: must name a kind of CPU, such as cpu3c-2-4."
    ]
    assert problems_of_hub(changed(found, "config.gpuCount", 1)) == ["config.gpuCount: is for GPUs only."]


@pytest.mark.parametrize(
    ("path", "value", "says"),
    [
        ("tests", [], "tests: there must be at least one."),
        ("tests.0.name", "openai_chat", "tests: each must have a name of its own."),
        ("tests.0.input", "hello", "tests.0: must have a name and an input, which is an object."),
        ("tests.0.timeout", 1.5, "tests.0.timeout: must be a whole number of milliseconds."),
        ("tests.0.expected", {}, "tests.0.expected: RunPod knows no such key."),
        ("config.gpuTypeId", "ADA_24", "config.gpuTypeId: must be the id of a GPU"),
        ("config.gpuCount", 0, "config.gpuCount: must be a whole number."),
        ("config.env.0.input", {}, "config.env.0: must have a key and a value."),
    ],
)
def test_a_mistake_of_the_tests_is_named(path: str, value: object, says: str) -> None:
    problems = problems_of_tests(changed(hub_file.tests(), path, value), runs_on="GPU")
    assert any(says in problem for problem in problems), problems


def test_tests_on_cpus() -> None:
    tests = {"tests": [{"name": "a", "input": {}}], "config": {"cpuFlavor": "cpu3c"}}
    assert problems_of_tests(tests, runs_on="CPU") == []
    assert problems_of_tests(tests, runs_on="GPU")
