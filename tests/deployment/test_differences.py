from typing import Any

import pytest

from podworker.deployment.differences import Difference, creation, update
from podworker.errors import DeploymentFailed
from tests.deployment.runpod_api import SCHEMAS

WANTED: dict[str, Any] = {
    "name": "chat",
    "type": "QUEUE",
    "image": "a/b:2",
    "env": {"MODEL": "a/b", "HF_TOKEN": "{{ RUNPOD_SECRET_hf }}"},
    "disk": 15,
    "workers": {"min": 0, "max": 3, "idleTimeout": 10},
    "scaling": {"type": "QUEUE_DELAY", "queueDelay": 4.0},
    "timeout": 600_000,
    "flashboot": "FLASHBOOT",
    "gpu": {"pools": ["AMPERE_24", "ADA_24"], "excludedTypes": [], "count": 1, "minCudaVersion": "11.8"},
}
THERE: dict[str, Any] = {
    **WANTED,
    "id": "ep1",
    "createdAt": "2026-01-01",
    "networkVolumes": ["v1"],
    "dataCenterIds": ["EU-RO-1"],
    "registry": None,
    "gpu": {"pools": ["ADA_24", "AMPERE_24"], "count": 1, "minCudaVersion": "11.8", "allowedCudaVersions": []},
}


def changed(**there: object) -> tuple[list[Difference], dict[str, Any]]:
    """What becomes of an endpoint that differs from THERE in this."""
    found = update({**THERE, **there}, WANTED)
    assert list(SCHEMAS.problems(found.body, "UpdateEndpointRequest")) == []
    return list(found.differences), found.body


def test_nothing_differs() -> None:
    assert changed() == ([], {})
    assert changed(flashboot="PRIORITY_FLASHBOOT") == ([], {})


def test_what_is_not_wanted_stays() -> None:
    """Volumes, data centres and variables of the user's own, which no setting names."""
    assert changed(env={**WANTED["env"], "MY_VARIABLE": "1"}) == ([], {})


@pytest.mark.parametrize(
    ("there", "differences", "body"),
    [
        ({"image": "a/b:1"}, [("image", "a/b:1", "a/b:2")], {"image": "a/b:2"}),
        ({"disk": 20, "timeout": 1}, [("disk", "20", "15"), ("timeout", "1", "600000")],
         {"disk": 15, "timeout": 600_000}),
        ({"flashboot": "OFF"}, [("flashboot", "OFF", "FLASHBOOT")], {"flashboot": "FLASHBOOT"}),
        ({"workers": {"min": 1, "max": 3}}, [("workers.min", "1", "0"), ("workers.idleTimeout", None, "10")],
         {"workers": {"min": 0, "idleTimeout": 10}}),
        ({"scaling": {"type": "REQUEST_COUNT", "requestCount": 1}},
         [("scaling", '{"type": "REQUEST_COUNT", "requestCount": 1}', '{"type": "QUEUE_DELAY", "queueDelay": 4.0}')],
         {"scaling": {"type": "QUEUE_DELAY", "queueDelay": 4.0}}),
        ({"gpu": {**THERE["gpu"], "count": 2}}, [("gpu.count", "2", "1")], {"gpu": {"count": 1}}),
        ({"gpu": {**THERE["gpu"], "pools": ["ADA_24"]}}, [("gpu.pools", "ADA_24", "AMPERE_24, ADA_24")],
         {"gpu": {"pools": ["AMPERE_24", "ADA_24"], "excludedTypes": []}}),
        ({"gpu": {**THERE["gpu"], "excludedTypes": ["NVIDIA L4"]}}, [("gpu.excludedTypes", "NVIDIA L4", None)],
         {"gpu": {"pools": ["AMPERE_24", "ADA_24"], "excludedTypes": []}}),
        ({"gpu": {**THERE["gpu"], "minCudaVersion": None, "allowedCudaVersions": ["12.8"]}},
         [("gpu.minCudaVersion", None, "11.8")], {"gpu": {"minCudaVersion": "11.8", "allowedCudaVersions": []}}),
    ],
)  # fmt: skip
def test_what_differs(there: dict[str, Any], differences: list[Any], body: dict[str, Any]) -> None:
    found, sent = changed(**there)
    assert [(item.field, item.now, item.then) for item in found] == differences
    assert sent == body


def test_variables_are_sent_together_and_shown_one_by_one() -> None:
    found, sent = changed(env={"MODEL": "a/c", "SLOTS": "4", "HF_TOKEN": "hf_12345", "MY_VARIABLE": "1"})
    assert found == [
        Difference("env.MODEL", "a/c", "a/b"),
        Difference("env.HF_TOKEN", "********", "{{ RUNPOD_SECRET_hf }}"),
        Difference("env.SLOTS", "4", None),
    ]
    assert sent == {"env": {**WANTED["env"], "MY_VARIABLE": "1"}}


def test_a_new_one() -> None:
    found = creation(WANTED)
    assert found.body == WANTED
    assert list(SCHEMAS.problems(found.body, "CreateEndpointRequest")) == []
    assert Difference("gpu.pools", None, "AMPERE_24, ADA_24") in found.differences
    assert all(difference.now is None for difference in found.differences)


@pytest.mark.parametrize(
    ("there", "says"),
    [({"type": "LOAD_BALANCER"}, "is of type LOAD_BALANCER"), ({"gpu": None, "cpu": [{}]}, "runs on CPUs")],
)
def test_what_cannot_be_changed(there: dict[str, Any], says: str) -> None:
    with pytest.raises(DeploymentFailed, match=says):
        changed(**there)


def test_cpus() -> None:
    wanted = {key: value for key, value in WANTED.items() if key != "gpu"} | {"cpu": [{"id": "cpu5c", "vcpuCount": 4}]}
    there = {**wanted, "id": "ep1", "cpu": [{"id": "cpu5c", "vcpuCount": 4, "memory": 8}]}
    assert update(there, wanted).body == {}
    assert update({**there, "cpu": [{"id": "cpu5c", "vcpuCount": 2}]}, wanted).body == {"cpu": wanted["cpu"]}
