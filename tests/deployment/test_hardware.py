import re

import pytest

from podworker.configuration import load_settings
from podworker.deployment.gpu_pools import POOLS
from podworker.deployment.hardware import Hardware, choose_hardware
from podworker.errors import InvalidSettings
from podworker.models.model_set import Adapter, ModelSet
from tests.deployment.described_models import alone, known
from tests.inference import model_shapes

SMALL, LARGE = alone(model_shapes.LLAMA_3_8B.info()), alone(model_shapes.LLAMA_3_70B.info())


def choose(model: ModelSet | None = None, **given: object) -> Hardware:
    return choose_hardware(load_settings(**{f"deploy_{name}": value for name, value in given.items()}), model, POOLS)


def tokens(found: Hardware) -> int:
    """Of a slot, on the first pool."""
    told = re.search(r"of ([\d,]+) tokens", found.notes[0])
    assert told, found.notes
    return int(told[1].replace(",", ""))


def test_the_cheapest_on_which_the_model_fits() -> None:
    small, large = choose(SMALL), choose(LARGE)
    assert (small.pools[0], small.count, small.variant) == ("AMPERE_16", 1, "cuda11.8")
    assert (large.pools[0], large.count, large.variant) == ("AMPERE_80", 1, "cuda11.8")
    assert small.notes[0].startswith("AMPERE_16, 16 GB: 4 slots of ")


def test_files_beside_the_model_take_memory_too() -> None:
    model, beside = SMALL.model, known(model_shapes.LLAMA_3_8B.info())  # 5 GB each
    projector, draft = ModelSet(model, projector=beside), ModelSet(model, draft=beside)
    adapter = ModelSet(model, adapters=(Adapter(beside, 1.0),))
    for one in (projector, draft, adapter):
        assert tokens(choose(one, gpus="AMPERE_24")) < tokens(choose(SMALL, gpus="AMPERE_24"))
    both = ModelSet(model, projector=beside, draft=beside, adapters=(Adapter(beside, 0.5),) * 2)
    assert choose(both).pools[0] == "AMPERE_48"
    assert both.size == 5 * SMALL.size


def test_what_is_named_is_taken() -> None:
    found = choose(SMALL, gpus="ADA_24, HOPPER_141")
    assert (found.pools, found.count, found.variant) == (("ADA_24", "HOPPER_141"), 1, "cuda12.8")
    assert choose(None, gpus="AMPERE_24,-NVIDIA L4").excluded == ("NVIDIA L4",)
    assert choose(None, gpus="AMPERE_24", gpu_count=2).count == 2


def test_as_many_gpus_as_the_model_needs() -> None:
    assert choose(LARGE, gpus="AMPERE_24").count == 2
    assert choose(LARGE, gpu_count=2).pools[0] == "AMPERE_48"
    found = choose(LARGE, gpus="AMPERE_24,AMPERE_80", gpu_count=1)
    assert found.count == 1
    assert found.notes == (
        "AMPERE_24: not all layers of the model fit on 1 of 24 GB; the others run on the CPU, much slower.",
    )


def test_cpus() -> None:
    found = choose(SMALL, cpu="cpu5c-8")
    assert (found.pools, found.cpu, found.count, found.variant) == ((), "cpu5c", 8, "cpu")
    assert choose(None, cpu="cpu3c-2", variant="handler").variant == "handler"


def test_an_image_of_ones_own() -> None:
    assert choose(SMALL, image="me/worker:1").variant is None
    assert choose(SMALL, image="me/worker:1", variant="cuda12.8").variant == "cuda12.8"


@pytest.mark.parametrize(
    ("model", "given", "says"),
    [
        (None, {}, "Set DEPLOY_GPUS, such as AMPERE_16,AMPERE_24; or DEPLOY_CPU"),
        (None, {"gpus": "RTX 4090"}, "RunPod does not know RTX 4090"),
        (None, {"gpus": "ADA_24,-NVIDIA L4"}, "RunPod does not know -NVIDIA L4"),
        (None, {"gpus": ","}, "does not know any"),
        (None, {"gpus": "HOPPER_141", "variant": "cuda11.8"}, "holds no code for the GPUs of HOPPER_141"),
        (None, {"cpu": "fast"}, "such as cpu5c-4"),
        (None, {"cpu": "cpu5c-4", "gpus": "ADA_24"}, "DEPLOY_CPU is for workers without GPUs"),
        (None, {"variant": "cpu"}, "set DEPLOY_CPU, too"),
    ],
)
def test_what_cannot_be(model: ModelSet | None, given: dict[str, object], says: str) -> None:
    with pytest.raises(InvalidSettings) as refused:
        choose(model, **given)
    assert says in refused.value.message


def test_a_model_that_fits_nowhere() -> None:
    settings = load_settings(context_length=131_072, slots=256)
    with pytest.raises(InvalidSettings, match=r"GB\) fits on none of RunPod's GPUs"):
        choose_hardware(settings, LARGE, POOLS)
    with pytest.raises(InvalidSettings, match=r"GB with what is beside it\) fits on none of RunPod's GPUs"):
        choose_hardware(settings, ModelSet(LARGE.model, projector=SMALL.model), POOLS)
