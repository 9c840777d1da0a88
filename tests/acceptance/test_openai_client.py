"""The unmodified OpenAI client, through the emulator's /openai route, to the real model."""

from collections.abc import Iterator

import openai
import pytest
from openai import OpenAI
from openai.types.chat import ChatCompletionMessageParam, ChatCompletionToolParam
from openai.types.responses import FunctionToolParam
from pydantic import BaseModel, Field

from tests.acceptance.dev_server import SAME_EACH_TIME, DevServer

CHAT: list[ChatCompletionMessageParam] = [{"role": "user", "content": "Name the colours of the rainbow."}]


SUNNY = "It is sunny 😀 in İzmir."
QUICKLY = {"chat_template_kwargs": {"enable_thinking": False}}
CITIES = ['{"city": "Ankara"}', '{"city": "İzmir"}']
PARAMETERS: dict[str, object] = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
WEATHER: ChatCompletionToolParam = {
    "type": "function",
    "function": {"name": "get_weather", "parameters": PARAMETERS},
}
FLAT_WEATHER: FunctionToolParam = {"type": "function", "name": "get_weather", "parameters": PARAMETERS, "strict": None}


class Person(BaseModel):
    name: str = Field(max_length=20)
    age: int = Field(ge=1, le=99)


@pytest.fixture
def talker(talker_dev: DevServer) -> Iterator[OpenAI]:
    with OpenAI(base_url=talker_dev.openai_url, api_key="unused", max_retries=0) as client:
        yield client


@pytest.fixture
def client(dev: DevServer) -> Iterator[OpenAI]:
    with OpenAI(base_url=dev.openai_url, api_key="unused", max_retries=0) as client:
        yield client


def test_chat(client: OpenAI) -> None:
    answer = client.chat.completions.create(model="any", messages=CHAT, max_tokens=12, extra_body=SAME_EACH_TIME)

    assert answer.choices[0].message.content
    assert answer.choices[0].finish_reason == "length"
    assert answer.usage is not None
    assert answer.usage.completion_tokens == 12
    assert answer.model == "SmolLM2-135M-Instruct.Q4_1"


def test_chat_streamed(client: OpenAI) -> None:
    whole = client.chat.completions.create(model="any", messages=CHAT, max_tokens=12, extra_body=SAME_EACH_TIME)

    chunks = list(
        client.chat.completions.create(
            model="any",
            messages=CHAT,
            max_tokens=12,
            extra_body=SAME_EACH_TIME,
            stream=True,
            stream_options={"include_usage": True},
        )
    )

    text = "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices)
    assert text == whole.choices[0].message.content
    assert [c.finish_reason for chunk in chunks for c in chunk.choices if c.finish_reason] == ["length"]
    assert [chunk.usage.completion_tokens for chunk in chunks if chunk.usage] == [12]


def test_completion_whole_and_streamed_are_the_same_text(client: OpenAI) -> None:
    whole = client.completions.create(model="any", prompt="Once upon a time", max_tokens=12, extra_body=SAME_EACH_TIME)
    chunks = client.completions.create(
        model="any", prompt="Once upon a time", max_tokens=12, extra_body=SAME_EACH_TIME, stream=True
    )

    assert whole.choices[0].text
    assert "".join(chunk.choices[0].text for chunk in chunks if chunk.choices) == whole.choices[0].text


def test_models(client: OpenAI) -> None:
    assert [model.id for model in client.models.list()] == ["SmolLM2-135M-Instruct.Q4_1"]


def test_two_streams_at_once_take_turns(dev: DevServer, client: OpenAI) -> None:
    """The second one's tokens all come while the first one's still do."""
    stream = client.chat.completions.create(
        model="any", messages=CHAT, max_tokens=400, stream=True, extra_body={"ignore_eos": True}
    )
    next(stream)
    assert list(client.chat.completions.create(model="any", messages=CHAT, max_tokens=4, stream=True))

    assert dev.http.get(f"{dev.base_url}/health").json()["jobs"]["inProgress"] == 1
    stream.close()  # a client that hangs up cancels its job


def test_a_wrong_parameter_is_named(client: OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(model="any", messages=CHAT, max_tokens=-5)

    assert caught.value.param == "max_tokens"
    assert "got -5, allowed is a whole number from 1" in caught.value.message


def test_a_wrong_parameter_of_a_stream_is_named(client: OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(model="any", messages=CHAT, top_p=9, stream=True)

    assert caught.value.param == "top_p"


def test_a_prompt_longer_than_the_context(client: OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(model="any", messages=[{"role": "user", "content": "word " * 3000}])

    assert caught.value.code == "context_length_exceeded"
    assert caught.value.param == "messages"
    assert "the context holds 512" in caught.value.message


def test_an_unknown_route(client: OpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as caught:
        client.fine_tuning.jobs.list()

    assert caught.value.code == "unknown_route"
    assert "/v1/fine_tuning/jobs" in caught.value.message


def test_a_route_that_the_model_cannot_answer(client: OpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="MODEL_TASK=embed"):
        client.embeddings.create(model="any", input="text")


def test_an_answer_parsed_into_a_class(client: OpenAI) -> None:
    answer = client.chat.completions.parse(
        model="any",
        messages=[{"role": "user", "content": "Describe a person."}],
        response_format=Person,
        max_tokens=60,
        temperature=0,
    )

    person = answer.choices[0].message.parsed
    assert person is not None
    assert 1 <= person.age <= 99


def test_tools(talker: OpenAI) -> None:
    answer = talker.chat.completions.create(model="any", messages=CHAT, tools=[WEATHER], temperature=0)

    calls = answer.choices[0].message.tool_calls or []
    assert [call.function.arguments for call in calls if call.type == "function"] == CITIES


def test_tools_streamed(talker: OpenAI) -> None:
    with talker.chat.completions.stream(model="any", messages=CHAT, tools=[WEATHER], temperature=0) as stream:
        message = stream.get_final_completion().choices[0].message

    assert [call.function.arguments for call in message.tool_calls or []] == CITIES
    assert message.content is not None
    assert message.content.startswith("Let me look.")


def test_a_response(talker: OpenAI) -> None:
    response = talker.responses.create(model="any", input="How is the weather?", extra_body=QUICKLY)

    assert response.status == "completed"
    assert response.output_text == SUNNY
    assert response.usage is not None
    assert response.usage.output_tokens > 0


def test_a_response_streamed(talker: OpenAI) -> None:
    events = list(talker.responses.create(model="any", input="How is the weather?", stream=True, extra_body=QUICKLY))

    assert "".join(event.delta for event in events if event.type == "response.output_text.delta") == SUNNY
    assert events[-1].type == "response.completed"
    assert events[-1].response.output_text == SUNNY


def test_a_response_with_thoughts_and_tools(talker: OpenAI) -> None:
    with talker.responses.stream(model="any", input="How is the weather?", tools=[FLAT_WEATHER]) as stream:
        response = stream.get_final_response()

    assert [item.type for item in response.output] == ["reasoning", "message", "function_call", "function_call"]
    assert [item.arguments for item in response.output if item.type == "function_call"] == CITIES


def test_a_wrong_parameter_of_a_response(talker: OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        talker.responses.create(model="any", input="Hello", top_p=2)

    assert caught.value.param == "top_p"


def test_embeddings(talker: OpenAI) -> None:
    answer = talker.embeddings.create(model="any", input=["a cat", "bad dog"])  # in base64, by default
    plain = talker.embeddings.create(model="any", input="a cat", encoding_format="float")

    assert [item.index for item in answer.data] == [0, 1]
    assert answer.data[0].embedding == pytest.approx(plain.data[0].embedding, abs=1e-6)
    assert sum(number**2 for number in answer.data[0].embedding) == pytest.approx(1, abs=1e-5)
