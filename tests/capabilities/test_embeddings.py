import base64
import math
import struct
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from podworker.errors import InvalidInput
from tests.capabilities.serving import CHAT, EMBEDDINGS, RERANK, Served, serving
from tests.gguf_files.demo import demo_model
from tests.gguf_files.encoders import CONTEXT, WIDTH, embedding_model

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def embedder(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Served]:
    """A model whose embeddings are the mean of its words'."""
    path = embedding_model().write(tmp_path_factory.mktemp("embedder") / "embedder.gguf")
    async with serving(path, context_length=CONTEXT) as served:
        yield served


async def embed(served: Served, *texts: str) -> list[list[float]]:
    answer = await served.ask(EMBEDDINGS, input=list(texts))
    assert [item["index"] for item in answer["data"]] == list(range(len(texts)))
    return [item["embedding"] for item in answer["data"]]


def likeness(a: list[float], b: list[float]) -> float:
    return sum(x * y for x, y in zip(a, b, strict=True))


async def test_texts_with_the_same_words_are_near(embedder: Served) -> None:
    cat, cats, dog = await embed(embedder, "the cat sat on the mat", "on the mat sat the cat", "good dog ran")

    assert len(cat) == WIDTH
    assert math.isclose(likeness(cat, cat), 1, abs_tol=1e-5), "they are normalized"
    assert likeness(cat, cats) > 0.999
    assert likeness(cat, dog) < 0.9


async def test_one_text(embedder: Served) -> None:
    answer = await embedder.ask(EMBEDDINGS, input="the cat")

    assert answer["object"] == "list"
    assert answer["data"][0]["embedding"] == (await embed(embedder, "the cat"))[0]
    assert answer["usage"]["prompt_tokens"] == answer["usage"]["total_tokens"] == 4


async def test_base64_is_the_same(embedder: Served) -> None:
    """OpenAI's client asks for it by default: 4-byte floats, the lowest byte first."""
    answer = await embedder.ask(EMBEDDINGS, input="the cat", encoding_format="base64")

    values = struct.unpack(f"<{WIDTH}f", base64.b64decode(answer["data"][0]["embedding"]))
    assert values == pytest.approx((await embed(embedder, "the cat"))[0], abs=1e-6)


async def test_a_batch_is_the_same_as_one_by_one(embedder: Served) -> None:
    """More texts than the model has slots."""
    texts = [f"the cat sat on mat {number}" for number in range(20)]

    together, alone = await embed(embedder, *texts), [(await embed(embedder, text))[0] for text in texts]

    assert all(likeness(*pair) > 0.9999 for pair in zip(together, alone, strict=True))


async def test_a_text_as_long_as_the_context(embedder: Served) -> None:
    (vector,) = await embed(embedder, "cat " * (CONTEXT - 2))

    assert len(vector) == WIDTH


async def test_a_text_longer_than_the_context(embedder: Served) -> None:
    with pytest.raises(InvalidInput) as caught:
        await embed(embedder, "cat " * (CONTEXT + 1))

    assert caught.value.error_code == "context_length_exceeded"
    assert caught.value.param == "input"


@pytest.mark.parametrize("wrong", ["", [], [""], 5, [["the"]], {}, None])
async def test_what_cannot_be_embedded(embedder: Served, wrong: object) -> None:
    with pytest.raises(InvalidInput) as caught:
        await embedder.ask(EMBEDDINGS, input=wrong)

    assert str(caught.value.param).startswith("input")


@pytest.mark.parametrize(
    ("route", "body"),
    [
        (CHAT, {"messages": [{"role": "user", "content": "Hello"}]}),
        (RERANK, {"query": "cat", "documents": ["dog"]}),
    ],
)
async def test_it_says_what_it_cannot_do(embedder: Served, route: str, body: dict[str, object]) -> None:
    with pytest.raises(InvalidInput, match="embed"):
        await embedder.ask(route, **body)


async def test_a_model_that_generates_says_what_to_set(demo: Served) -> None:
    with pytest.raises(InvalidInput, match="MODEL_TASK=embed"):
        await embed(demo, "A cat.")


async def test_a_model_that_generates_can_embed_instead() -> None:
    async with serving(demo_model(), model_task="embed", context_length=256) as served:
        cat, cats, prices = await embed(served, "A cat sat on the mat.", "The cat sat on a mat.", "Prices rose by 4 %.")

    assert likeness(cat, cats) > likeness(cat, prices)
