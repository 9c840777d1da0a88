"""Malformed requests by the thousand: each is answered, or refused with an error of ours, and the engine lives on."""

import argparse
import asyncio
import json
import logging
import re
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path
from typing import Any

import hypothesis
from hypothesis import HealthCheck, Phase, given

from podworker.errors import WorkerError
from podworker.inference.language_model import LanguageModel
from tests.gguf_files.characters import talker
from tests.gguf_files.encoders import embedding_model, reranker
from tests.gguf_files.projector import projector
from tests.random_requests.jobs import loaded, run_job
from tests.random_requests.malformed import malformed

SECONDS = 60.0
"""The longest that any of them may take, however slow and busy the machine is. Most take milliseconds."""
LONGEST_MESSAGE = 20_000
"""Characters."""

_LEAKS = re.compile(
    r"Traceback|File \"|line \d+, in |<class '|object at 0x|\w+Error\(|\.py\b|\[json\.exception|std::|(?<!llama)\.cpp\b"
    r"|errors\.pydantic|validation error"
)
"""What no client should read: Python's words, and C++'s."""


def fault(error: WorkerError | None) -> str:
    """What is wrong with how a job ended; nothing where all is well."""
    if error is None:
        return ""
    text = json.dumps(error.body(), ensure_ascii=False)[:600]
    if not 400 <= error.status < 500:
        return f"{type(error).__name__} of status {error.status}: {text}"
    if (leak := _LEAKS.search(error.message)) is not None:
        return f"says {leak[0]!r}: {text}"
    if not 0 < len(error.message.strip()) <= LONGEST_MESSAGE:
        return f"a message of {len(error.message)} characters: {text}"
    return ""


class Models:
    """One model of each kind, loaded; a request goes to the one that can answer it."""

    def __init__(self, runner: asyncio.Runner, models: dict[str, LanguageModel]) -> None:
        self._runner = runner
        self._models = models
        self._pids = {name: model.engine.pid for name, model in models.items()}
        self.ended: Counter[str] = Counter()

    def fault(self, job_input: Any) -> str:  # noqa: ANN401 - any JSON value
        """Send a request; what is wrong with what becomes of it."""
        name = (
            "embedding"
            if _mentions(job_input, "embeddings")
            else "rerank"
            if _mentions(job_input, "rerank")
            else "chat"
        )
        try:
            ended = self._runner.run(asyncio.wait_for(run_job(self._models[name], job_input), SECONDS))
        except TimeoutError:
            return f"took more than {SECONDS:g} s"
        self.ended[_kind(ended.result.error)] += 1
        if self._models[name].engine.pid != self._pids[name]:
            return "killed the engine"
        return fault(ended.result.error)


def _mentions(job_input: Any, word: str) -> bool:  # noqa: ANN401 - any JSON value
    names = (job_input.get("route"), job_input.get("openai_route")) if isinstance(job_input, dict) else ()
    return any(isinstance(name, str) and word in name for name in names)


def _kind(error: WorkerError | None) -> str:
    return "answered" if error is None else f"{error.status} {error.error_code}"


@contextmanager
def models(folder: Path) -> Iterator[Models]:
    """Load them."""
    with asyncio.Runner() as runner:
        stack = AsyncExitStack()
        try:
            yield Models(runner, runner.run(_load(stack, folder)))
        finally:
            runner.run(stack.aclose())


async def _load(stack: AsyncExitStack, folder: Path) -> dict[str, LanguageModel]:
    chat = talker()
    eyes = projector(chat.tensors["token_embd.weight"].shape[1]).write(folder / "eyes.gguf")
    contexts = {
        "chat": loaded(chat.write(folder / "chat.gguf"), mmproj=str(eyes), context_length=1024),
        "embedding": loaded(embedding_model().write(folder / "embedding.gguf"), context_length=512),
        "rerank": loaded(reranker().write(folder / "rerank.gguf"), context_length=512),
    }
    return {name: await stack.enter_async_context(context) for name, context in contexts.items()}


def main() -> None:
    """`scripts/soak requests`."""
    parser = argparse.ArgumentParser(prog="scripts/soak requests", description=__doc__)
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    logging.basicConfig(level=logging.CRITICAL)  # each refusal is a line
    wrong: dict[str, str] = {}
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder, models(Path(folder)) as served:

        @hypothesis.seed(options.seed)
        @hypothesis.settings(
            max_examples=options.requests,
            phases=[Phase.generate],
            database=None,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        )
        @given(malformed())
        def send(job_input: Any) -> None:  # noqa: ANN401 - any JSON value
            if found := served.fault(job_input):
                shown = repr(job_input)[:800]
                key = re.sub(r"\d+", "", found)[:80]
                if key not in wrong:
                    sys.stdout.write(f"WRONG {found}\n  {shown}\n")
                    sys.stdout.flush()
                wrong.setdefault(key, shown)

        send()
        ended = served.ended
    for kind, count in ended.most_common():
        sys.stdout.write(f"{count:6} {kind}\n")
    sys.stdout.write(f"{ended.total()} requests in {time.monotonic() - began:.0f} s, {len(wrong)} kinds of faults\n")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
