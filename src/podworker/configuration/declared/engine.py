"""How the engine runs: memory, batches, speed, restarts."""

from pathlib import Path

from podworker.configuration.kinds import CacheType, Declarations, Proportions, Switch, setting


class EngineSettings(Declarations):
    """How the engine runs: memory, batches, speed, restarts."""

    slots: int | None = setting(
        "Engine",
        None,
        "Requests decoded at the same time; also the number of jobs that the worker takes at once. Unset: as many as "
        "the memory allows, at most 8 (docs/memory.md).",
        ge=1,
        le=256,
    )
    gpu_layers: int | None = setting(
        "Engine",
        None,
        "Layers of the model to keep on the GPU; the output counts as one. Unset: as many as fit.",
        ge=0,
        le=10_000,
    )
    cache_type_k: CacheType | None = setting(
        "Engine",
        None,
        "How the keys of the KV cache are stored. Unset: like CACHE_TYPE_V, else f16, or q8_0 where the model does not "
        "fit on the GPU otherwise.",
    )
    cache_type_v: CacheType | None = setting(
        "Engine",
        None,
        "How the values of the KV cache are stored. Unset: like CACHE_TYPE_K. Types of less than 16 bits need flash "
        "attention.",
    )
    flash_attention: Switch = setting(
        "Engine",
        "auto",
        "Flash attention, which needs less memory for long contexts. auto: where the GPU and the model allow it.",
    )
    gpu_memory_reserve_mb: int = setting(
        "Engine",
        1024,
        "MiB of each GPU to leave free: for CUDA itself, and for what it allocates while it computes.",
        ge=0,
        le=1_000_000,
    )
    tensor_split: Proportions | None = setting(
        "Engine",
        None,
        "How much of the model each GPU gets, such as 3,1. Unset: by their free memory.",
    )
    main_gpu: int | None = setting(
        "Engine",
        None,
        "The one GPU to use, counted from 0. Unset: all.",
        ge=0,
        le=127,
    )
    batch_size: int | None = setting(
        "Engine",
        None,
        "Tokens of a prompt processed at a time. Smaller means that a cancelled request frees its slot sooner. Unset: "
        "512 on a GPU, 2048 on several, and on the CPU what takes about a second, but 64 to 512.",
        ge=32,
        le=65_536,
    )
    threads: int | None = setting(
        "Engine",
        None,
        "CPU threads of the engine. Unset: the container's CPU quota.",
        ge=1,
        le=1024,
    )
    prompt_cache_mb: int | None = setting(
        "Engine",
        None,
        "Memory for prompts kept for reuse, in MiB. Unset: a tenth of the container's memory, at most 8192.",
        ge=0,
        le=1_000_000,
    )
    engine_binary: Path | None = setting(
        "Engine",
        None,
        "Path of a `llama-server` program to run instead of the built-in engine. Unset: the built-in engine.",
    )
    engine_start_timeout_seconds: float = setting(
        "Engine",
        600,
        "Seconds that the engine may take to load the model before the start counts as failed.",
        gt=0,
        le=86_400,
    )
    engine_restarts: int = setting(
        "Engine",
        3,
        "How often a crashed engine is started again within 10 minutes before the worker gives up and ends.",
        ge=0,
        le=1000,
    )
    engine_stuck_seconds: float = setting(
        "Engine",
        120,
        "Seconds without a finished batch after which the engine counts as stuck, and as crashed: it is killed and "
        "started again. Raise it where one image, or one batch of BATCH_SIZE tokens, takes longer than this.",
        gt=0,
        le=86_400,
    )
