from pathlib import Path

import pytest

from podworker.models.gguf_header import Header, Value, read_header
from podworker.models.hyperparameters import Hyperparameters
from podworker.models.kv_cache import KvCache, kv_cache_of
from tests.gguf_files.demo import demo_model


def cache(architecture: str, **entries: Value) -> KvCache:
    metadata: dict[str, Value] = {"general.architecture": architecture}
    for key, value in {"block_count": 8, "embedding_length": 1024, "attention__head_count": 16, **entries}.items():
        metadata[f"{architecture}.{key.replace('__', '.')}"] = value
    return kv_cache_of(Hyperparameters(Header(Path(), 0, 3, metadata, {}, [], 32, 0)))


def test_the_demo_model() -> None:
    # 30 layers with 3 key-value heads of 64 numbers, keys and values, 2 bytes each.
    assert kv_cache_of(Hyperparameters(read_header(demo_model()))) == KvCache(30 * 3 * (64 + 64) * 2)


def test_every_layer_and_head_counts() -> None:
    assert cache("llama").bytes_per_token == 8 * 16 * 128 * 2
    assert cache("llama", attention__head_count_kv=4).bytes_per_token == 8 * 4 * 128 * 2
    assert cache("qwen3", attention__key_length=128, attention__value_length=96).bytes_per_token == 8 * 16 * 224 * 2
    assert cache("llama", nextn_predict_layers=1).bytes_per_token == 7 * 16 * 128 * 2


def test_layers_without_heads_keep_nothing() -> None:
    assert cache("jamba", attention__head_count_kv=(0, 0, 0, 8, 0, 0, 0, 8)).bytes_per_token == 2 * 8 * 128 * 2
    assert cache("qwen3next", attention__head_count_kv=2).bytes_per_token == 2 * 2 * 128 * 2
    assert cache("kimi", attention__recurrent_layers=(1, 1, 1, 0) * 2).bytes_per_token == 2 * 16 * 128 * 2
    assert cache("mamba2") == KvCache(0)
    assert cache("bert", attention__causal=0) == KvCache(0)


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
    assert found == KvCache(full * layer, 512 if full < 8 else 0, (8 - full) * layer)
    assert found.size(4096) == 4096 * full * layer + (512 * (8 - full) * layer if full < 8 else 0)


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
    assert found == KvCache(16 * 512 * 2, 512, 7 * 16 * 256 * 2)


@pytest.mark.parametrize("hostile", [-1, 1 << 63, 0, 3.5, "x", (1, 2), (float("nan"),) * 8])
@pytest.mark.parametrize("key", ["block_count", "nextn_predict_layers", "attention__head_count", "embedding_length"])
def test_nonsense_is_no_crash(key: str, hostile: Value) -> None:
    assert cache("gemma3", **{"attention__sliding_window": 512, key: hostile}).bytes_per_token >= 0
