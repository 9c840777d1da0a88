"""Values chosen at run time for settings that are unset, in the one place that knows how."""

import os
from pathlib import Path
from urllib.parse import unquote, urlsplit

from podworker.configuration import machine
from podworker.configuration.settings import Settings
from podworker.configuration.sources import Source

_MIB = 1024 * 1024
_STORE_NAME = "podworker-models"
_LARGEST_PROMPT_CACHE_MB = 8192


def threads(settings: Settings) -> int:
    """CPU threads of the engine. More than the quota would only wait for each other."""
    return settings.threads or machine.cpu_quota()


def prompt_cache_mb(settings: Settings) -> int:
    """Memory for prompts kept for reuse, in MiB."""
    if settings.prompt_cache_mb is not None:
        return settings.prompt_cache_mb
    return min(machine.memory_limit() // 10 // _MIB, _LARGEST_PROMPT_CACHE_MB)


def model_name(settings: Settings) -> str | None:
    """The name that clients see; None where there is neither a name nor a model to take it from."""
    if settings.model_name or not settings.model:
        return settings.model_name
    # The query of an address may hold a signature or a key, which is none of the clients' business.
    path = urlsplit(settings.model).path if "://" in settings.model else settings.model
    return Path(path).name.removesuffix(".gguf")


def service_name(settings: Settings) -> str:
    """The endpoint's name in metrics and traces: OTEL_SERVICE_NAME, or else `service.name` of OTEL_RESOURCE_ATTRIBUTES.

    Their order is OpenTelemetry's (its specification, "Environment Variable Specification").
    """
    if settings.origin("otel_service_name") is Source.DEFAULT:
        for pair in machine.environment().get("OTEL_RESOURCE_ATTRIBUTES", "").split(","):
            name, _, value = pair.partition("=")
            if name.strip() == "service.name" and (given := unquote(value.strip())):
                return given
    return settings.otel_service_name


def model_store(settings: Settings) -> Path:
    """The folder that keeps downloaded models."""
    return settings.model_store or machine.kept(_STORE_NAME)


def other_model_stores() -> tuple[Path, ...]:
    """Where else models may be found, to be read only.

    The volume's store, where this user may not write to it; and the one on this machine's own disk, which `podworker
    models pull` fills where an image is built.
    """
    return machine.volume() / _STORE_NAME, machine.own_folder() / _STORE_NAME


def volume_refusal(settings: Settings) -> tuple[str, str] | None:
    """Why models are not kept on the volume that is there, and what to do; None where they are, or there is none."""
    volume, own = machine.volume(), machine.own_folder()
    if volume == own or model_store(settings) != own / _STORE_NAME:
        return None
    return (
        f"This user ({os.getuid()}) may not write to {volume}: models are kept on the worker's own disk, and every new "
        "worker downloads them.",
        "Set RUNPOD_POD_USER=0 in the endpoint's variables; or, once, in a pod with the volume: cd /workspace && "
        f"install -d -o {os.getuid()} podworker-models podworker-warm-prompts podworker-cuda-cache",
    )


def warm_prompts_folder(settings: Settings) -> Path:
    """The folder that keeps the states of warm prompts."""
    return settings.warm_prompts_folder or machine.kept("podworker-warm-prompts")


def hf_home(settings: Settings) -> Path:
    """Where Hugging Face's tools keep their files, by their own rules."""
    return settings.hf_home or machine.cache_folder() / "huggingface"


def hf_hub_cache(settings: Settings) -> Path:
    """Where Hugging Face's tools keep models, by their own rules."""
    return settings.hf_hub_cache or hf_home(settings) / "hub"


def _with_the_model(_: Settings) -> str:
    """What is chosen once the model's file is known: see `podworker models show --fit`."""
    return "auto"


AUTOMATIC = {
    "model_name": model_name,
    "model_store": model_store,
    "warm_prompts_folder": warm_prompts_folder,
    "hf_home": hf_home,
    "hf_hub_cache": hf_hub_cache,
    "context_length": _with_the_model,
    "slots": _with_the_model,
    "batch_size": _with_the_model,
    "gpu_layers": _with_the_model,
    "cache_type_k": _with_the_model,
    "cache_type_v": _with_the_model,
    "threads": threads,
    "prompt_cache_mb": prompt_cache_mb,
}
"""By setting: the function that gives the value in effect."""
