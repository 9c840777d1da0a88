"""The first token of a new engine process for a long system prompt: with the prompt's state on the volume, and without.

Measured from the start of the process, through the built-in handler: the model's load, the prompt's restore in every
slot, and one request. Only the imports of Python, which a worker does beside the load, are done before.
"""

import asyncio
import json
import statistics
import tempfile
import time
from pathlib import Path

from benchmarks.result import Figure, Ratio, Result
from podworker.configuration import Settings, load_settings
from podworker.gateway.job import Job
from podworker.inference.language_model import LanguageModel

SYSTEM = "You answer the guests of a large hotel. " + " ".join(
    f"Rule {number}: whoever lives on floor {number} has breakfast at table {number * 7}." for number in range(150)
)
"""At least 3,000 tokens, for every tokenizer."""
ROUNDS = 3
LIMIT = 0.1


def run() -> Result:
    """In turns, so that both ways have the same machine; the ratio is the median of the rounds'."""
    with tempfile.TemporaryDirectory() as folder:
        prompts = json.dumps([{"messages": [{"role": "system", "content": SYSTEM}]}])
        common = {"context_length": 6144, "slots": 4, "model_name": "demo"}
        without = load_settings(**common)
        warm = load_settings(**common, warm_prompts=prompts, warm_prompts_folder=Path(folder))
        filling, tokens = asyncio.run(_first_token(warm, saved_in=Path(folder)))
        cold_seconds, warm_seconds = [], []
        for _ in range(ROUNDS):
            cold_seconds.append(asyncio.run(_first_token(without))[0])
            warm_seconds.append(asyncio.run(_first_token(warm))[0])
    ratio = statistics.median(b / a for a, b in zip(cold_seconds, warm_seconds, strict=True))
    return Result(
        "warm",
        [
            Figure("tokens of the prompt", tokens, "tokens"),
            Figure("first token without warm prompts", statistics.median(cold_seconds), "s"),
            Figure("first token of the worker that computes and saves the state", filling, "s"),
            Figure("first token with warm prompts", statistics.median(warm_seconds), "s"),
        ],
        [Ratio("with warm prompts / without", ratio, at_most=LIMIT)],
    )


async def _first_token(settings: Settings, *, saved_in: Path | None = None) -> tuple[float, int]:
    """Seconds from the engine process's start to the first token, and the tokens of the prompt.

    Args:
        settings: Those of the worker.
        saved_in: The folder that the worker is to save the state in before it ends.
    """
    messages = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": "Where do I have breakfast?"}]
    job_input = {"messages": messages, "max_tokens": 1}
    model = LanguageModel()
    began = time.perf_counter()
    model.launch(settings)
    try:
        await model.start()
        answer = await model.run(Job("benchmark", job_input, {}))
        assert isinstance(answer, dict)  # noqa: S101 - not a stream: none was asked for
        seconds = time.perf_counter() - began
        while saved_in and not list(saved_in.glob("*.json")):  # noqa: ASYNC110, ASYNC240 - only the folder tells
            await asyncio.sleep(0.1)
    finally:
        await model.stop()
    return seconds, answer["usage"]["prompt_tokens"]
