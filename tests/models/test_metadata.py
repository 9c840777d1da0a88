from pathlib import Path

import numpy as np
import pytest

from podworker.models.compute_buffer import ComputeBuffer
from podworker.models.kv_cache import KvCache, LayerCache
from podworker.models.metadata import ModelInfo
from podworker.models.validator import validate
from podworker.models.weights import Weights
from tests.gguf_files.demo import demo_model
from tests.gguf_files.tiny import CONTEXT, LAYERS, TOKENS, WIDTH, TinyModel, llama, text, u32


def test_the_demo_model() -> None:
    path = demo_model()
    assert validate(path) == ModelInfo(
        files=(path,),
        size=98_362_432,
        kind="model",
        architecture="llama",
        name="Smollm2 135M 8k Lc100K Mix1 Ep2",
        parameters=134_515_008,
        layers=30,
        context_length=8192,
        embedding_length=576,
        vocabulary=49_152,
        quantization="Q4_1",
        chat_template=True,
        pooling_type=None,
        classifier=False,
        kv_cache=KvCache((LayerCache(3, 64, 64),) * 30),
        weights=Weights((2_216_448,) * 30, 30_081_024, 30_081_024 + 576 * 4),
        compute_buffer=ComputeBuffer(3 * 1536 + 5 * 576, 9, 49_152),
    )


def test_a_tiny_model(tmp_path: Path) -> None:
    model = llama()
    info = validate(model.write(tmp_path / "model.gguf"))
    assert info.parameters == sum(tensor.size for tensor in model.tensors.values())
    assert (info.layers, info.context_length, info.embedding_length) == (LAYERS, CONTEXT, WIDTH)
    assert (info.vocabulary, info.quantization, info.chat_template) == (len(TOKENS), "F32", True)


def test_a_model_without_a_template_cannot_chat(tmp_path: Path) -> None:
    model = llama()
    del model.entries["tokenizer.chat_template"]
    assert not validate(model.write(tmp_path / "model.gguf")).chat_template


@pytest.mark.parametrize(
    ("stated", "quantization"), [(15, "Q4_K_M"), (1024 + 15, "Q4_K_M"), (999, "F32"), (None, "F32")]
)
def test_the_quantization_is_what_the_file_says_or_else_what_it_has(
    stated: int | None, quantization: str, tmp_path: Path
) -> None:
    model = llama()
    del model.entries["general.file_type"]
    if stated is not None:
        model.entries["general.file_type"] = u32(stated)
    assert validate(model.write(tmp_path / "model.gguf")).quantization == quantization


def test_projectors_and_adapters_are_told_apart(tmp_path: Path) -> None:
    tensors = {"a.weight": np.zeros((8, 8), np.float32)}
    projector = TinyModel("clip", {"general.type": text("mmproj")}, tensors).write(tmp_path / "mmproj.gguf")
    assert validate(projector).kind == "projector"
    adapter = TinyModel("llama", {"general.type": text("adapter")}, tensors).write(tmp_path / "lora.gguf")
    assert validate(adapter).kind == "adapter"
    assert validate(adapter).layers is None
