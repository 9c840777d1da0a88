import math
from pathlib import Path

import pytest

from podworker.errors import WorkerError
from podworker.testing import endpoint
from tests.examples.example import EXAMPLES, inputs
from tests.gguf_files import encoders


def test_through_the_emulator(tmp_path: Path) -> None:
    """The engine is llama.cpp's; its model's embeddings are the mean of the words'."""
    model = encoders.embedding_model().write(tmp_path / "embedder.gguf")
    given = inputs("text_analysis")
    with endpoint(
        EXAMPLES / "text_analysis" / "handler.py", MODEL=str(model), THREADS="1", SLOTS="2", TMPDIR=str(tmp_path)
    ) as worker:
        vectors = worker.run(given["embed"])["embeddings"]
        assert [len(vector) for vector in vectors] == [encoders.WIDTH] * 2
        assert math.isclose(sum(value * value for value in vectors[0]), 1, abs_tol=1e-4)

        results = worker.run(given["similarity"])["results"]
        assert [result["index"] for result in results] == [1, 0]
        assert results[0]["score"] > results[1]["score"]

        assert [result["label"] for result in worker.run(given["test_input"])["results"]] == ["cat", "dog"]

        for wrong, param in (
            ({"task": "similarity", "texts": ["a"]}, "input.query"),
            ({"task": "classify", "texts": ["a"], "labels": ["one"]}, "input.labels"),
            ({"task": "embed", "texts": []}, "input.texts"),
        ):
            with pytest.raises(WorkerError) as refused:
                worker.run(wrong)
            assert refused.value.param == param
