"""The arithmetic of the memory, over models and GPUs that people have."""

import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from podworker.configuration import load_settings
from podworker.configuration.machine import Gpu
from podworker.errors import InvalidSettings, ModelTooLarge
from podworker.inference.memory import MemoryPlan, plan_for, plan_memory
from podworker.inference.memory_placement import Demand
from podworker.models.memory_budget import budget_of
from podworker.models.model_set import find_models
from tests.gguf_files.demo import demo_model
from tests.inference.model_shapes import (
    GEMMA_3_27B,
    LLAMA_3_8B,
    LLAMA_3_70B,
    QWEN3_30B_A3B,
    QWEN25_HALF_B,
    ModelShape,
)

GIB = 1 << 30


def gpu(gib: float) -> Gpu:
    """A GPU as NVML describes it: what its maker calls 24 GB has 24 GiB less what is kept for error correction."""
    return Gpu(f"{gib:g} GB", int(gib * GIB), int(gib * 0.96 * GIB), "570", "8.9")


def plan(
    model: ModelShape,
    gpus: Sequence[float],
    *,
    main: float = 64,
    **given: Any,  # noqa: ANN401 - settings
) -> MemoryPlan:
    """What is chosen with GPUs and a main memory of so many GiB."""
    settings = load_settings(prompt_cache_mb=0, **given)
    demand = Demand(model=model.info(), micro_batch=512, flash_attention=settings.flash_attention != "off")
    return plan_for(settings, demand, budget_of(settings, [gpu(size) for size in gpus], int(main * GIB)))


@pytest.mark.parametrize(
    ("model", "gpus", "layers", "slots", "context", "cache_type"),
    [
        (QWEN25_HALF_B, [16], 25, 8, 32_768, "f16"),
        (LLAMA_3_8B, [6], 33, 1, 4096, "q8_0"),
        (LLAMA_3_8B, [8], 33, 2, 8192, "f16"),
        (LLAMA_3_8B, [16], 33, 4, 19_456, "f16"),
        (LLAMA_3_8B, [24], 33, 4, 32_768, "f16"),
        (LLAMA_3_8B, [80], 33, 8, 72_704, "f16"),
        (QWEN3_30B_A3B, [16], 38, 1, 4096, "f16"),
        (QWEN3_30B_A3B, [24], 49, 4, 12_288, "f16"),
        (QWEN3_30B_A3B, [48], 49, 8, 37_888, "f16"),
        (GEMMA_3_27B, [24], 63, 4, 12_288, "f16"),
        (GEMMA_3_27B, [48], 63, 8, 39_936, "f16"),
        (LLAMA_3_70B, [24], 41, 1, 4096, "f16"),
        (LLAMA_3_70B, [48], 81, 2, 8192, "f16"),
        (LLAMA_3_70B, [48, 48], 81, 4, 32_768, "f16"),
        (LLAMA_3_70B, [24, 24], 81, 1, 8192, "f16"),
    ],
)
def test_models_and_gpus_that_people_have(  # noqa: PLR0917 - a row of the table
    model: ModelShape, gpus: list[float], layers: int, slots: int, context: int, cache_type: str
) -> None:
    found = plan(model, gpus)
    assert (found.gpu_layers, found.slots, found.context_length) == (layers, slots, context)
    assert found.cache_type_k == found.cache_type_v == cache_type
    assert_it_fits(found)
    assert sum(found.tensor_split or ()) == (layers if len(gpus) > 1 else 0)


def assert_it_fits(found: MemoryPlan) -> None:
    for available, use in zip(found.budget.gpus, found.gpus, strict=True):
        assert use.total <= available.available < available.total
    assert found.main.cache + found.main.buffers <= found.budget.main
    assert sum(use.layers for use in found.gpus) == found.gpu_layers
    assert found.main.layers == found.units - found.gpu_layers


MODELS = [QWEN25_HALF_B, LLAMA_3_8B, QWEN3_30B_A3B, GEMMA_3_27B, LLAMA_3_70B]


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.architecture)
@pytest.mark.parametrize("given", [{}, {"slots": 3}, {"context_length": 20_000}, {"cache_type_k": "q8_0"}], ids=str)
def test_more_memory_never_gives_less(model: ModelShape, given: dict[str, Any]) -> None:
    last = (0, 0, 0)
    for gib in (4, 5, 6, 7, 8, 10, 12, 16, 17, 18, 20, 24, 32, 40, 45, 48, 64, 80, 94, 141, 192):
        found = plan(model, [gib], main=512, **given)
        assert_it_fits(found)
        now = (found.gpu_layers, found.context_length, found.slots)
        assert all(new >= old for new, old in zip(now, last, strict=True)), f"{now} with {gib} GB, but {last} with less"
        last = now


def test_what_is_set_is_kept_or_refused() -> None:
    chance = random.Random(4)  # noqa: S311 - no secret
    kept = refused = 0
    for _ in range(150):
        wanted: dict[str, Any] = {
            "gpu_layers": chance.choice([0, 5, 20, 33, 1000]),
            "context_length": chance.choice([64, 1000, 8192, 100_000, 1_000_000]),
            "slots": chance.choice([1, 3, 16, 256]),
            "cache_type_k": chance.choice(["f32", "q8_0", "q4_0"]),
            "cache_type_v": chance.choice(["bf16", "q5_1"]),
        }
        given = {name: wanted[name] for name in chance.sample(sorted(wanted), chance.randint(1, 4))}
        gpus = chance.choice([[], [8], [24], [24, 48]])
        try:
            found = plan(chance.choice(MODELS), gpus, main=chance.choice([8, 64]), **given)
        except ModelTooLarge:
            refused += 1
            continue
        assert_it_fits(found)
        layers = given.pop("gpu_layers", None)
        if layers is not None and gpus:
            assert found.gpu_layers == min(layers, found.units)
        assert all(getattr(found, name) == value for name, value in given.items())
        kept += 1
    assert kept > 30
    assert refused > 10


def test_a_split_that_is_set_is_dealt_out_as_the_engine_does() -> None:
    assert plan(LLAMA_3_8B, [24, 24], tensor_split="3,1").tensor_split == (25, 8)
    assert plan(LLAMA_3_8B, [24, 24], tensor_split="0,1").tensor_split == (0, 33)


def test_one_gpu_of_several() -> None:
    found = plan(LLAMA_3_8B, [8, 24], main_gpu=1)
    assert (found.main_gpu, found.tensor_split, [gpu.name for gpu in found.budget.gpus]) == (1, None, ["24 GB"])
    assert plan(LLAMA_3_8B, [], main_gpu=1).main_gpu is None


def test_unlike_gpus_are_filled_one_after_the_other_where_shares_do_not_fit() -> None:
    """By shares the first, which is small, would get layers beside the buffers for which it has no room."""
    found = plan(LLAMA_3_70B, [2, 48])
    assert found.gpu_layers == 81
    assert found.tensor_split is not None
    assert found.tensor_split[0] < 3


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"tensor_split": "1,1,1"}, "TENSOR_SPLIT has 3 numbers for 2 GPUs"),
        ({"main_gpu": 2}, "MAIN_GPU is 2, but the last of the 2 GPUs is number 1"),
        ({"main_gpu": 0, "tensor_split": "1,1"}, "Unset one of them"),
        ({"flash_attention": "off", "cache_type_v": "q8_0"}, "CACHE_TYPE_V q8_0 needs flash attention"),
        ({"flash_attention": "off", "cache_type_k": "q8_0"}, "CACHE_TYPE_V q8_0 needs flash attention"),
    ],
)
def test_settings_that_contradict_each_other(given: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidSettings, match=message):
        plan(LLAMA_3_8B, [24, 24], **given)


def test_heads_that_do_not_fill_the_blocks_of_a_cache_type() -> None:
    odd = replace(LLAMA_3_8B, head=80)
    with pytest.raises(InvalidSettings, match="CACHE_TYPE_K q8_0 does not suit this model"):
        plan(odd, [24], cache_type_k="q8_0")
    assert plan(odd, [6]).cache_type_k == "f16"
    assert plan(odd, [24], cache_type_k="q8_0", cache_type_v="f16", flash_attention="off").cache_type_k == "q8_0"


def test_without_a_gpu() -> None:
    small = plan(QWEN25_HALF_B, [])
    assert (small.gpu_layers, small.slots, small.context_length) == (0, 8, 4096)
    assert plan(LLAMA_3_8B, []).slots == 2  # a GiB of cache, which is cleared before the start
    assert plan(LLAMA_3_8B, [], context_length=32_768).slots == 1
    assert plan(LLAMA_3_8B, [], main=1).context_length == 2048
    beyond = plan(LLAMA_3_70B, [], main=24)
    assert (beyond.slots, beyond.context_length) == (1, 4096)
    assert "read from the disk again and again" in beyond.reason
    with pytest.raises(ModelTooLarge, match=r"8 slots of 1,000,000 tokens .* cache 1.0 TB"):
        plan(LLAMA_3_8B, [], context_length=1_000_000, slots=8)


@pytest.mark.parametrize(
    ("model", "gpus", "given", "words"),
    [
        (LLAMA_3_8B, [8], {}, "33 of 33 layers on 8 GB, 2 slots of 8,192 tokens with a cache of f16 (weights 4.6 GB"),
        (LLAMA_3_8B, [8], {}, "because no more slots of this length fit"),
        (LLAMA_3_8B, [16], {}, "because no longer context fits 4 slots"),
        (
            LLAMA_3_8B,
            [6],
            {},
            "cache of q8_0 (weights 4.6 GB, cache 285 MB, buffers 135 MB, of 5.1 GB), because with an",
        ),
        (LLAMA_3_8B, [24], {"slots": 2}, "because no longer context fits 2 slots, and SLOTS is set"),
        (
            LLAMA_3_8B,
            [24],
            {"slots": 2, "context_length": 512},
            "because all of it fits, and CONTEXT_LENGTH, SLOTS are",
        ),
        (LLAMA_3_70B, [24], {}, "because more layers do not fit beside a context of 4,096 tokens"),
        (LLAMA_3_70B, [48, 48], {}, "81 of 81 layers on 2x 48 GB"),
        (LLAMA_3_70B, [24, 48], {"cache_type_k": "q8_0", "cache_type_v": "f16"}, "a cache of q8_0 and f16"),
        (QWEN25_HALF_B, [], {}, "the model on the CPU, 8 slots of 4,096 tokens"),
    ],
)
def test_it_says_why(model: ModelShape, gpus: list[float], given: dict[str, Any], words: str) -> None:
    assert words in plan(model, gpus, **given).reason


def test_what_stands_beside_the_model_takes_its_share() -> None:
    settings, model = load_settings(prompt_cache_mb=0), LLAMA_3_8B.info()
    budget = budget_of(settings, [gpu(24), gpu(24)], 64 * GIB)
    alone = plan_for(settings, Demand(model=model, micro_batch=512), budget)
    full = Demand(model=model, micro_batch=512, draft=QWEN25_HALF_B.info(), projector=GIB, adapters=GIB)
    beside = plan_for(settings, full, budget)
    assert beside.slots * beside.context_length < alone.slots * alone.context_length
    assert beside.gpus[0].weights + beside.gpus[1].weights > alone.gpus[0].weights + alone.gpus[1].weights + 2 * GIB
    assert_it_fits(beside)
    on_cpu = plan_for(settings, full, budget_of(settings, [], 64 * GIB))
    assert on_cpu.main.weights > model.size + 2 * GIB


def test_after_running_out_of_memory_there_is_less() -> None:
    settings = load_settings(prompt_cache_mb=0)
    demand = Demand(model=LLAMA_3_8B.info(), micro_batch=512)
    for gpus in ([gpu(24)], [gpu(24), gpu(8)], []):
        first = plan_for(settings, demand, budget_of(settings, gpus, 64 * GIB))
        second = plan_for(settings, demand, first.smaller_budget(), cpu_cache=int(first.cache * 0.8))
        assert sum(use.total for use in (*second.gpus, second.main)) < sum(
            use.total for use in (*first.gpus, first.main)
        )
    fixed = load_settings(prompt_cache_mb=0, context_length=8192, slots=1, gpu_layers=33)
    first = plan_for(fixed, demand, budget_of(fixed, [gpu(24)], 64 * GIB))
    with pytest.raises(ModelTooLarge, match="GPU_LAYERS"):
        plan_for(fixed, demand, first.smaller_budget())


def test_encoders_compute_a_whole_context_at_once() -> None:
    encoder = replace(LLAMA_3_8B, context=8192).info()
    settings = load_settings(prompt_cache_mb=0, context_length=8192, slots=1)
    sizes = [
        plan_for(settings, Demand(model=encoder, micro_batch=batch), budget_of(settings, [gpu(24)], 64 * GIB)).gpus[0]
        for batch in (512, None)
    ]
    assert sizes[1].buffers > 10 * sizes[0].buffers


def test_the_demo_here(tmp_path: Path) -> None:
    settings = load_settings(model=str(demo_model()), context_length=512, model_store=tmp_path)
    models = find_models(settings)
    assert models is not None
    found = plan_memory(settings, models)
    assert (found.context_length, found.units) == (512, 31)
    assert found.slots == 8
    smaller = plan_memory(settings, models, failed=found)
    assert 0 < smaller.slots < 8


def test_a_model_that_writes_and_makes_embeddings_takes_more(tmp_path: Path) -> None:
    given = {"model": str(demo_model()), "context_length": 512, "slots": 2, "model_store": tmp_path}
    models = find_models(load_settings(**given))
    assert models is not None
    writes, both = (
        plan_memory(load_settings(**given, model_task=task), models).main.buffers for task in ("generate", "embed")
    )
    assert both - writes == (512 - 2) * 49_152 * 4
