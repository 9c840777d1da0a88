from podworker.configuration import load_settings
from podworker.configuration.machine import Gpu
from podworker.models.memory_budget import budget_of
from podworker.models.room import model_room, room_of
from podworker.models.validator import validate
from tests.gguf_files.demo import demo_model

GIB = 1 << 30
GPU = Gpu("NVIDIA L4", 24 * GIB, 23 * GIB, "570", "8.9")
MODEL = validate(demo_model())
TOKEN = 23_040
"""Bytes of the demo model's cache for each token."""


def room(*gpus: Gpu, **given: object) -> int:
    settings = load_settings(prompt_cache_mb=0, **given)
    return room_of(settings, MODEL, budget_of(settings, gpus, 64 * GIB))


def test_a_sensible_context_is_left_free() -> None:
    assert room(GPU) == room(GPU, context_length=8192, slots=4)
    assert room() == room(context_length=4096, slots=4)


def test_what_is_set_counts() -> None:
    assert room(GPU, slots=4) - room(GPU, slots=6) > 2 * 8192 * TOKEN
    assert room(GPU, context_length=8192) - room(GPU, context_length=16_384) > 4 * 8192 * TOKEN
    assert room(GPU, cache_type_k="q8_0") - room(GPU) == 4 * 8192 * TOKEN * 15 // 32
    assert room(GPU, gpu_memory_reserve_mb=0) - room(GPU) == GIB
    assert room(GPU, GPU) > room(GPU) + 21 * GIB
    assert room(context_length=100_000) < room() <= room(slots=1)


def test_here() -> None:
    settings = load_settings()
    assert model_room(settings, MODEL) > 0
    assert model_room(load_settings(context_length=10_000_000, slots=256), MODEL) < 0
