from pathlib import Path

import pytest

from podworker.models.gguf_header import Header, Value, read_header
from podworker.models.hyperparameters import Hyperparameters
from podworker.models.kv_cache import KvCache, LayerCache, kv_cache_of
from tests.gguf_files.demo import demo_model


def cache(architecture: str, **entries: Value) -> KvCache:
    metadata: dict[str, Value] = {"general.architecture": architecture}
    for key, value in {"block_count": 8, "embedding_length": 1024, "attention__head_count": 16, **entries}.items():
        metadata[f"{architecture}.{key.replace('__', '.')}"] = value
    return kv_cache_of(Hyperparameters(Header(Path(), 0, 3, metadata, {}, [], 32, 0)))


def test_the_demo_model() -> None:
    found = kv_cache_of(Hyperparameters(read_header(demo_model())))
    assert found == KvCache((LayerCache(3, 64, 64),) * 30)
    assert found.bytes_per_token == 30 * 3 * (64 + 64) * 2


def test_every_layer_and_head_counts() -> None:
    assert cache("llama").bytes_per_token == 8 * 16 * 128 * 2
    assert cache("llama", attention__head_count_kv=4).bytes_per_token == 8 * 4 * 128 * 2
    assert cache("qwen3", attention__key_length=128, attention__value_length=96).bytes_per_token == 8 * 16 * 224 * 2
    assert cache("llama", nextn_predict_layers=1).bytes_per_token == 7 * 16 * 128 * 2


def test_layers_without_heads_keep_nothing() -> None:
    assert cache("jamba", attention__head_count_kv=(0, 0, 0, 8, 0, 0, 0, 8)).bytes_per_token == 2 * 8 * 128 * 2
    assert cache("qwen3next", attention__head_count_kv=2).bytes_per_token == 2 * 2 * 128 * 2
    assert cache("kimi", attention__recurrent_layers=(1, 1, 1, 0) * 2).bytes_per_token == 2 * 16 * 128 * 2
    assert cache("mamba2").size(4096) == 0
    assert cache("bert", attention__causal=0).size(4096) == 0


def test_shared_layers_count_once() -> None:
    assert cache("gemma4", attention__shared_kv_layers=6).bytes_per_token == 2 * 16 * 128 * 2


def test_latent_attention_keeps_keys_only() -> None:
    entries: dict[str, Value] = {"attention__head_count_kv": 1, "attention__key_length": 576}
    mla = cache("deepseek2", **entries, attention__key_length_mla=192, attention__value_length_mla=128)
    assert mla.bytes_per_token == 8 * 576 * 2


@pytest.mark.parametrize(
    ("architecture", "pattern", "full"),
    [
        ("gemma2", None, 4),
        ("gemma3", None, 1),
        ("gemma3", 4, 2),
        ("smallthinker", None, 2),
        ("newcomer", (1, 1, 1, 0, 1, 1, 1, 1), 1),
        ("newcomer", None, 8),
    ],
)
def test_layers_with_a_window_stop_growing(architecture: str, pattern: Value | None, full: int) -> None:
    entries: dict[str, Value] = {} if pattern is None else {"attention__sliding_window_pattern": pattern}
    layer = 16 * 128 * 2
    found = cache(architecture, attention__sliding_window=512, **entries)
    assert (found.bytes_per_token, found.window) == (full * layer, 512 if full < 8 else 0)
    # The window holds the batch at work, too, in cells of 256.
    assert found.size(4096) == (4096 * full + (512 + 512) * (8 - full)) * layer
    assert found.size(4096, micro_batch=32) == (4096 * full + 768 * (8 - full)) * layer
    assert found.size(300) == 512 * 8 * layer


def test_heads_in_windows_have_a_size_of_their_own() -> None:
    found = cache(
        "gemma4",
        attention__sliding_window=512,
        attention__sliding_window_pattern=(1,) * 7 + (0,),
        attention__key_length=256,
        attention__value_length=256,
        attention__key_length_swa=128,
        attention__value_length_swa=128,
    )
    assert found.layers == (LayerCache(16, 128, 128, windowed=True),) * 7 + (LayerCache(16, 256, 256),)


@pytest.mark.parametrize(
    ("type_k", "type_v", "bytes_of_a_head"),
    [
        ("f16", "f16", 512),
        ("f32", "bf16", 768),
        ("q8_0", "q8_0", 272),
        ("q4_0", "iq4_nl", 144),
        ("q5_1", "q4_1", 176),
        ("q5_0", "f16", 344),
    ],
)
def test_types_of_the_cache(type_k: str, type_v: str, bytes_of_a_head: int) -> None:
    """128 numbers each of keys and values; blocks of 32 take 34 (q8_0), 18, 20, 22 or 24 bytes."""
    found = cache("llama", attention__key_length=128, attention__value_length=128)
    assert found.size(256, type_k=type_k, type_v=type_v) == 256 * 8 * 16 * bytes_of_a_head
    assert found.takes(type_k, type_v)


def test_heads_must_fill_the_blocks_of_a_type() -> None:
    found = cache("llama", attention__key_length=80, attention__value_length=64)
    assert not found.takes("q8_0", "f16")
    assert found.takes("f16", "q8_0")


def test_recurrent_layers_have_a_state_for_each_sequence() -> None:
    ssm: dict[str, Value] = {"ssm__conv_kernel": 4, "ssm__inner_size": 2048, "ssm__state_size": 128}
    mamba = cache("mamba2", **ssm, ssm__group_count=1)
    assert mamba.size(256) == mamba.size(65_536) == 8 * (3 * (2048 + 2 * 128) + 128 * 2048) * 4
    hybrid = cache("qwen3next", **ssm, ssm__group_count=16, attention__head_count_kv=2)
    state = (3 * (2048 + 2 * 16 * 128) + 128 * 2048) * 4
    assert hybrid.size(256) == 6 * state + 2 * 256 * 2 * 128 * 2
    assert cache("rwkv7", wkv__head_size=64, token_shift_count=2).size(256) == 8 * (2 * 1024 + 1024 * 64) * 4
    lfm = cache("lfm2", shortconv__l_cache=3, attention__head_count_kv=(0, 0, 8, 0, 0, 8, 0, 8))
    assert lfm.size(256) == 5 * 1024 * 2 * 4 + 3 * 256 * 8 * 128 * 2
    assert cache("kimi-linear", kda__head_dim=128, ssm__conv_kernel=4, attention__head_count_kv=0).layers[0].state


@pytest.mark.parametrize("hostile", [-1, 1 << 63, 0, 3.5, "x", (1, 2), (float("nan"),) * 8])
@pytest.mark.parametrize("key", ["block_count", "nextn_predict_layers", "attention__head_count", "embedding_length"])
def test_nonsense_is_no_crash(key: str, hostile: Value) -> None:
    assert cache("gemma3", **{"attention__sliding_window": 512, key: hostile}).size(4096) >= 0
