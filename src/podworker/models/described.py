"""What a model's header says, wherever the model is: without downloading it."""

import asyncio

from podworker.configuration import Settings
from podworker.errors import ModelNotFound
from podworker.models.inventory import Inventory
from podworker.models.reference import parse_reference
from podworker.models.resolve import Finder, FoundModel, find_model

SOURCE = "its source"
"""The `origin` of a model that is not here."""


def described(settings: Settings, model: str | None = None) -> FoundModel:
    """A model that is here, or of which its source tells the header. It waits for the network: not for an event loop.

    Args:
        settings: Where to look, and how to ask.
        model: What MODEL takes, or the name of a stored model; without it, the model that would be served.

    Raises:
        StartupError: There is no such model, or its header cannot be had.
    """
    inventory = Inventory(settings)
    if model and inventory.has(model):
        return FoundModel(inventory.stored(model).model.paths[0], "the store")
    found = Finder(settings).find(parse_reference(model)) if model else find_model(settings)
    if found is not None:
        return found
    reference = parse_reference(model or str(settings.model))  # where MODEL is not set, there is the demo or an error
    if settings.offline:
        raise ModelNotFound(
            f"{reference.text} is not on this machine, and OFFLINE is set. Unset OFFLINE, or put the model into "
            "MODEL_STORE where there is a network."
        )
    # Whoever has the model needs none of what a request imports.
    from podworker.models.remote_header import describe_remote  # noqa: PLC0415

    info = asyncio.run(describe_remote(reference, settings))
    return FoundModel(info.files[0], SOURCE, info=info)
