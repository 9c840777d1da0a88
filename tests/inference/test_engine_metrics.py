"""What a real engine tells of itself, and what its answers add to the metrics."""

import asyncio
import signal
from collections.abc import AsyncIterator, Callable, Mapping

import pytest
import pytest_asyncio

from podworker.configuration import load_settings
from podworker.gateway.stream import Stream
from podworker.inference import engine_metrics
from podworker.inference.engine import Engine
from podworker.inference.engine_metrics import EngineMetrics
from podworker.inference.engine_options import EngineOptions
from podworker.inference.exchange import Exchange
from podworker.inference.model_names import ModelNames
from podworker.inference.parameter_manager import ParameterManager
from podworker.monitoring import job_record
from podworker.monitoring.instruments import Distribution
from podworker.monitoring.job_metrics import count_jobs, observe_job
from podworker.monitoring.job_record import JobRecord, recording
from podworker.monitoring.metrics import REGISTRY
from tests.gguf_files.tiny import LONG_CONTEXT
from tests.inference.engines import ENDLESS, process_of, running, supervised

pytestmark = pytest.mark.asyncio(loop_scope="module")

SECONDS = 60.0
Points = Mapping[tuple[str, ...], float]
REQUEST = ("text_completion", "demo")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def engine(tiny: EngineOptions) -> AsyncIterator[Engine]:
    async with running(tiny, restarts=100) as engine, supervised(engine):
        yield engine


@pytest_asyncio.fixture(loop_scope="module")
async def measured(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[EngineMetrics]:
    """The engine is ready, has nothing to do, and is measured as in a worker that has just begun to."""
    monkeypatch.setattr(engine_metrics, "FRESH_SECONDS", 0.0)
    monkeypatch.setattr(job_record, "observers", [observe_job])
    await available(engine)
    REGISTRY.start()
    REGISTRY.add_collector(count_jobs)
    measured = EngineMetrics(engine)
    await until(lambda found: found.get("podworker.engine.slots") == {("busy",): 0, ("idle",): 2})
    yield measured
    measured.close()
    count_jobs()
    REGISTRY.stop()


async def available(engine: Engine) -> None:
    async with engine.request("GET", "/v1/models") as response:
        await response.read()


async def snapshot() -> dict[str, Points]:
    """By metric, the value of each series by its attributes' values; of a histogram, its sum."""
    taken = await asyncio.to_thread(REGISTRY.snapshot)
    return {
        metric.name: {
            tuple(point.attributes.values()): value.sum if isinstance(value := point.value, Distribution) else value
            for point in metric.points
        }
        for metric in taken.metrics
    }


async def until(condition: Callable[[dict[str, Points]], object]) -> dict[str, Points]:
    async with asyncio.timeout(SECONDS):
        while not condition(found := await snapshot()):  # noqa: ASYNC110 - only the engine can tell
            await asyncio.sleep(0.02)
    return found


@pytest.mark.usefixtures("measured")
async def test_slots_and_cache_fill_while_a_request_runs(engine: Engine) -> None:
    idle = await snapshot()
    assert idle["podworker.engine.kv_cache.limit"] == {(): 2 * LONG_CONTEXT}
    assert idle["process.memory.usage"]["engine",] > 1_000_000
    before = idle["podworker.engine.kv_cache.tokens"][()]
    async with engine.request("POST", "/v1/completions", ENDLESS) as response:
        await response.content.readline()
        await until(lambda found: found["podworker.engine.slots"] == {("busy",): 1, ("idle",): 1})
        await until(lambda found: found["podworker.engine.kv_cache.tokens"][()] > before + 100)
    await until(lambda found: found["podworker.engine.slots"]["busy",] == 0)


@pytest.mark.usefixtures("measured")
async def test_it_is_asked_once_a_second_at_most(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_metrics, "FRESH_SECONDS", 3600.0)
    async with engine.request("POST", "/v1/completions", ENDLESS) as response:
        await response.content.readline()
        assert (await snapshot())["podworker.engine.slots"]["busy",] == 0


@pytest.mark.usefixtures("measured")
async def test_an_engine_that_does_not_answer_leaves_the_last_values(engine: Engine) -> None:
    before = await snapshot()
    process = process_of(engine)
    process.send_signal(signal.SIGSTOP)
    try:
        frozen = await snapshot()
    finally:
        process.send_signal(signal.SIGCONT)
    assert frozen["podworker.engine.slots"] == before["podworker.engine.slots"]
    await available(engine)


@pytest.mark.usefixtures("measured")
async def test_a_killed_engine_is_counted_and_measured_again(engine: Engine) -> None:
    assert (await snapshot())["podworker.engine.restarts"] == {(): 0}
    process_of(engine).kill()
    found = await until(lambda found: "podworker.model.load.duration" in found)
    assert found["podworker.engine.restarts"] == {(): 1}
    assert found["podworker.model.load.duration"][()] > 0
    await until(lambda found: found.get("podworker.engine.slots") == {("busy",): 0, ("idle",): 2})


async def test_an_engine_that_is_no_more_tells_nothing(measured: EngineMetrics) -> None:
    measured.close()
    found = await snapshot()
    assert not {"podworker.engine.slots", "podworker.engine.kv_cache.tokens", "process.memory.usage"} & found.keys()


@pytest.mark.usefixtures("measured")
async def test_a_request_moves_what_is_told_of_requests(engine: Engine) -> None:
    manager = ParameterManager(load_settings(), context_length=LONG_CONTEXT, slots=2, images=False)
    exchange = Exchange(engine, manager, ModelNames("demo", ()))
    body = {"prompt": "Many words that are said twice", "max_tokens": 5, "ignore_eos": True, "stream": True}
    for number in range(2):
        with recording(JobRecord(str(number))) as record:
            answer = await exchange.run({"openai_route": "/v1/completions", "openai_input": body})
            assert isinstance(answer, Stream)
            async for _ in answer.chunks:
                pass
            record.end(None)
    found = await snapshot()
    usage = found["gen_ai.client.token.usage"]
    assert usage[*REQUEST, "output", "llama_cpp"] == 10
    assert usage[*REQUEST, "input", "llama_cpp"] > 0
    for name in ("request.duration", "time_to_first_token", "time_per_output_token"):
        assert found[f"gen_ai.server.{name}"][*REQUEST, "llama_cpp"] > 0
    assert found["podworker.generation.rate"][REQUEST] > 0
    assert found["podworker.prompt_cache.requests"]["true",] >= 1
    assert found["podworker.prompt_cache.tokens"][()] > 0
