"""What fits where, by the same arithmetic as in the worker."""

from typing import Any

import pytest

from podworker.configuration import Settings
from podworker.deployment.gpu_choice import best_fits, fit_on
from podworker.deployment.gpu_pools import POOLS, pools_of_catalog
from podworker.deployment.presets import Preset, presets, table
from podworker.inference.memory import demand_of
from podworker.models.choice import HubFile, choose
from podworker.models.metadata import ModelInfo
from podworker.models.reference import parse_reference
from tests.deployment.described_models import alone
from tests.inference import model_shapes

NOTHING_SET = Settings.model_construct()
POOL = {pool.id: pool for pool in POOLS}


def pools(info: ModelInfo, settings: Settings = NOTHING_SET) -> list[tuple[str, int]]:
    return [(fit.pool.id, fit.count) for fit in best_fits(settings, demand_of(settings, alone(info)), POOLS)]


@pytest.mark.parametrize("preset", presets(), ids=lambda preset: preset.name)
def test_every_preset_fits_comfortably_on_one_gpu(preset: Preset) -> None:
    fits = preset.fits()
    assert fits
    assert all(fit.comfortable and fit.count == 1 and fit.plan.gpu_layers == fit.plan.units for fit in fits)
    assert all(fit.plan.context_length >= 8192 for fit in fits)
    # The file itself and 1 GB for CUDA are the least that it takes.
    assert all(fit.pool.memory_gb > preset.file_gb + 1 for fit in fits)
    assert f"| {preset.name} |" in table()


@pytest.mark.parametrize("file", ["gpt-oss-20b-mxfp4.gguf", "gpt-oss-20b-MXFP4.gguf"])
def test_every_preset_names_its_quantization(file: str) -> None:
    """Repositories grow: beside gpt-oss lies a draft head by now, and its file came again under another name."""
    references = {preset.name: parse_reference(preset.model) for preset in presets()}
    assert all(reference.quantization for reference in references.values())
    files = [HubFile(file, 12_109_566_624, None), HubFile("eagle3-gpt-oss-20b-Q8_0.gguf", 937_560_064, None)]
    assert choose(references["gpt-oss 20B"], files).name == file


def test_dimensions_agree_with_a_header() -> None:
    """The same model by its dimensions, and by a header with all of its tensors."""
    (preset,) = [preset for preset in presets() if preset.name == "Llama 3.1 8B Instruct"]
    exact = model_shapes.LLAMA_3_8B.info()
    assert preset.info.kv_cache == exact.kv_cache
    assert preset.info.compute_buffer == exact.compute_buffer
    assert sum(preset.info.weights.units) == pytest.approx(sum(exact.weights.units), rel=0.02)
    assert preset.info.weights.input == exact.weights.input


def test_a_larger_context_needs_a_larger_gpu() -> None:
    info = presets()[0].info
    assert pools(info)[0] == ("AMPERE_16", 1)
    assert pools(info, Settings.model_construct(context_length=40_960, slots=8))[0][0] == "AMPERE_80"


def test_several_gpus_where_one_does_not_hold_it() -> None:
    settings = NOTHING_SET
    demand = demand_of(settings, alone(presets()[-1].info))
    small = [pool for pool in POOLS if pool.memory_gb <= 24]
    fits = best_fits(settings, demand, small)
    assert {(fit.count, fit.comfortable) for fit in fits} == {(2, False)}
    assert best_fits(settings, demand, small, counts=(1,)) == []
    assert best_fits(settings, demand, small, counts=(4,))[0].comfortable
    assert fit_on(settings, demand, POOL["AMPERE_24"], 1) is None


def test_one_image_runs_on_all_that_are_chosen() -> None:
    for preset in presets():
        assert len({fit.pool.needs_cuda_12_8 for fit in preset.fits()}) == 1


def test_the_catalog_knows_prices_and_sizes() -> None:
    entries: list[dict[str, Any]] = [
        {"id": "B", "pool": "TWO", "manufacturer": "NVIDIA", "memory": 24, "price": {"serverless": 1.1}},
        {"id": "A", "pool": "TWO", "manufacturer": "NVIDIA", "memory": 20, "price": {"serverless": 1.0}},
        {"id": "C", "pool": "ONE", "manufacturer": "NVIDIA", "memory": 80, "price": {"serverless": 0.5}},
        {"id": "D", "pool": "NEW", "manufacturer": "NVIDIA", "memory": 16, "price": {}},
        {"id": "E", "pool": None, "manufacturer": "NVIDIA", "memory": 8, "price": {}},
        {"id": "F", "pool": "AMD", "manufacturer": "AMD", "memory": 192, "price": {}},
    ]
    found = pools_of_catalog(entries)
    assert [(pool.id, pool.memory_gb, pool.price, pool.gpus) for pool in found] == [
        ("ONE", 80, 0.5, ("C",)),
        ("TWO", 20, 1.1, ("A", "B")),
        ("NEW", 16, None, ("D",)),
    ]
