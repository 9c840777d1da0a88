"""What the stores hold, for those who look after them."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from podworker.configuration import Settings
from podworker.errors import InvalidModelFile, InvalidModelReference, ModelNotFound, StartupError
from podworker.models.choice import Role, quantization_of
from podworker.models.integrity import Condition, condition
from podworker.models.reference import parse_reference
from podworker.models.reference_key import reference_key
from podworker.models.resolve import open_stores
from podworker.models.store import Store, StoredModel
from podworker.models.uses import Activity
from podworker.models.validator import validate


@dataclass(frozen=True, slots=True)
class Entry:
    """One model in one store."""

    store: Store
    model: StoredModel
    references: list[str]
    quantization: str | None
    last_use: float
    """Seconds since 1970; 0 if not known."""
    activity: Activity
    condition: Condition

    @property
    def name(self) -> str:
        """Its name in the store."""
        return self.model.name

    def as_json(self) -> dict[str, Any]:
        """All of it, for programs."""
        first = self.model.record.files[0]
        return {
            "name": self.name,
            "references": self.references,
            "size": self.model.record.size,
            "quantization": self.quantization,
            "last_use": self.last_use or None,
            "in_use": {Activity.BUSY: True, Activity.IDLE: False}.get(self.activity),
            "condition": self.condition.value,
            "source": first.source,
            "revision": first.revision,
            "files": [
                {"path": str(path), "size": file.size, "sha256": file.sha256}
                for path, file in zip(self.model.paths, self.model.record.files, strict=True)
            ],
        }


class Inventory:
    """The models in the stores of the settings."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._stores = open_stores(settings)

    @property
    def roots(self) -> list[Path]:
        """The stores' folders."""
        return [store.root for store in self._stores]

    def entries(self) -> list[Entry]:
        """All models, the last used first."""
        entries = []
        for store in self._stores:
            references = store.references()
            entries += [_entry(store, model, references.get(model.name, [])) for model in store.models()]
        return sorted(entries, key=lambda entry: (-entry.last_use, entry.name))

    def stored(self, text: str) -> Entry:
        """The stored model of that name, or that a reference stands for.

        Raises:
            ModelNotFound: There is none.
        """
        entries = self.entries()
        names = {text, *self._names(text)}
        found = next((entry for entry in entries if entry.name in names), None)
        if found is None:
            names_there = "".join(f"\n  {entry.name}" for entry in entries) or " nothing."
            raise ModelNotFound(f"{text} is not in the store, which holds:{names_there}")
        return found

    def has(self, text: str) -> bool:
        """Whether `stored` finds it."""
        names = {text, *self._names(text)}
        return any(entry.name in names for entry in self.entries())

    def _names(self, text: str) -> set[str]:
        try:
            reference = parse_reference(text)
        except InvalidModelReference:
            return set()
        keys = [reference_key(reference, role, self._settings) for role in Role]
        return {name for store in self._stores for key in keys if (name := store.name_of(key)) is not None}

    def check(self, entry: Entry, *, quick: bool) -> str | None:
        """What is wrong with a model; None if it is good. A bad one is used no more.

        Args:
            entry: The model.
            quick: Do not hash.
        """
        if entry.condition is Condition.DAMAGED:
            return "damaged: a file is missing or has another size. The next start fetches it again."
        if not quick and entry.store.rehash(entry.name, every=True) is None:
            return "damaged: a file does not have the contents that were verified. The next start fetches it again."
        try:
            validate(entry.model.paths[0])
        except (InvalidModelFile, ModelNotFound) as error:
            return error.message
        return None

    def remove(self, entry: Entry, *, force: bool) -> None:
        """Delete a model. May take as long as it takes to know whether another host uses it.

        Raises:
            StartupError: It is in use, or being written.
        """
        evictor = entry.store.evictor
        if not force and evictor.activity(entry.name) is Activity.BUSY:
            raise StartupError(f"{entry.name} is in use. Stop its workers first, or use --force.", code="model_in_use")
        if not evictor.remove(entry.name, force=force):
            raise StartupError(
                f"{entry.name} cannot be removed now: another process is writing or removing it. Try again later.",
                code="model_in_use",
            )
        entry.store.forget(entry.name)


def _entry(store: Store, model: StoredModel, references: list[str]) -> Entry:
    return Entry(
        store=store,
        model=model,
        references=references,
        quantization=quantization_of(model.record.files[0].name),
        last_use=store.last_use(model.name),
        activity=store.evictor.glance(model.name),
        condition=condition(model.folder, model.record),
    )
