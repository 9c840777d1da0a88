from pathlib import Path

import pytest

from podworker.configuration import load_settings
from podworker.errors import InvalidInput, InvalidSettings
from podworker.inference.model_kind import GENERATES, ModelKind, Pooling, Task, model_kind
from podworker.models.metadata import ModelInfo
from podworker.models.validator import validate
from tests.gguf_files.encoders import embedding_model, reranker
from tests.gguf_files.tiny import TinyModel, llama, u32


@pytest.fixture
def info(tmp_path: Path, request: pytest.FixtureRequest) -> ModelInfo:
    model: TinyModel = request.param
    return validate(model.write(tmp_path / "model.gguf"))


def pooled(number: int) -> TinyModel:
    model = llama()
    model.entries["llama.pooling_type"] = u32(number)
    return model


def without_pooling(model: TinyModel) -> TinyModel:
    del model.entries["bert.pooling_type"]
    return model


EMBEDS = frozenset({Task.EMBED})
BOTH = frozenset({Task.EMBED, Task.GENERATE})
RERANKS = frozenset({Task.RERANK})


@pytest.mark.parametrize(
    ("info", "task", "kind"),
    [
        (llama(), "auto", GENERATES),
        (llama(), "generate", GENERATES),
        (llama(), "embed", ModelKind(BOTH, Pooling.LAST)),
        # made for embeddings from a model that wrote text: it says so by its pooling
        (pooled(1), "auto", ModelKind(BOTH, Pooling.MEAN, whole=True)),
        (pooled(2), "auto", ModelKind(BOTH, Pooling.CLS, whole=True)),
        (pooled(3), "auto", ModelKind(BOTH, Pooling.LAST)),
        (pooled(3), "generate", GENERATES),
        (pooled(4), "auto", ModelKind(RERANKS, Pooling.RANK)),
        (pooled(4), "rerank", ModelKind(RERANKS, Pooling.RANK)),
        (embedding_model(), "auto", ModelKind(EMBEDS, Pooling.MEAN, whole=True)),
        (embedding_model(), "embed", ModelKind(EMBEDS, Pooling.MEAN, whole=True)),
        (without_pooling(embedding_model()), "auto", ModelKind(EMBEDS, Pooling.MEAN, whole=True)),
        (reranker(), "auto", ModelKind(RERANKS, Pooling.RANK, whole=True)),
        # from before files said that they rerank
        (without_pooling(reranker()), "auto", ModelKind(RERANKS, Pooling.RANK, whole=True)),
        (reranker(), "embed", ModelKind(EMBEDS, Pooling.MEAN, whole=True)),
    ],
    indirect=["info"],
)
def test_what_a_model_can_do(info: ModelInfo, task: str, kind: ModelKind) -> None:
    assert model_kind(load_settings(model_task=task), info) == kind


@pytest.mark.parametrize(
    ("info", "task", "why"),
    [
        (embedding_model(), "generate", "writes no text"),
        (embedding_model(), "rerank", "has no layer that scores"),
        (llama(), "rerank", "has no layer that scores"),
    ],
    indirect=["info"],
)
def test_what_it_cannot_do_is_refused_at_the_start(info: ModelInfo, task: str, why: str) -> None:
    with pytest.raises(InvalidSettings, match=why) as caught:
        model_kind(load_settings(model_task=task), info)
    assert caught.value.param == "MODEL_TASK"


def test_a_route_that_it_cannot_answer() -> None:
    with pytest.raises(InvalidInput, match=r"it is served to generate\. Serve an embedding model, or set MODEL_TASK"):
        GENERATES.require(Task.EMBED, "/v1/embeddings")
    with pytest.raises(InvalidInput, match=r"it is served to embed\. Serve a model that writes text"):
        ModelKind(EMBEDS).require(Task.GENERATE, "/v1/chat/completions")
    ModelKind(BOTH).require(Task.GENERATE, "/v1/chat/completions")
    ModelKind(EMBEDS).require(None, "/tokenize")
