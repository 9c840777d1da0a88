"""The RunPod API key, as it can be sent."""

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from podworker.configuration import Settings


def api_key(settings: "Settings") -> str | None:
    """What RUNPOD_API_KEY says; None where it is not set.

    Raises:
        click.UsageError: It holds what no header may hold. It is not quoted: most of it may be a key.
    """
    if settings.runpod_api_key is None:
        return None
    key = settings.runpod_api_key.get_secret_value()
    if not key.isascii() or not key.isprintable() or " " in key:
        raise click.UsageError(
            "RUNPOD_API_KEY is no API key: it holds a space, a line break or another sign that no key has. Copy it "
            "again, and nothing else, from RunPod's console: Settings, API Keys."
        )
    return key
