"""What goes wrong between us and RunPod, and what becomes of it."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from podworker.deployment.rest_api import ATTEMPTS, RestApi
from podworker.errors import DeploymentFailed
from tests.deployment.runpod_api import KEY, Fault, RunpodApi

BODY = {
    "name": "chat",
    "type": "QUEUE",
    "image": "a/b:1",
    "scaling": {"type": "QUEUE_DELAY", "queueDelay": 4.0},
    "workers": {"min": 0, "max": 3, "idleTimeout": 10},
    "gpu": {"pools": ["ADA_24"]},
}


@pytest.fixture
async def api(runpod: RunpodApi) -> AsyncIterator[RestApi]:
    async with RestApi(runpod.url, KEY, first_delay=0.001) as api:
        yield api


async def test_lists_are_read_to_their_end(runpod: RunpodApi, api: RestApi) -> None:
    for number in range(5):
        runpod.add(**{**BODY, "name": f"e{number}"})
    assert (await api.find("e4") or {})["id"] == "ep5"
    assert await api.find("e5") is None


async def test_the_console_s_ending_of_a_name(runpod: RunpodApi, api: RestApi) -> None:
    runpod.add(**{**BODY, "name": "chat -fb"})
    assert (await api.find("chat") or {})["id"] == "ep1"


async def test_two_of_one_name(runpod: RunpodApi, api: RestApi) -> None:
    runpod.add(**BODY)
    runpod.add(**BODY)
    with pytest.raises(DeploymentFailed, match="2 endpoints named chat \\(ep1, ep2\\)"):
        await api.find("chat")


@pytest.mark.parametrize(
    "fault",
    [
        Fault(429, headers={"Retry-After": "0"}),
        Fault(503),
        Fault(500, after=True),
        Fault(0),
        Fault(0, after=True),
    ],
    ids=str,
)
async def test_one_endpoint_is_created_whatever_is_lost(runpod: RunpodApi, api: RestApi, fault: Fault) -> None:
    runpod.faults = [fault, Fault(502)]
    made = await api.create(BODY)
    assert list(runpod.endpoints) == [made["id"]]


async def test_what_may_be_repeated_is(runpod: RunpodApi, api: RestApi, caplog: pytest.LogCaptureFixture) -> None:
    endpoint = runpod.add(**BODY)
    runpod.faults = [Fault(429, "PATCH"), Fault(500, "PATCH", after=True), Fault(0, "PATCH"), Fault(503, "GET")]
    assert (await api.update(endpoint["id"], {"disk": 20}))["disk"] == 20
    assert await api.gpus()
    assert len(caplog.records) == 4  # warnings: who waits at a terminal sees why
    assert all("Trying again in" in record.message and record.levelname == "WARNING" for record in caplog.records)


async def test_patience_ends(runpod: RunpodApi, api: RestApi) -> None:
    runpod.faults = [Fault(503, "GET", body={"title": "Unavailable", "detail": "down for maintenance"})] * ATTEMPTS
    with pytest.raises(DeploymentFailed, match="RunPod answered 503: down for maintenance"):
        await api.gpus()
    assert len(runpod.requests) == ATTEMPTS


async def test_a_long_wait_is_left_to_the_user(runpod: RunpodApi, api: RestApi) -> None:
    runpod.faults = [Fault(429, "GET", headers={"Retry-After": "3600"})]
    with pytest.raises(DeploymentFailed, match="Try again in a few minutes"):
        await api.gpus()
    assert len(runpod.requests) == 1


@pytest.mark.parametrize(
    ("status", "body", "says"),
    [
        (
            400,
            {"detail": "bad pool"},
            "Correct the setting that it names. (RunPod answered 400 for the endpoint chat: bad",
        ),
        (
            400,
            {"detail": "Max workers across all endpoints must not exceed your workers quota"},
            "quota does not allow it",
        ),
        (401, {"detail": "invalid token"}, "Set RUNPOD_API_KEY to a valid one"),
        (402, {"title": "Payment Required"}, "Add credit in RunPod's console"),
        (403, {}, "Give it the right to write to Serverless endpoints"),
        (404, {"detail": "resource not found"}, "Check the ids and names that are set"),
        (409, {}, "Wait until other changes of the endpoint are done"),
        (422, {"detail": "Request validation failed.", "errors": ["disk: too small"]}, "failed.; disk: too small)"),
    ],
)
async def test_refusals(runpod: RunpodApi, api: RestApi, status: int, body: dict[str, object], says: str) -> None:
    runpod.faults = [Fault(status, body=body)]
    with pytest.raises(DeploymentFailed) as refused:
        await api.create(BODY)
    assert says in refused.value.message
    assert refused.value.status == status
    assert KEY not in refused.value.message
    assert len(runpod.requests) == 1, "it is not tried again"


async def test_a_refusal_quotes_no_secret(runpod: RunpodApi, api: RestApi) -> None:
    runpod.faults = [Fault(400, body={"detail": "env HF_TOKEN=hf_12345 is not allowed"})]
    with pytest.raises(DeploymentFailed, match=r"HF_TOKEN=\*{8} is not allowed"):
        await api.create({**BODY, "env": {"HF_TOKEN": "hf_12345"}})


async def test_a_wrong_key(runpod: RunpodApi) -> None:
    async with RestApi(runpod.url, "rpa_wrong", first_delay=0) as api:
        with pytest.raises(DeploymentFailed, match="Set RUNPOD_API_KEY") as refused:
            await api.gpus()
    assert "rpa_wrong" not in refused.value.message


async def test_nobody_answers(runpod: RunpodApi) -> None:
    unused = f"{runpod.url}/not/the/api"
    async with RestApi("http://127.0.0.1:1/v2", KEY, first_delay=0) as api:
        with pytest.raises(DeploymentFailed, match=r"cannot be reached .* Check the network, and RUNPOD_REST_URL"):
            await api.gpus()
    async with RestApi(unused, KEY, first_delay=0) as api:
        with pytest.raises(DeploymentFailed, match="RunPod does not have it"):
            await api.volume("vol")


async def test_through_a_proxy(runpod: RunpodApi, monkeypatch: pytest.MonkeyPatch) -> None:
    """There is no such host: only the proxy can reach it."""
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.setenv("http_proxy", runpod.url.removesuffix("/v2"))
    async with RestApi("http://api.example.invalid/v2", KEY) as api:
        assert await api.gpus()


async def test_no_api_at_all() -> None:
    async def hello(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(hello, "127.0.0.1", 0)
    async with server, RestApi(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", KEY) as api:
        with pytest.raises(DeploymentFailed, match="does not answer like RunPod's REST API"):
            await api.gpus()
