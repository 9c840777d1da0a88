"""The names that a request's `model` can have: the model's own, and those of its LoRA adapters."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, TypedDict

from podworker.configuration import Settings
from podworker.errors import UnknownModel
from podworker.gateway.validation import shown
from podworker.models.reference import ModelReference, parse_adapters


class LoraScale(TypedDict):
    """How strongly one adapter acts, as llama.cpp's `lora` has it."""

    id: int
    scale: float


@dataclass(frozen=True)
class Adapter:
    """A LoRA adapter as clients see it. A scale of 0: it acts only where a request names it, and then with 1."""

    name: str
    scale: float


def vary(scales: Sequence[float]) -> bool:
    """Whether requests can differ in which of these adapters act on them."""
    return len(scales) > 1 or 0 in scales


class ModelNames:
    """Says which adapters a request gets by its `model`.

    Args:
        model: The model's name: MODEL_NAME.
        adapters: In the order in which the engine loads them.
    """

    def __init__(self, model: str, adapters: Sequence[Adapter] = ()) -> None:
        self.model = model
        self.adapters = tuple(adapters)
        self.vary = vary([adapter.scale for adapter in adapters])

    @classmethod
    def of(cls, settings: Settings, model: str) -> "ModelNames":
        """The names for the adapters of the setting LORA. The last part of each reference, made unique."""
        adapters = parse_adapters(settings.lora) if settings.lora else []
        taken = {model}
        named: list[Adapter] = []
        for adapter in adapters:
            name = _unique(_short_name(adapter.reference), taken)
            taken.add(name)
            named.append(Adapter(name, adapter.scale))
        return cls(model, named)

    def scales(self, name: str | None, *, param: str) -> list[LoraScale]:
        """How strongly each adapter acts on a request.

        Args:
            name: The request's `model`. An adapter's name: it alone acts. The model's, or None: all, each at its scale.
            param: The path of that field, for errors.

        Raises:
            UnknownModel: There are adapters, and this is no name of any, nor the model's.
        """
        if not self.adapters or name is None or name == self.model:
            return [{"id": number, "scale": adapter.scale} for number, adapter in enumerate(self.adapters)]
        names = [adapter.name for adapter in self.adapters]
        if name not in names:
            allowed = ", ".join([self.model, *names])
            # `model_not_found` is OpenAI's code for it.
            raise UnknownModel(
                f"{param}: got {shown(name)}, allowed is one of {allowed}.", param=param, code="model_not_found"
            )
        number = names.index(name)
        return [{"id": number, "scale": self.adapters[number].scale or 1.0}]

    def listed(self, details: dict[str, Any], *, created: int) -> dict[str, Any]:
        """The answer of `/v1/models`.

        Args:
            details: What the engine says of the model.
            created: Since when it is served, in seconds since 1970.
        """
        entry = {"object": "model", "created": created, "owned_by": "podworker"}
        model = {**details, **entry, "id": self.model, "parent": None}
        adapters = [{**entry, "id": adapter.name, "parent": self.model} for adapter in self.adapters]
        return {"object": "list", "data": [model, *adapters]}


def _short_name(reference: ModelReference) -> str:
    """The last part of what the user wrote: of a path or an address the file's name, else the repository's."""
    place = reference.file or reference.repo or reference.key or str(reference.path or reference.text)
    return PurePosixPath(place).name.removesuffix(".gguf")


def _unique(name: str, taken: set[str]) -> str:
    number = 2
    unique = name
    while unique in taken:
        unique = f"{name}-{number}"
        number += 1
    return unique
