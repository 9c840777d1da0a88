from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from gguf.constants import GGUFValueType as Type

from podworker.errors import InvalidModelFile
from podworker.models.validator import validate
from tests.gguf_files.engine import Engine
from tests.gguf_files.tiny import (
    FAMILIES,
    HEAD,
    LAYERS,
    WIDTH,
    Entry,
    TinyModel,
    array,
    hybrid,
    llama,
    mixture,
    text,
    u32,
    windowed,
)


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    with Engine() as engine:
        yield engine


def with_entry(key: str, entry: Entry, make: Callable[[], TinyModel] = llama) -> TinyModel:
    model = make()
    model.entries[key] = entry
    return model


def with_repeated_token() -> TinyModel:
    model = llama()
    model.entries["tokenizer.ggml.tokens"].value[5] = "!"
    return model


def with_no_interval() -> TinyModel:
    """A hybrid model: it need not be whole, because the engine divides before it looks for the tensors."""
    model = hybrid()
    model.entries["qwen3next.full_attention_interval"] = u32(0)
    return model


def with_three_key_value_heads() -> TinyModel:
    model = with_entry("gemma2.attention.head_count_kv", u32(3), windowed)
    for name in [name for name in model.tensors if "attn_k." in name or "attn_v." in name]:
        model.tensors[name] = np.zeros((3 * HEAD, WIDTH), np.float32)
    return model


def with_type(name: str, kind: type[np.generic]) -> TinyModel:
    model = llama()
    model.tensors[name] = model.tensors[name].astype(kind)
    return model


DEADLY: dict[str, TinyModel] = {
    "no layers": with_entry("llama.block_count", u32(0)),
    "too many layers": with_entry("llama.block_count", u32(100_000)),
    "no context": with_entry("llama.context_length", u32(0)),
    "more predicting layers than layers": with_entry("llama.nextn_predict_layers", u32(LAYERS + 1)),
    "a division by zero": with_no_interval(),
    "heads that cannot share": with_three_key_value_heads(),
    "half a rotation": with_entry("gemma2.rope.dimension_count", u32(15), windowed),
    "more rotated than there is": with_entry("gemma2.rope.dimension_count", u32(48), windowed),
    "more experts used than there are": with_entry("llama.expert_used_count", u32(5), mixture),
    "no experts used": with_entry("llama.expert_used_count", u32(0), mixture),
    "too many experts": with_entry("llama.expert_count", u32(1025), mixture),
    "experts in uneven groups": with_entry("llama.expert_group_count", u32(3), mixture),
    "groups without experts": with_entry("llama.expert_group_count", u32(3)),
    "experts in no groups": with_entry("llama.expert_group_count", u32(2), mixture),
    "an unknown scaling": with_entry("llama.rope.scaling.type", text("cubic")),
    "an unknown activation": with_entry("llama.classifier.activation", text("relu")),
    "a negative epsilon": with_entry("llama.attention.layer_norm_rms_epsilon", Entry(-1.0, Type.FLOAT32)),
    "a token twice": with_repeated_token(),
    "unaligned tensors": with_entry("general.alignment", u32(1)),
    "a norm in half precision": with_type("output_norm.weight", np.float16),
    "weights of whole numbers": with_type("blk.0.ffn_up.weight", np.int32),
}
"""What llama.cpp dies of."""


@pytest.mark.parametrize("case", DEADLY)
def test_what_kills_the_engine_is_refused(case: str, engine: Engine, tmp_path: Path) -> None:
    path = DEADLY[case].write(tmp_path / "model.gguf")
    with pytest.raises(InvalidModelFile, match=r"faulty program"):
        validate(path)
    outcome = engine.load(path)
    assert outcome.died, f"the engine takes it by now: {outcome}"


@pytest.mark.parametrize("family", FAMILIES)
def test_sound_models_pass_and_load(family: str, engine: Engine, tmp_path: Path) -> None:
    path = FAMILIES[family]().write(tmp_path / "model.gguf")
    validate(path)
    outcome = engine.load(path)
    assert outcome.loaded, outcome


HARMLESS = {
    "empty tokens": {"tokenizer.ggml.tokens": array(["", "", *map(chr, range(33, 133))], Type.STRING)},
    "heads by layer": {"llama.attention.head_count_kv": array([2, 2], Type.INT32)},
    "no name": {"general.name": text("")},
}


@pytest.mark.parametrize("case", HARMLESS)
def test_what_the_engine_takes_is_not_refused(case: str, engine: Engine, tmp_path: Path) -> None:
    model = llama()
    model.entries |= HARMLESS[case]
    path = model.write(tmp_path / "model.gguf")
    validate(path)
    assert engine.load(path).loaded


@pytest.mark.parametrize("key", ["adapter.type", "adapter.lora.alpha"])
def test_an_adapter_with_an_entry_of_another_type_is_refused(key: str, tmp_path: Path) -> None:
    entries = {"general.type": text("adapter"), "adapter.type": text("lora")}
    entries["adapter.lora.alpha"] = Entry(16.0, Type.FLOAT32)
    tensors = {"blk.0.attn_q.weight.lora_a": np.zeros((4, 64), np.float32)}
    path = TinyModel("llama", entries, tensors).write(tmp_path / "sound.gguf")
    assert validate(path).kind == "adapter"
    path = TinyModel("llama", {**entries, key: u32(1)}, tensors).write(tmp_path / "damaged.gguf")
    with pytest.raises(InvalidModelFile, match=key):
        validate(path)
