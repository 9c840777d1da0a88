"""What requests may hold, and prompts that are read before the first one."""

from pathlib import Path

from pydantic import SecretStr

from podworker.configuration.kinds import Declarations, setting


class RequestSettings(Declarations):
    """What requests may hold, and prompts that are read before the first one."""

    default_temperature: float | None = setting(
        "Requests",
        None,
        "The `temperature` of requests that give none. Unset: the model's own advice, else llama.cpp's default.",
        ge=0,
        le=2,
    )
    default_top_p: float | None = setting(
        "Requests", None, "The `top_p` of requests that give none. Unset: as for DEFAULT_TEMPERATURE.", ge=0, le=1
    )
    default_top_k: int | None = setting(
        "Requests",
        None,
        "The `top_k` of requests that give none; 0 turns it off. Unset: as for DEFAULT_TEMPERATURE.",
        ge=0,
        le=1_000_000,
    )
    default_min_p: float | None = setting(
        "Requests", None, "The `min_p` of requests that give none. Unset: as for DEFAULT_TEMPERATURE.", ge=0, le=1
    )
    default_repeat_penalty: float | None = setting(
        "Requests",
        None,
        "The `repeat_penalty` of requests that give none; 1 turns it off. Unset: as for DEFAULT_TEMPERATURE.",
        ge=0.01,
        le=100,
    )
    default_presence_penalty: float | None = setting(
        "Requests", None, "The `presence_penalty` of requests that give none. Unset: 0.", ge=-2, le=2
    )
    default_frequency_penalty: float | None = setting(
        "Requests", None, "The `frequency_penalty` of requests that give none. Unset: 0.", ge=-2, le=2
    )
    default_seed: int | None = setting(
        "Requests",
        None,
        "The `seed` of requests that give none: the same request gets the same answer. Unset: a random one each time.",
        ge=0,
        le=4_294_967_295,
    )
    default_max_tokens: int | None = setting(
        "Requests",
        None,
        "Tokens that an answer may have where the request does not say. Unset: MAX_TOKENS_LIMIT.",
        ge=1,
        le=10_000_000,
    )
    max_tokens_limit: int | None = setting(
        "Requests",
        None,
        "Tokens that an answer may have at most; a request for more is refused. Unset: what the context leaves.",
        ge=1,
        le=10_000_000,
    )
    n_limit: int = setting(
        "Requests",
        128,
        "Answers that one request may ask for: `n` times the number of its prompts. `n` alone is at most SLOTS.",
        ge=1,
        le=10_000,
    )
    grammars: bool = setting(
        "Requests",
        default=True,
        description="Let requests bring grammars, and patterns in their JSON schemas. An ambiguous one can keep the "
        "engine busy for ever with one token, until it is taken for stuck and started again: turn them off where you "
        "do not trust whoever sends requests.",
    )
    image_urls: bool = setting(
        "Requests",
        default=False,
        description="Let requests name images by http and https addresses, which the engine then fetches. Whoever may "
        "send requests can reach what the worker can reach. Unset: images come inside the request.",
    )

    warm_prompts: SecretStr | None = setting(
        "Warm prompts",
        None,
        "Prompts with which many requests begin, such as a long system prompt: each is ready in every slot before the "
        "first job. A JSON list, or the path of a file that holds one; see docs/warm-prompts.md.",
    )
    warm_prompts_folder: Path | None = setting(
        "Warm prompts",
        None,
        "The folder that keeps the state of each, so that the next worker does not compute it again; all workers of an "
        "endpoint share it. Unset: `podworker-warm-prompts` on the network volume, else in the user's cache folder.",
    )
    warm_prompts_max_gb: float = setting(
        "Warm prompts",
        10,
        "GB (10^9 bytes) that the folder may hold. To make room, the least recently used states are deleted.",
        gt=0,
        le=1_000_000,
    )
