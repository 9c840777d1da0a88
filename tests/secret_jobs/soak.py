"""Jobs with secrets in prompts, settings, URLs and errors, over both doors, and the search for them in what comes out.

That is each log line, error, metric (of `/metrics` and as an OTLP receiver got it) and trace.
"""

import argparse
import asyncio
import json
import random
import secrets
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import aiohttp

from podworker.emulator import Emulator
from podworker.emulator.jobs import Job
from tests.http_worker import http_worker
from tests.otlp_receiver import OtlpReceiver, attributes, otlp_receiver
from tests.secret_jobs import handler
from tests.secret_jobs.secrets import CANARY, MARK, Search, Secrets
from tests.worker_process import SECONDS, worker

HANDLER = [str(Path(handler.__file__).resolve())]
AT_ONCE = 20
OPENMETRICS = "application/openmetrics-text; version=1.0.0"
CALLER = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
ALSO_FETCHED = ("/health", "/ping", "/openapi.json", "/metrics")
"""What the HTTP door tells besides answers: searched at the end."""


@dataclass(frozen=True)
class Plan:
    """One run."""

    jobs: int
    """Of each door."""
    seed: int = 1
    log_format: str = "json"
    log_content: bool = False
    environment: Mapping[str, str] = field(default_factory=dict)
    """More variables for the workers: where they send metrics and traces."""

    @property
    def variables(self) -> dict[str, str]:
        """Those of a worker, but for its secrets."""
        chosen = {"LOG_FORMAT": self.log_format, "LOG_CONTENT": str(self.log_content), "LOG_LEVEL": "debug"}
        return {"RUNPOD_LOG_LEVEL": "DEBUG", "QUEUE_LIMIT": "100", **chosen, **self.environment}

    def search_log(self, search: Search, where: str, text: str) -> None:
        """Search a worker's log: each line has our form; secrets are nowhere, prompts only where they are allowed."""
        assert self.log_format != "json" or all("message" in json.loads(line) for line in text.splitlines()), text
        search.add(where, text, marks=(MARK,) if self.log_content else (MARK, CANARY))


async def queue_jobs(plan: Plan, search: Search, folder: Path) -> None:
    """Run jobs of RunPod's queue. The heartbeat cannot send its pings, and says so with its address."""
    made = Secrets(random.Random(plan.seed))  # noqa: S311 - repeatable
    own = made.environment()
    ping = {"RUNPOD_WEBHOOK_PING": f"http://[none?token={own['HF_TOKEN']}", "RUNPOD_PING_INTERVAL": "2000"}
    emulator = Emulator(port=0)
    slots = asyncio.Semaphore(AT_ONCE)

    async def one(number: int) -> None:
        job = Job(input=_input(made, number))
        async with slots:
            emulator.platform.submit(job)
            async with asyncio.timeout(SECONDS):
                await job.news.wait_until(lambda: job.state.final)
        search.add("errors of the queue", json.dumps(job.error))

    sockets = {"XDG_RUNTIME_DIR": str(folder / "queue")}
    (folder / "queue").mkdir()
    async with worker(folder, HANDLER, emulator, **own, **plan.variables, **ping, **sockets) as subject:
        await subject.ready()
        await subject.printed("Ping Request Error")
        subject.listen()
        async with asyncio.TaskGroup() as group:
            for number in range(plan.jobs):
                group.create_task(one(number))
        (socket,) = (folder / "queue").glob("*/*.sock")
        async with aiohttp.ClientSession("http://w", connector=aiohttp.UnixConnector(str(socket))) as session:
            await fetch(session, ("/health", "/metrics"), search, "at the socket of the queue's worker")
        subject.process.terminate()
        assert await subject.ended() == 0
        await subject.drained()
    plan.search_log(search, "log of the queue", subject.output)


async def http_jobs(plan: Plan, search: Search, folder: Path) -> None:
    """Run jobs that come by HTTP, and requests that are refused."""
    made = Secrets(random.Random(plan.seed + 1))  # noqa: S311 - repeatable
    own = made.environment()
    slots = asyncio.Semaphore(AT_ONCE)
    key = {"Authorization": f"Bearer {own['API_KEYS'].partition(',')[0]}"}

    async with (
        http_worker(folder, HANDLER, MODE="http", **own, **plan.variables) as subject,
        aiohttp.ClientSession(subject.url, timeout=aiohttp.ClientTimeout(120)) as session,
    ):

        async def one(number: int) -> None:
            paths = ("/runsync", f"/runsync?token={made.value()}", f"/{made.value('hf_')}", "/status/x", "/v1/none")
            path = paths[0] if number % 10 < 6 else paths[number % 10 - 5]
            named = {"X-Request-ID": made.value("sk-"), "traceparent": CALLER, "tracestate": f"a={made.value('sk-')}"}
            headers = {} if number % 50 == 5 else {**key, **named}
            data = "{" if number % 50 == 6 else json.dumps({"input": _input(made, number)})
            async with slots, session.post(path, data=data, headers=headers) as answer:
                search.add("errors by HTTP", json.dumps(_error(await answer.json())))

        await subject.ready()
        async with asyncio.TaskGroup() as group:
            for number in range(plan.jobs):
                group.create_task(one(number))
        session.headers.update(key)
        await fetch(session, ALSO_FETCHED, search, "by HTTP")
        subject.process.terminate()
        assert await subject.exit_code() == 0
    plan.search_log(search, "log of HTTP", subject.output)


async def fetch(session: aiohttp.ClientSession, paths: Iterable[str], search: Search, where: str) -> None:
    """Search what a worker tells of itself; the metrics in both forms."""
    for path in paths:
        for accept in ("*/*", OPENMETRICS) if path == "/metrics" else ("*/*",):
            async with session.get(path, headers={"Accept": accept}) as answer:
                search.add(f"{path} {where}", await answer.text(), marks=(MARK, CANARY))


def search_telemetry(search: Search, receiver: OtlpReceiver) -> None:
    """Search each post, byte for byte."""
    for path, body in receiver.bodies:
        search.add(f"OTLP, {path}", body.decode(errors="replace"), marks=(MARK, CANARY))


def _input(made: Secrets, number: int) -> dict[str, object]:
    return {"number": number, "secret": made.text(), "prompt": f"{CANARY} {made.text()}"}


def _error(answer: Mapping[str, object]) -> object:
    """The error, but for the output beside it, which is the handler's own."""
    return answer.get("error")


async def soak(plan: Plan) -> Search:
    """Run a plan; what was found."""
    search = Search()
    async with otlp_receiver() as receiver:
        to = {"OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url, "TRACES": "true"}
        plan = replace(plan, environment={**plan.environment, **to})
        with tempfile.TemporaryDirectory() as folder:
            await asyncio.gather(queue_jobs(plan, search, Path(folder)), http_jobs(plan, search, Path(folder)))
        search_telemetry(search, receiver)
        traced = Counter(attributes(span.attributes).get("faas.trigger") for span in receiver.spans())
        assert traced["pubsub"] == plan.jobs, traced
        assert traced["http"], traced
    return search


def main() -> None:
    """Run the soak in each form of the log, and print what it searched and found."""
    parser = argparse.ArgumentParser(prog="scripts/soak secrets", description=__doc__)
    parser.add_argument("--jobs", type=int, default=1000, help="how many jobs each door gets, in each form of the log")
    parser.add_argument("--seed", type=int, default=secrets.randbits(32), help="repeats an earlier run")
    options = parser.parse_args()
    sys.stdout.write(f"seed {options.seed}\n")
    leaks: list[str] = []
    for log_format, log_content in (("json", False), ("text", True)):
        plan = Plan(options.jobs, options.seed, log_format, log_content)
        search = asyncio.run(soak(plan))
        for where, characters in sorted(search.characters.items()):
            sys.stdout.write(f"{log_format} LOG_CONTENT={log_content}: {characters:12,} characters of {where}\n")
        leaks += search.leaks
    sys.stdout.write("\n".join([*leaks[:50], f"{len(leaks)} places with a secret\n"]))
    sys.exit(1 if leaks else 0)


if __name__ == "__main__":
    main()
