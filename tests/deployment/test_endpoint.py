import pytest

from podworker.configuration import load_settings
from podworker.deployment.endpoint import Body, endpoint_body
from podworker.deployment.environment import Environment
from podworker.deployment.hardware import Hardware
from podworker.errors import InvalidSettings
from tests.deployment.runpod_api import SCHEMAS

GPUS = Hardware(("AMPERE_24", "ADA_24"), ("NVIDIA L4",), 1, None, "cuda11.8")
CPUS = Hardware((), (), 4, "cpu5c", "cpu")
GB = 10**9


def body(
    hardware: Hardware = GPUS, *, model_bytes: int | None = 5 * GB, slots: int | None = None, **given: object
) -> Body:
    settings = load_settings(slots=slots, **{f"deploy_{name}": value for name, value in given.items()})
    found = endpoint_body(
        settings, name="chat", hardware=hardware, environment=Environment({"MODEL": "a/b"}), model_bytes=model_bytes
    )
    assert list(SCHEMAS.problems(found, "CreateEndpointRequest")) == []
    return found


def test_a_queue() -> None:
    found = body()
    assert found.pop("image").startswith("ghcr.io/")
    assert found == {
        "name": "chat",
        "type": "QUEUE",
        "env": {"MODEL": "a/b"},
        "disk": 15,
        "workers": {"min": 0, "max": 3, "idleTimeout": 10},
        "scaling": {"type": "QUEUE_DELAY", "queueDelay": 4},
        "timeout": 600_000,
        "flashboot": "FLASHBOOT",
        "gpu": {
            "pools": ["AMPERE_24", "ADA_24"],
            "excludedTypes": ["NVIDIA L4"],
            "count": 1,
            "minCudaVersion": "11.8",
        },
    }


def test_a_load_balancer() -> None:
    found = body(type="load_balancer")
    assert found["type"] == "LOAD_BALANCER"
    assert found["ports"] == ["80/http"]
    assert found["scaling"] == {"type": "REQUEST_COUNT", "requestCount": 4}
    assert found["workers"]["idleTimeout"] == 10
    assert body(type="load_balancer", slots=8)["scaling"]["requestCount"] == 8


def test_a_queue_scaled_by_requests_has_no_idle_timeout() -> None:
    found = body(scaler="request_count", scaler_value=6)
    assert found["scaling"] == {"type": "REQUEST_COUNT", "requestCount": 6}
    assert found["workers"] == {"min": 0, "max": 3}


def test_cpus() -> None:
    found = body(CPUS)
    assert found["cpu"] == [{"id": "cpu5c", "vcpuCount": 4}]
    assert "gpu" not in found


def test_all_that_can_be_set() -> None:
    found = body(
        image="me/worker:1",
        registry="reg1",
        workers_min=1,
        workers_max=5,
        idle_seconds=60,
        scaler_value=1.5,
        flashboot="off",
        execution_seconds=3600,
        volumes="v1, v2",
        data_centers="EU-RO-1,US-TX-3",
        disk_gb=7,
    )
    assert (found["image"], found["registry"], found["disk"]) == ("me/worker:1", "reg1", 7)
    assert found["workers"] == {"min": 1, "max": 5, "idleTimeout": 60}
    assert (found["scaling"]["queueDelay"], found["timeout"], found["flashboot"]) == (1.5, 3_600_000, "OFF")
    assert (found["networkVolumes"], found["dataCenterIds"]) == (["v1", "v2"], ["EU-RO-1", "US-TX-3"])
    assert body(volumes="none")["networkVolumes"] == []


@pytest.mark.parametrize(
    ("model_bytes", "volumes", "gigabytes"),
    [(0, None, 10), (5 * GB, None, 15), (42 * GB, None, 55), (42 * GB, "v1", 10), (None, None, 50), (None, "none", 50)],
)
def test_the_disk(model_bytes: int | None, volumes: str | None, gigabytes: int) -> None:
    assert body(model_bytes=model_bytes, volumes=volumes)["disk"] == gigabytes


def test_a_large_model_gets_time_to_start() -> None:
    assert "RUNPOD_INIT_TIMEOUT" not in body(model_bytes=15 * GB)["env"]
    assert body(model_bytes=42 * GB)["env"]["RUNPOD_INIT_TIMEOUT"] == "960"


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"type": "load_balancer", "scaler": "queue_delay"}, "A load balancer has no queue"),
        ({"scaler": "request_count", "scaler_value": 1.5}, "set a whole number"),
        ({"workers_min": 5}, "DEPLOY_WORKERS_MIN is 5, more than DEPLOY_WORKERS_MAX, which is 3"),
    ],
)
def test_contradictions(given: dict[str, object], says: str) -> None:
    with pytest.raises(InvalidSettings) as refused:
        body(**given)  # type: ignore[arg-type]
    assert says in refused.value.message
