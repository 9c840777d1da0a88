"""Values chosen at run time for settings that are unset, in the one place that knows how."""

from pathlib import Path
from urllib.parse import urlsplit

from podworker.configuration import machine
from podworker.configuration.settings import Settings

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


def model_store(settings: Settings) -> Path:
    """The folder that keeps downloaded models."""
    return settings.model_store or machine.volume() / _STORE_NAME


def local_model_store() -> Path:
    """The store on this machine's own disk: `podworker models pull` fills it where an image is built."""
    return machine.cache_folder() / "podworker" / _STORE_NAME


def warm_prompts_folder(settings: Settings) -> Path:
    """The folder that keeps the states of warm prompts."""
    return settings.warm_prompts_folder or machine.volume() / "podworker-warm-prompts"


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
