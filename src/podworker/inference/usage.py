"""What a request to the engine used: tokens and times, as its answer tells them."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from podworker.errors import WorkerError
from podworker.inference import answers, protocols
from podworker.inference.request_form import EngineRequest
from podworker.monitoring import job_record
from podworker.monitoring.job_record import Generation

_FIGURES = ('"timings":', '"usage":')
"""What an event holds that tells figures. Inside a text the quotation marks would be escaped."""

_GREETINGS = ("event: response.created\n", "event: response.in_progress\n", "event: message_start\n", "event: ping\n")
_BEFORE_TEXT = ('"prompt_progress":{', '"delta":{"role":"assistant","content":null}')


class Usage:
    """Follows the answer to one request, for the record of the job that sent it.

    Args:
        request: The request.
        model: The model that answers it.
    """

    def __init__(self, request: EngineRequest, model: str) -> None:
        self.generation = Generation(request.route.path, model, streamed=request.stream)
        self._telling: dict[str, str] = {}
        record = job_record.current()
        if record is not None and request.route.task is not None:
            record.generations.append(self.generation)

    def event(self, event: str) -> None:
        """Note an event of a stream. Cheap: it comes for each token."""
        if self.generation.first_token is None and not _comes_before_text(event):
            self.generation.first_token = time.monotonic()
        for figures in _FIGURES:
            if figures in event and event != protocols.DONE:
                self._telling[figures] = event  # the last one counts; it is read at the end

    def answer(self, answer: Any) -> None:  # noqa: ANN401 - any JSON value
        """Read a whole answer, or what comes with the last events of a stream."""
        for part in _parts(answer):
            if isinstance(usage := part.get("usage"), Mapping):
                _read_usage(self.generation, usage)
            if isinstance(timings := part.get("timings"), Mapping):
                _read_timings(self.generation, timings)

    def end(self) -> None:
        """The request has ended, well or not."""
        self.generation.finished = time.monotonic()
        for event in dict.fromkeys(self._telling.values()):
            self.answer(answers.event_data(event))


@contextmanager
def measured(request: EngineRequest, model: str) -> Iterator[Usage]:
    """Note in the job's record what a request uses, and how it ends."""
    usage = Usage(request, model)
    try:
        yield usage
    except WorkerError as error:
        usage.generation.error_code = error.error_code
        raise
    finally:
        usage.end()


def _comes_before_text(event: str) -> bool:
    """Whether an event of a stream comes before its first token, or may: greetings, and reports on the prompt."""
    return event.startswith(_GREETINGS) or any(mark in event for mark in _BEFORE_TEXT)


def _parts(answer: Any) -> list[Mapping[str, Any]]:  # noqa: ANN401 - any JSON value
    """The objects that may hold figures: llama.cpp answers several prompts with a list, other protocols nest."""
    if isinstance(answer, list):
        return [part for one in answer for part in _parts(one)]
    if not isinstance(answer, Mapping):
        return []
    return [answer, *(part for name in ("response", "message") if isinstance(part := answer.get(name), Mapping))]


def _read_usage(generation: Generation, usage: Mapping[str, Any]) -> None:
    """OpenAI's names, those of its Responses, and Anthropic's, whose input does not count what was cached."""
    cached = usage.get("cache_read_input_tokens", 0)
    for details in ("prompt_tokens_details", "input_tokens_details"):
        generation.cached_tokens = (usage.get(details) or {}).get("cached_tokens", generation.cached_tokens)
    generation.cached_tokens = cached or generation.cached_tokens
    prompt = usage.get("prompt_tokens", usage.get("input_tokens"))
    if prompt is not None:
        generation.prompt_tokens = prompt + cached
    generation.output_tokens = usage.get("completion_tokens", usage.get("output_tokens", generation.output_tokens))


def _read_timings(generation: Generation, timings: Mapping[str, Any]) -> None:
    """llama.cpp's own; of several answers to one prompt it tells those of one, so that counts only fill gaps."""
    generation.prompt_seconds = timings["prompt_ms"] / 1000
    generation.output_seconds = timings["predicted_ms"] / 1000
    if not generation.prompt_tokens:
        generation.cached_tokens = timings.get("cache_n", 0)
        generation.prompt_tokens = timings["prompt_n"] + generation.cached_tokens
    if not generation.output_tokens:
        generation.output_tokens = timings["predicted_n"]
