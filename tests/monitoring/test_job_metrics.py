from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from podworker.errors import InvalidInput, ReturnedError, UnknownModel, WorkerBusy, WorkerError
from podworker.monitoring import job_metrics, metrics
from podworker.monitoring.instruments import Distribution
from podworker.monitoring.job_metrics import BATCH, MOST_CODES, count_jobs, observe_job
from podworker.monitoring.job_record import Generation, JobRecord, Outcome

REQUEST = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "demo"}
CHAT = {**REQUEST, "gen_ai.provider.name": "llama_cpp"}
"""What the conventions require."""


@pytest.fixture(autouse=True)
def measuring(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(job_metrics, "_custom_codes", set())
    metrics.REGISTRY.start()
    metrics.REGISTRY.add_collector(count_jobs)
    yield
    count_jobs()
    metrics.REGISTRY.stop()


def points(name: str) -> list[tuple[dict[str, str], object]]:
    """The attributes of each series, and its value; of a histogram the sum, where it has one value."""
    found = [metric for metric in metrics.REGISTRY.snapshot().metrics if metric.name == name]
    series: list[tuple[dict[str, str], object]] = []
    for point in found[0].points if found else ():
        value = point.value
        if isinstance(value, Distribution):
            assert value.count == sum(value.buckets) == 1
            value = value.sum
        series.append((dict(point.attributes), pytest.approx(value)))
    return series


def a_job(**given: object) -> JobRecord:
    record = JobRecord("1", arrived=100.0, started=101.0, answered=104.0, finished=104.5, outcome=Outcome.COMPLETED)
    for name, value in given.items():
        setattr(record, name, value)
    return record


def a_chat(**given: object) -> Generation:
    generation = Generation("/v1/chat/completions", "demo", started=101.0, first_token=101.5, finished=103.5)
    generation.prompt_tokens, generation.output_tokens, generation.output_seconds = 10, 21, 2.0
    for name, value in given.items():
        setattr(generation, name, value)
    return generation


def test_a_job_is_counted_and_its_times_measured() -> None:
    observe_job(a_job())
    assert points("podworker.jobs") == [({"outcome": "completed", "door": "queue"}, 1)]
    assert points("podworker.job.wait") == [({"door": "queue"}, 1.0)]
    assert points("podworker.job.duration") == [({"outcome": "completed", "door": "queue"}, 3.0)]
    assert points("podworker.job.delivery.duration") == [({}, 0.5)]


def test_only_the_queue_is_delivered_to() -> None:
    observe_job(a_job(door="http"))
    assert points("podworker.job.delivery.duration") == []


def test_a_job_that_was_cancelled_as_it_waited_has_only_an_end() -> None:
    observe_job(a_job(door="http", started=None, answered=None, outcome=Outcome.CANCELLED))
    assert points("podworker.jobs") == [({"outcome": "cancelled", "door": "http"}, 1)]
    assert points("podworker.job.wait") == []
    assert points("podworker.job.duration") == []


def test_a_failure_has_its_code() -> None:
    record = a_job()
    record.end(InvalidInput("no"))
    observe_job(record)
    failed = {"outcome": "failed", "error_code": "invalid_input", "fault": "client", "door": "queue"}
    assert points("podworker.jobs") == [(failed, 1)]


@pytest.mark.parametrize(
    ("error", "fault"),
    [
        (UnknownModel("no", code="model_not_found"), "client"),
        (WorkerError("no", code="too_ugly", status=422), "client"),
        (WorkerError("no"), "worker"),
        (WorkerBusy("no"), "worker"),
        (ReturnedError("no"), "worker"),
    ],
)
def test_whose_fault_it_was(error: WorkerError, fault: str) -> None:
    record = a_job()
    record.end(error)
    observe_job(record)
    ((attributes, _),) = points("podworker.jobs")
    assert attributes["fault"] == fault


def test_codes_of_handlers_are_bounded() -> None:
    for number in range(MOST_CODES + 10):
        record = a_job()
        record.end(WorkerError("no", code=f"code_{number}"))
        observe_job(record)
    codes = {attributes["error_code"]: value for attributes, value in points("podworker.jobs")}
    assert len(codes) == MOST_CODES + 1
    assert codes["code_0"] == 1
    assert codes["other"] == 10


@pytest.mark.parametrize("code", ["a whole sentence of a prompt", "x" * 65, "line\nbreak", ""])
def test_what_is_no_code_is_other(code: str) -> None:
    observe_job(a_job(outcome=Outcome.FAILED, error_code=code))
    ((attributes, _),) = points("podworker.jobs")
    assert attributes["error_code"] == "other"


def test_a_chat_is_measured_as_the_conventions_say() -> None:
    observe_job(a_job(generations=[a_chat()]))
    assert points("gen_ai.server.request.duration") == [(CHAT, 2.5)]
    assert points("gen_ai.server.time_to_first_token") == [(CHAT, 0.5)]
    assert points("gen_ai.server.time_per_output_token") == [(CHAT, 0.1)]
    assert points("gen_ai.client.token.usage") == [
        (CHAT | {"gen_ai.token.type": "input"}, 10),
        (CHAT | {"gen_ai.token.type": "output"}, 21),
    ]
    assert points("podworker.generation.rate") == [(REQUEST, 10.5)]
    assert points("podworker.prompt_cache.requests") == [({"hit": "false"}, 1)]
    assert points("podworker.prompt_cache.tokens") == [({}, 0)]


def test_cached_tokens_are_counted() -> None:
    observe_job(a_job(generations=[a_chat(cached_tokens=8)]))
    assert points("podworker.prompt_cache.requests") == [({"hit": "true"}, 1)]
    assert points("podworker.prompt_cache.tokens") == [({}, 8)]


def test_embeddings_have_neither_output_nor_cache() -> None:
    embedded = Generation("/v1/embeddings", "demo", started=101.0, finished=102.0, prompt_tokens=7)
    observe_job(a_job(generations=[embedded]))
    of = {**CHAT, "gen_ai.operation.name": "embeddings"}
    assert points("gen_ai.server.request.duration") == [(of, 1.0)]
    assert points("gen_ai.client.token.usage") == [(of | {"gen_ai.token.type": "input"}, 7)]
    assert points("gen_ai.server.time_to_first_token") == points("podworker.prompt_cache.requests") == []


@pytest.mark.parametrize(
    ("job", "code", "error"),
    [({}, "engine_crashed", "engine_crashed"), ({"outcome": Outcome.CANCELLED}, None, "cancelled")],
)
def test_a_request_that_failed_says_so(job: dict[str, object], code: str | None, error: str) -> None:
    observe_job(a_job(generations=[a_chat(error_code=code)], **job))
    assert points("gen_ai.server.request.duration") == [(CHAT | {"error.type": error}, 2.5)]
    for name in ("time_to_first_token", "time_per_output_token"):
        assert bool(points(f"gen_ai.server.{name}")) is (code is None), "only of answers that did not fail"


def test_one_token_has_no_rate() -> None:
    observe_job(a_job(generations=[a_chat(output_tokens=1, output_seconds=0.000001)]))
    assert points("podworker.generation.rate") == points("gen_ai.server.time_per_output_token") == []


def test_a_job_is_counted_before_anybody_reads_once_there_are_many() -> None:
    for _ in range(BATCH):
        assert not metrics.JOBS.read().points
        observe_job(a_job())
    assert [point.value for point in metrics.JOBS.read().points] == [BATCH]


def test_two_threads_count_each_job_once() -> None:
    jobs = 20 * BATCH
    with ThreadPoolExecutor(2) as threads:
        reading = [threads.submit(metrics.REGISTRY.snapshot) for _ in range(200)]
        for _ in range(jobs):
            observe_job(a_job())
        for one in reading:
            one.result()
    assert points("podworker.jobs") == [({"outcome": "completed", "door": "queue"}, jobs)]
