"""All model files that the settings name: the model, its projector, its LoRA adapters and its draft model."""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from podworker.configuration import Settings
from podworker.models.choice import Role
from podworker.models.reference import ModelReference, parse_adapters, parse_reference
from podworker.models.resolve import Finder, FoundModel, fetch_model, find_model


@dataclass(frozen=True, slots=True)
class Adapter:
    """A LoRA adapter that can be loaded, and how strongly it acts; 1 is as trained."""

    found: FoundModel
    scale: float


@dataclass(frozen=True, slots=True)
class ModelSet:
    """What the engine loads."""

    model: FoundModel
    projector: FoundModel | None = None
    draft: FoundModel | None = None
    adapters: tuple[Adapter, ...] = ()

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(found.description.size for found in self._all())

    def release(self) -> None:
        """They are used no longer: they may be evicted."""
        for found in self._all():
            found.release()

    def _all(self) -> list[FoundModel]:
        beside = (self.projector, self.draft, *(adapter.found for adapter in self.adapters))
        return [self.model, *(found for found in beside if found is not None)]


@dataclass(frozen=True, slots=True)
class Wanted:
    """A file beside the model, as a setting names it."""

    setting: str
    role: Role
    reference: ModelReference
    scale: float = 1.0


def find_models(settings: Settings) -> ModelSet | None:
    """The models of the settings, if this machine or its volume has them all; None if `fetch_models` must be asked.

    Raises:
        InvalidModelReference: A setting names no model, or several.
        ModelNotFound: There is no file at a path, or MODEL is not set and the demo model is not installed.
        InvalidModelFile: The file at a path is damaged.
    """
    return find_beside(settings, find_model(settings))


def find_beside(settings: Settings, model: FoundModel | None) -> ModelSet | None:
    """A model with what the settings name beside it; None if one of them must be fetched. See `find_models`."""
    wanted = list(wanted_beside(settings))
    found = [model]
    found += [Finder(settings, setting=item.setting, role=item.role).find(item.reference) for item in wanted]
    there = [model for model in found if model is not None]
    if len(there) == len(found):
        return model_set(wanted, there)
    for other in there:
        other.release()
    return None


async def fetch_models(settings: Settings) -> ModelSet:
    """The models of the settings: found as by `find_models`, else fetched into the store, one after the other.

    Raises:
        StartupError: One of them cannot be had; the class and the message say why.
    """
    wanted = list(wanted_beside(settings))
    found: list[FoundModel] = []
    try:
        found.append(await fetch_model(settings))
        for item in wanted:
            finder = Finder(settings, setting=item.setting, role=item.role)
            found.append(await finder.fetch(item.reference))
    except (Exception, asyncio.CancelledError):  # whatever it is: what was found is not used
        for model in found:
            model.release()
        raise
    return model_set(wanted, found)


def wanted_beside(settings: Settings) -> Iterator[Wanted]:
    """Everything but the model itself.

    Raises:
        InvalidModelReference: A setting names no model.
    """
    if settings.mmproj:
        yield Wanted("MMPROJ", Role.PROJECTOR, parse_reference(settings.mmproj, setting="MMPROJ"))
    if settings.draft_model:
        yield Wanted("DRAFT_MODEL", Role.DRAFT, parse_reference(settings.draft_model, setting="DRAFT_MODEL"))
    for adapter in parse_adapters(settings.lora) if settings.lora else ():
        yield Wanted("LORA", Role.ADAPTER, adapter.reference, adapter.scale)


def model_set(wanted: Sequence[Wanted], found: Sequence[FoundModel]) -> ModelSet:
    """Put together what was found: the model first, then what is wanted beside it, in that order."""
    model, *others = found
    pairs = list(zip(wanted, others, strict=True))
    return ModelSet(
        model=model,
        projector=next((found for item, found in pairs if item.role is Role.PROJECTOR), None),
        draft=next((found for item, found in pairs if item.role is Role.DRAFT), None),
        adapters=tuple(Adapter(found, item.scale) for item, found in pairs if item.role is Role.ADAPTER),
    )
