"""The models of the Hub page, and the GPUs that they fit. `presets.toml` has their figures and where those are from."""

import tomllib
from collections.abc import Iterator
from functools import cache
from importlib import resources

from podworker.configuration import Settings
from podworker.deployment.gpu_choice import Fit, best_fits
from podworker.deployment.gpu_pools import POOLS
from podworker.deployment.model_dimensions import Dimensions
from podworker.inference.memory import demand_of
from podworker.models.metadata import ModelInfo
from podworker.models.model_set import ModelSet
from podworker.models.resolve import FoundModel
from podworker.models.sizes import size_text

_GB = 10**9


class Preset(Dimensions):
    """A well-known model.

    Attributes:
        name: As people call it.
        model: What MODEL is set to.
        source: The repository whose `config.json` has the figures.
        file_gb: Size of the file, in GB (10^9 bytes).
    """

    name: str
    model: str
    source: str
    file_gb: float

    @property
    def info(self) -> ModelInfo:
        """What its header would say."""
        return self.describe(self.model, int(self.file_gb * _GB))

    def fits(self) -> list[Fit]:
        """The pools that it fits best on, with all settings unset."""
        # Not load_settings(): what is generated from this must not depend on the machine's environment.
        settings = Settings.model_construct()
        model = FoundModel(self.info.files[0], self.source, info=self.info)
        return best_fits(settings, demand_of(settings, ModelSet(model)), POOLS)


@cache
def presets() -> tuple[Preset, ...]:
    """All of them, small ones first; the first is the default."""
    text = resources.files(__package__).joinpath("presets.toml").read_text(encoding="utf-8")
    return tuple(Preset.model_validate(entry) for entry in tomllib.loads(text)["preset"])


def table() -> str:
    """Markdown: each model, and what a worker runs on the cheapest pool that it fits."""
    heading = "| model | `MODEL` | file | pools, cheapest first | there: slots x tokens |\n|---|---|---|---|---|\n"
    return heading + "".join(_rows())


def _rows() -> Iterator[str]:
    for preset in presets():
        fits = preset.fits()
        pools = ", ".join(f"{fit.pool.id} ({fit.pool.memory_gb} GB)" for fit in fits)
        plan = fits[0].plan
        shape = f"{plan.slots} x {plan.context_length:,}"
        yield f"| {preset.name} | `{preset.model}` | {size_text(preset.info.size)} | {pools} | {shape} |\n"
