"""What a model can do: write text, turn text into vectors, or judge how well documents answer a question."""

from dataclasses import dataclass
from enum import StrEnum

from podworker.configuration import Settings
from podworker.errors import InvalidInput, InvalidSettings
from podworker.models.metadata import ModelInfo


class Task(StrEnum):
    """What a route asks of a model."""

    GENERATE = "generate"
    EMBED = "embed"
    RERANK = "rerank"


class Pooling(StrEnum):
    """How the vectors of a text's tokens become one: llama.cpp's names."""

    MEAN = "mean"
    CLS = "cls"
    LAST = "last"
    RANK = "rank"


_POOLING = {1: Pooling.MEAN, 2: Pooling.CLS, 3: Pooling.LAST, 4: Pooling.RANK}
"""By the number in a model's metadata: llama.cpp's `llama_pooling_type`."""

ENCODERS = frozenset(
    {
        "bert",
        "eurobert",
        "gemma-embedding",
        "gemma-embedding2",
        "jina-bert-v2",
        "jina-bert-v3",
        "llama-embed",
        "modern-bert",
        "neo-bert",
        "nomic-bert",
        "nomic-bert-moe",
        "t5encoder",
    }
)
"""Architectures of llama.cpp that read a text and write none."""

_HELP = {
    Task.GENERATE: "Serve a model that writes text",
    Task.EMBED: "Serve an embedding model, or set MODEL_TASK=embed on the endpoint",
    Task.RERANK: "Serve a reranking model, such as bge-reranker-v2-m3",
}


@dataclass(frozen=True)
class ModelKind:
    """What the served model can do.

    Attributes:
        tasks: What it is started for.
        pooling: How it makes one vector of a text; None if it makes none.
        whole: It must read each text in one go: the batch must hold the longest.
    """

    tasks: frozenset[Task]
    pooling: Pooling | None = None
    whole: bool = False

    def require(self, task: Task | None, route: str) -> None:
        """Refuse a request that this model cannot answer.

        Raises:
            InvalidInput: It is not started for the task; the message says what to do.
        """
        if task is not None and task not in self.tasks:
            can = " and ".join(sorted(self.tasks))
            raise InvalidInput(
                f"The model of this endpoint cannot answer {route}: it is served to {can}. {_HELP[task]}.",
                code="unsupported_task",
            )


GENERATES = ModelKind(frozenset({Task.GENERATE}))


def model_kind(settings: Settings, model: ModelInfo) -> ModelKind:
    """What the model can do by its metadata, or what MODEL_TASK wants of it.

    Raises:
        InvalidSettings: It cannot do what MODEL_TASK says.
    """
    encoder = model.architecture in ENCODERS
    pooling = _POOLING.get(model.pooling_type or 0)
    task = _chosen(settings) or _own_task(model, pooling)
    if task is Task.GENERATE:
        if encoder:
            raise _impossible(model, task, "writes no text")
        return GENERATES
    if task is Task.RERANK:
        if not model.classifier and pooling is not Pooling.RANK:
            raise _impossible(model, task, "has no layer that scores (cls.weight or cls.output.weight)")
        return ModelKind(frozenset({Task.RERANK}), Pooling.RANK, whole=encoder)
    tasks = {Task.EMBED} if encoder else {Task.EMBED, Task.GENERATE}
    if pooling in {None, Pooling.RANK}:
        pooling = Pooling.MEAN if encoder else Pooling.LAST
    return ModelKind(frozenset(tasks), pooling, whole=encoder or pooling is not Pooling.LAST)


def _chosen(settings: Settings) -> Task | None:
    return None if settings.model_task == "auto" else Task(settings.model_task)


def _own_task(model: ModelInfo, pooling: Pooling | None) -> Task:
    encoder = model.architecture in ENCODERS
    if pooling is Pooling.RANK or (encoder and model.classifier):
        return Task.RERANK
    return Task.EMBED if encoder or pooling is not None else Task.GENERATE


def _impossible(model: ModelInfo, task: Task, why: str) -> InvalidSettings:
    return InvalidSettings(
        f"MODEL_TASK is {task}, but the model ({model.architecture}) {why}. Set MODEL_TASK=auto, or "
        "take another model.",
        param="MODEL_TASK",
    )
