"""What a model's header says, wherever the model is: without downloading it."""

import asyncio
from collections.abc import Callable

from podworker.configuration import Settings
from podworker.errors import ModelNotFound
from podworker.models.choice import MODEL, Role
from podworker.models.inventory import Inventory
from podworker.models.model_set import ModelSet, model_set, wanted_beside
from podworker.models.reference import ModelReference, parse_reference
from podworker.models.resolve import Finder, FoundModel, find_model

SOURCE = "its source"
"""The `origin` of a model that is not here."""


def _in_silence(sentence: str) -> None:
    del sentence


def described(settings: Settings, model: str | None = None, tell: Callable[[str], None] = _in_silence) -> FoundModel:
    """A model that is here, or of which its source tells the header. It waits for the network: not for an event loop.

    Args:
        settings: Where to look, and how to ask.
        model: What MODEL takes, or the name of a stored model; without it, the model that would be served.
        tell: Called with a sentence before the network is used.

    Raises:
        StartupError: There is no such model, or its header cannot be had.
    """
    inventory = Inventory(settings)
    if model and inventory.has(model):
        return FoundModel(inventory.stored(model).model.paths[0], "the store")
    found = Finder(settings).find(parse_reference(model)) if model else find_model(settings)
    if found is not None:
        return found
    # Where MODEL is not set, there is the demo or an error.
    return _at_source(parse_reference(model or str(settings.model)), settings, MODEL, tell)


def described_beside(settings: Settings, model: FoundModel, tell: Callable[[str], None] = _in_silence) -> ModelSet:
    """A model with what the settings name beside it, each as by `described`. Where it fails, the model is released.

    Raises:
        InvalidModelReference: A setting names no model, or several.
        StartupError: There is no such file, or its header cannot be had.
    """
    found = [model]
    try:
        wanted = list(wanted_beside(settings))
        for item in wanted:
            finder = Finder(settings, setting=item.setting, role=item.role)
            here = finder.find(item.reference)
            found.append(here or _at_source(item.reference, settings, item.role, tell))
    except BaseException:  # whatever it is: what was found is not used
        for each in found:
            each.release()
        raise
    return model_set(wanted, found)


def _at_source(reference: ModelReference, settings: Settings, role: Role, tell: Callable[[str], None]) -> FoundModel:
    if settings.offline:
        raise ModelNotFound(
            f"{reference.text} is not on this machine, and OFFLINE is set. Unset OFFLINE, or put the model into "
            "MODEL_STORE where there is a network."
        )
    # Whoever has the model needs none of what a request imports.
    from podworker.models.remote_header import describe_remote  # noqa: PLC0415

    source = f" from {settings.hf_endpoint}" if reference.kind == "hub" else ""
    tell(f"Reading the first megabytes of {reference.text}{source}.")
    info = asyncio.run(describe_remote(reference, settings, role))
    return FoundModel(info.files[0], SOURCE, info=info)
