"""LangChain's unmodified OpenAI classes, through the emulator's /openai route, to a real engine."""

import openai
import pytest
from langchain_core.messages import AIMessage, ToolMessage
from langchain_openai import ChatOpenAI, OpenAIEmbeddings
from pydantic import BaseModel, Field, SecretStr

from tests.acceptance.dev_server import DevServer

KEY = SecretStr("unused")
SUNNY = "It is sunny 😀 in İzmir."
QUICKLY = {"chat_template_kwargs": {"enable_thinking": False}}
PROMPT = "How is the weather?"


class get_weather(BaseModel):  # noqa: N801 - the function's name
    """The weather of a city."""

    city: str


class Person(BaseModel):
    """Somebody."""

    name: str = Field(max_length=20)
    age: int = Field(ge=1, le=99)


@pytest.fixture(autouse=True)
def _no_tracing(monkeypatch: pytest.MonkeyPatch) -> None:
    """LangChain would send its traces to its makers where a user's environment says so."""
    for name in ("LANGSMITH_TRACING", "LANGCHAIN_TRACING_V2"):
        monkeypatch.setenv(name, "false")


def chat(server: DevServer, **more: object) -> ChatOpenAI:
    return ChatOpenAI(base_url=server.openai_url, api_key=KEY, model="any", temperature=0, max_retries=0, **more)


def test_invoke(talker_dev: DevServer) -> None:
    message = chat(talker_dev, extra_body=QUICKLY).invoke(PROMPT)

    assert message.content == SUNNY
    assert message.usage_metadata is not None
    assert message.usage_metadata["output_tokens"] > 0


def test_stream(talker_dev: DevServer) -> None:
    chunks = list(chat(talker_dev, extra_body=QUICKLY, stream_usage=True).stream(PROMPT))

    assert "".join(str(chunk.content) for chunk in chunks) == SUNNY
    assert len(chunks) > 3
    assert [chunk.usage_metadata["output_tokens"] > 0 for chunk in chunks if chunk.usage_metadata] == [True]


async def test_at_the_same_time(talker_dev: DevServer) -> None:
    messages = await chat(talker_dev, extra_body=QUICKLY).abatch([PROMPT] * 4)

    assert [message.content for message in messages] == [SUNNY] * 4


def test_tools(talker_dev: DevServer) -> None:
    model = chat(talker_dev).bind_tools([get_weather])

    message = model.invoke(PROMPT)
    results = [ToolMessage("18 °C", tool_call_id=call["id"]) for call in message.tool_calls]
    answer = model.invoke([("user", PROMPT), message, *results])

    assert [(call["name"], call["args"]) for call in message.tool_calls] == [
        ("get_weather", {"city": "Ankara"}),
        ("get_weather", {"city": "İzmir"}),
    ]
    assert isinstance(answer, AIMessage)


def test_structured_output_by_a_function(talker_dev: DevServer) -> None:
    model = chat(talker_dev).with_structured_output(get_weather, method="function_calling")

    assert model.invoke(PROMPT) == get_weather(city="Ankara")


def test_structured_output_by_a_schema(dev: DevServer) -> None:
    model = chat(dev, max_completion_tokens=60).with_structured_output(Person, method="json_schema")

    person = model.invoke("Describe a person.")

    assert isinstance(person, Person)


def test_embeddings(talker_dev: DevServer) -> None:
    model = OpenAIEmbeddings(
        openai_api_base=talker_dev.openai_url,
        openai_api_key=KEY,
        model="any",
        check_embedding_ctx_length=False,
        max_retries=0,
    )

    cat, dog = model.embed_documents(["a cat", "bad dog"])

    assert model.embed_query("a cat") == pytest.approx(cat, abs=1e-6)
    assert cat != dog


def test_an_error_is_that_of_openais_client(talker_dev: DevServer) -> None:
    with pytest.raises(openai.BadRequestError, match="top_p"):
        chat(talker_dev, top_p=9.0).invoke(PROMPT)
