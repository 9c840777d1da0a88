from collections.abc import AsyncIterator

import pytest

from podworker.errors import EngineCrashed, HandlerFailed, InvalidInput, WorkerError
from podworker.inference import answers
from podworker.inference.protocols import ANTHROPIC, DONE, LLAMA, OPENAI, RESPONSES, Protocol

MESSAGE = "It crashed: größe\n\nSend it again."


@pytest.mark.parametrize(
    ("protocol", "event", "is_end"),
    [
        (OPENAI, DONE, True),
        (OPENAI, 'data: {"choices": [{"text": "data: [DONE]"}]}\n\n', False),
        (RESPONSES, "event: response.completed\ndata: {}\n\n", True),
        (RESPONSES, "event: response.incomplete\ndata: {}\n\n", True),
        (RESPONSES, "event: response.failed\ndata: {}\n\n", True),
        (RESPONSES, "event: response.output_text.done\ndata: {}\n\n", False),
        (RESPONSES, DONE, False),
        (ANTHROPIC, 'event: message_stop\ndata: {"type":"message_stop"}\n\n', True),
        (ANTHROPIC, "event: message_delta\ndata: {}\n\n", False),
        (ANTHROPIC, "event: content_block_stop\ndata: {}\n\n", False),
        (LLAMA, 'data: {"content":"","stop":true}\n\n', True),
        (LLAMA, 'data: {"content":"a","stop":false}\n\n', False),
        (LLAMA, 'data: {"content":"\\"stop\\":true","stop":false}\n\n', False),
    ],
)
def test_the_end_of_a_stream(protocol: Protocol, event: str, is_end: bool) -> None:
    assert protocol.is_end(event) is is_end


@pytest.mark.parametrize("protocol", [OPENAI, RESPONSES, ANTHROPIC, LLAMA])
async def test_an_error_event_is_one_event(protocol: Protocol) -> None:
    event = protocol.error_event(EngineCrashed(MESSAGE))

    async def body() -> AsyncIterator[bytes]:
        yield event.encode()

    assert [found async for found in answers.events(body())] == [event]
    assert answers.is_error(event)
    assert not protocol.is_end(event)
    assert answers.event_data(event)["error"]["message"] == MESSAGE


def test_openais_error_event() -> None:
    error = EngineCrashed(MESSAGE)
    assert answers.event_data(OPENAI.error_event(error)) == {"error": error.body()}


def test_the_error_event_of_responses() -> None:
    event = RESPONSES.error_event(InvalidInput(MESSAGE, param="input"))
    assert event.startswith("event: error\n")
    data = answers.event_data(event)
    assert (data["type"], data["code"], data["message"], data["param"]) == ("error", "invalid_input", MESSAGE, "input")


@pytest.mark.parametrize(
    ("error", "kind"),
    [(InvalidInput, "invalid_request_error"), (EngineCrashed, "overloaded_error"), (HandlerFailed, "api_error")],
)
def test_anthropics_error_event(error: type[WorkerError], kind: str) -> None:
    event = ANTHROPIC.error_event(error(MESSAGE))
    assert event.startswith("event: error\n")
    assert answers.event_data(event) == {"type": "error", "error": {"type": kind, "message": MESSAGE}}
