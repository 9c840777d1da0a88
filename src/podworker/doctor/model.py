"""Whether the model is found, and what of it fits into the memory."""

from podworker.configuration import Settings
from podworker.doctor.check import Facts, Finding, ok, skipped, warning
from podworker.models.demo import demo_model
from podworker.models.described import SOURCE, described
from podworker.models.sizes import size_text


def model(facts: Facts, seconds: float) -> Finding:
    """Look for it as the worker does, but fetch no more than its header."""
    settings = facts.settings
    assert settings is not None  # noqa: S101 - see Check.needs_settings
    if settings.model is None and demo_model() is None:
        return warning(
            "MODEL is not set, and the demo model is not installed.",
            "Set MODEL, unless a handler of your own does without it.",
        )
    found = described(_in_haste(settings, seconds))
    try:
        info = found.description
    finally:
        found.release()
    facts.model = found
    what = f"{found.path.name}, {size_text(info.size)}"
    if found.origin == SOURCE:
        return ok(f"{what}, not downloaded yet: the first start does it.")
    return ok(f"{what}, from {found.origin}.")


def memory(facts: Facts, seconds: float) -> Finding:
    """Plan the memory as the worker does."""
    from podworker.inference.memory_forecast import forecast  # noqa: PLC0415 - not where there is no model

    assert facts.settings is not None  # noqa: S101 - see Check.needs_settings
    if facts.model is None:
        return skipped("There is no model to plan for.")
    plan = forecast(_in_haste(facts.settings, seconds), facts.model)
    return ok(f"{plan.reason}.")


def _in_haste(settings: Settings, seconds: float) -> Settings:
    """The settings with less patience than a worker has, which would try for minutes."""
    patience = seconds / 3
    return settings.model_copy(
        update={
            "download_connect_timeout_seconds": min(patience, settings.download_connect_timeout_seconds),
            "download_idle_timeout_seconds": min(patience, settings.download_idle_timeout_seconds),
            "download_patience_seconds": min(patience, settings.download_patience_seconds),
        }
    )
