from typing import Any

import pytest

from podworker.inference.batch_size import automatic_batch_size
from tests.inference.model_shapes import LLAMA_3_8B, LLAMA_3_70B, QWEN25_HALF_B, ModelShape
from tests.inference.test_memory import plan


@pytest.mark.parametrize(
    ("model", "gpus", "given", "threads", "size"),
    [
        (QWEN25_HALF_B, [], {}, 2, 64),
        (QWEN25_HALF_B, [], {}, 16, 128),
        (QWEN25_HALF_B, [], {}, 128, 512),
        (LLAMA_3_8B, [], {}, 8, 64),
        (LLAMA_3_8B, [24], {}, 8, 512),
        (LLAMA_3_8B, [24], {"gpu_layers": 0}, 8, 64),
        (LLAMA_3_70B, [48, 48], {}, 8, 2048),
    ],
)
def test_it_fits_the_machine(
    model: ModelShape, gpus: list[float], given: dict[str, Any], threads: int, size: int
) -> None:
    assert automatic_batch_size(plan(model, gpus, **given), threads=threads) == size
