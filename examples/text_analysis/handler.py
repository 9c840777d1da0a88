"""Text analysis by embeddings, of many texts at a time: vectors, similarity, classification without training.

Any embedding model in GGUF serves it, by MODEL; see README.md.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

import podworker

Text = Annotated[str, Field(min_length=1, max_length=20_000)]
Vector = list[float]

model = podworker.LanguageModel()


class Input(BaseModel):
    """What a job may ask for."""

    task: Literal["embed", "similarity", "classify"]
    texts: list[Text] = Field(min_length=1, max_length=256)
    query: Text | None = Field(None, description="For similarity: what the texts are compared with")
    labels: list[Text] = Field([], max_length=50, description="For classify: what a text can be about, in words")


async def handler(input: Input) -> dict[str, Any]:
    """Answer one job."""
    if input.task == "embed":
        return {"embeddings": await embed(input.texts)}
    if input.task == "similarity":
        if input.query is None:
            raise podworker.InvalidInput("similarity needs a query.", param="input.query")
        query, *vectors = await embed([input.query, *input.texts])
        scores = [likeness(query, vector) for vector in vectors]
        order = sorted(range(len(scores)), key=lambda index: -scores[index])
        return {"results": [{"index": index, "score": scores[index]} for index in order]}
    if len(input.labels) < 2:
        raise podworker.InvalidInput("classify needs at least 2 labels.", param="input.labels")
    vectors = await embed([*input.labels, *input.texts])
    labels, texts = vectors[: len(input.labels)], vectors[len(input.labels) :]
    return {"results": [classify(text, dict(zip(input.labels, labels, strict=True))) for text in texts]}


async def embed(texts: list[str]) -> list[Vector]:
    """The texts' vectors, each of length 1. The engine computes them together."""
    answer = await model.ask("/v1/embeddings", {"input": texts})
    return [item["embedding"] for item in answer["data"]]


def likeness(one: Vector, other: Vector) -> float:
    """The cosine of the angle between two vectors: 1 for the same direction."""
    return sum(a * b for a, b in zip(one, other, strict=True))


def classify(text: Vector, labels: dict[str, Vector]) -> dict[str, Any]:
    """The label that is nearest to a text, and how near all are."""
    scores = {label: likeness(text, vector) for label, vector in labels.items()}
    return {"label": max(scores, key=lambda label: scores[label]), "scores": scores}


if __name__ == "__main__":
    podworker.serve(handler, uses=model, concurrency=8, model_task="embed")
