import pytest

from tests.inference.parameters.preparing import DETOKENIZE, EMBEDDINGS, RERANK, TOKENIZE, prepared, refused


@pytest.mark.parametrize("text", ["Hi", ["Hi"] * 2048, [1, 2], [[1], [2]]])
def test_embeddings(text: object) -> None:
    assert prepared(EMBEDDINGS, {"input": text, "encoding_format": "base64", "user": "x"}) == {
        "input": text,
        "encoding_format": "base64",
    }


@pytest.mark.parametrize("text", ["", [], ["a"] * 2049, 5, None, [""]])
def test_what_cannot_be_embedded(text: object) -> None:
    assert refused(EMBEDDINGS, {"input": text}).startswith("input: got ")


def test_documents_become_texts() -> None:
    assert prepared(RERANK, {"documents": ["a", {"text": "b", "id": 1}], "top_n": 1})["documents"] == ["a", "b"]
    assert prepared(RERANK, {"documents": None, "texts": ["a"]})["texts"] == ["a"]
    assert refused(RERANK, {"documents": None}) == "documents: is missing."
    assert refused(RERANK, {"texts": ["a"]}) == "texts: means the same as documents: send one of them."
    assert refused(RERANK, {"documents": []}).startswith("documents: got []")
    assert refused(RERANK, {"documents": ["a", 5]}).startswith("documents.1: got 5, allowed is text or an object")
    assert refused(RERANK, {"query": ""}).startswith('query: got ""')


@pytest.mark.parametrize("content", ["", "Hi", [], [1], ["a", 1]])
def test_tokenize(content: object) -> None:
    assert prepared(TOKENIZE, {"content": content, "with_pieces": True}) == {"content": content, "with_pieces": True}


def test_what_is_no_text_and_no_tokens() -> None:
    contents: list[object] = [5, {}, [-1], [[1]], None]
    for content in contents:
        assert refused(TOKENIZE, {"content": content}).startswith("content: got ")
    numbers: list[object] = ["a", [-1], [2**31], ["a"], [True], None]
    for tokens in numbers:
        assert refused(DETOKENIZE, {"tokens": tokens}).startswith("tokens: got ")
    assert prepared(DETOKENIZE, {"tokens": []}) == {"tokens": []}
