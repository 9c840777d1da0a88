from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from podworker.errors import InvalidInput
from tests.capabilities.serving import EMBEDDINGS, RERANK, Served, serving
from tests.gguf_files.encoders import CONTEXT, reranker

pytestmark = pytest.mark.asyncio(loop_scope="module")

DOCUMENTS = ["bad dog", "good good good", "good dog", "the dog ran on the mat"]
BEST_FIRST = [1, 2, 3, 0]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def judge(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Served]:
    """A model that likes the word "good"."""
    path = reranker().write(tmp_path_factory.mktemp("reranker") / "reranker.gguf")
    async with serving(path, context_length=CONTEXT) as served:
        yield served


async def test_the_best_comes_first(judge: Served) -> None:
    answer = await judge.ask(RERANK, query="the cat", documents=DOCUMENTS)

    assert [result["index"] for result in answer["results"]] == BEST_FIRST
    scores = [result["relevance_score"] for result in answer["results"]]
    assert scores == sorted(scores, reverse=True)
    assert len(set(scores)) == len(DOCUMENTS)
    assert answer["usage"]["total_tokens"] > len(DOCUMENTS)


@pytest.mark.parametrize("count", [1, 2, 4, 9])
async def test_only_the_best(judge: Served, count: int) -> None:
    answer = await judge.ask(RERANK, query="the cat", documents=DOCUMENTS, top_n=count)

    assert [result["index"] for result in answer["results"]] == BEST_FIRST[:count]


async def test_more_documents_than_slots(judge: Served) -> None:
    documents = ["good " * count for count in range(1, 13)]

    answer = await judge.ask(RERANK, query="the cat", documents=documents)

    assert [result["index"] for result in answer["results"]] == list(reversed(range(12)))


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"documents": DOCUMENTS}, "query"),
        ({"query": "cat"}, "documents"),
        ({"query": "cat", "documents": []}, "documents"),
        ({"query": "cat", "documents": [5]}, "documents.0"),
        ({"query": "cat", "documents": DOCUMENTS, "top_n": 0}, "top_n"),
        ({"query": "cat", "documents": DOCUMENTS, "top_n": -3}, "top_n"),
    ],
)
async def test_a_wrong_field_is_named(judge: Served, body: dict[str, object], param: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        await judge.ask(RERANK, **body)

    assert caught.value.param == param


async def test_a_document_longer_than_the_context(judge: Served) -> None:
    with pytest.raises(InvalidInput) as caught:
        await judge.ask(RERANK, query="cat", documents=["good", "cat " * (CONTEXT + 1)])

    assert caught.value.error_code == "context_length_exceeded"


async def test_it_says_what_it_cannot_do(judge: Served) -> None:
    with pytest.raises(InvalidInput, match="rerank"):
        await judge.ask(EMBEDDINGS, input="cat")
