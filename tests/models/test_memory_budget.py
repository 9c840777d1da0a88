from podworker.configuration import load_settings, machine
from podworker.configuration.machine import Gpu
from podworker.models.memory_budget import budget_elsewhere, budget_here, budget_of

GIB = 1 << 30
MIB = 1 << 20
L4 = Gpu("NVIDIA L4", 23_034 * MIB, 22_563 * MIB, "570", "8.9")


def test_what_is_free_less_the_reserve_in_whole_grains() -> None:
    (gpu,) = budget_of(load_settings(), [L4], 64 * GIB).gpus
    assert (gpu.name, gpu.total, gpu.available) == ("NVIDIA L4", 23_034 * MIB, 21_504 * MIB)
    (gpu,) = budget_of(load_settings(gpu_memory_reserve_mb=0), [L4], 64 * GIB).gpus
    assert gpu.available == 22_528 * MIB
    (gpu,) = budget_of(load_settings(gpu_memory_reserve_mb=30_000), [L4], 64 * GIB).gpus
    assert gpu.available == 0


def test_a_little_more_or_less_that_is_free_changes_nothing() -> None:
    less = Gpu(L4.name, L4.total_bytes, L4.free_bytes - 5 * MIB, "570", "8.9")
    assert budget_of(load_settings(), [less], GIB) == budget_of(load_settings(), [L4], GIB)


def test_the_main_memory_is_shared_with_the_worker_and_the_prompts() -> None:
    with_prompts = budget_of(load_settings(prompt_cache_mb=1024), [], 64 * GIB)
    without = budget_of(load_settings(prompt_cache_mb=0), [], 64 * GIB)
    assert without.main - with_prompts.main == GIB
    assert 56 * GIB < without.main < 58 * GIB
    assert budget_of(load_settings(), [], 100 * MIB).main == 0


def test_other_machines() -> None:
    gpus = budget_elsewhere(load_settings(), (24, 80)).gpus
    assert [gpu.total // GIB for gpu in gpus] == [24, 80]
    assert all(gpu.available < gpu.total - GIB for gpu in gpus)
    assert budget_elsewhere(load_settings(main_gpu=1), (24, 80)).gpus == gpus[1:]


def test_here() -> None:
    assert len(budget_here(load_settings()).gpus) == len(machine.gpus())
    assert budget_here(load_settings(), use_gpus=False).gpus == ()
