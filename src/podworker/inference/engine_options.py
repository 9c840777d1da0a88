"""What the engine is started with: one table from our settings to both of its forms.

llama.cpp's server comes as a Python module (`xllamacpp`, attributes of its `CommonParams`) or as a program
(`llama-server`, command-line flags). `OPTIONS` names both for each option, so that they cannot drift apart.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from podworker.configuration import machine
from podworker.inference.model_kind import GENERATES, ModelKind
from podworker.inference.model_names import vary
from podworker.models.compute_buffer import MICRO_BATCH

Value: TypeAlias = str | int | float | bool | list[str] | list[tuple[str, float]]


NGRAM_TOKENS = 8
"""So many tokens in a row must have come before for those behind them to be drafted. llama.cpp's default is 12."""
NGRAM_DRAFT_TOKENS = 16
"""Of llama.cpp's 48, most are drafted in vain, and on a CPU each costs. Measured: docs/speculation.md."""


@dataclass(frozen=True, kw_only=True)
class EngineOptions:
    """The engine's start options. Units are those of `configuration.Settings`."""

    model: Path
    alias: str
    context_length: int
    slots: int
    batch_size: int
    gpu_layers: int
    threads: int
    prompt_cache_mb: int
    projector: Path | None = None
    draft: Path | None = None
    draft_tokens: int | None = None
    draft_tokens_min: int | None = None
    draft_p_min: float | None = None
    ngrams: bool = False
    adapters: tuple[tuple[Path, float], ...] = ()
    kind: ModelKind = GENERATES
    cache_type_k: str = "f16"
    cache_type_v: str = "f16"
    flash_attention: str = "auto"
    main_gpu: int | None = None
    tensor_split: tuple[float, ...] | None = None
    binary: Path | None = None
    verbose: bool = False

    @property
    def speculation(self) -> str | None:
        """How tokens are drafted, in llama.cpp's words, or None."""
        types = {"ngram-simple": self.ngrams, "draft-simple": self.draft is not None}
        return ",".join(name for name, wanted in types.items() if wanted) or None

    @property
    def ngram_draft(self) -> int:
        """Tokens drafted at a time from what came before."""
        return self.draft_tokens or NGRAM_DRAFT_TOKENS

    @property
    def adapters_vary(self) -> bool:
        """Whether requests can differ in which adapters act on them."""
        return vary([scale for _, scale in self.adapters])


@dataclass(frozen=True)
class Option:
    """One option: its attribute in `xllamacpp.CommonParams`, its flags for `llama-server`, and its value."""

    attribute: str
    flags: tuple[str, ...]
    value: Callable[[EngineOptions], Value | None]
    """None: the option is left out."""


def _valued(flag: str, attribute: str, value: Callable[[EngineOptions], Value | None]) -> Option:
    return Option(attribute, (flag,), value)


def _switch(attribute: str, *, on: bool, flags: tuple[str, ...] = ()) -> Option:
    return Option(attribute, flags, lambda _: on)


def _listed(split: tuple[float, ...] | None) -> str | None:
    return ",".join(f"{part:g}" for part in split) if split else None


OPTIONS: tuple[Option, ...] = (
    _valued("--model", "model.path", lambda o: str(o.model)),
    _valued("--mmproj", "mmproj.path", lambda o: str(o.projector) if o.projector else None),
    _valued("--model-draft", "speculative.draft.mparams.path", lambda o: str(o.draft) if o.draft else None),
    # llama.cpp drafts nothing by a draft model alone: it has to be told.
    _valued("--spec-type", "speculative.types", lambda o: o.speculation),
    _valued("--spec-draft-n-max", "speculative.draft.n_max", lambda o: o.draft_tokens if o.draft else None),
    _valued("--spec-draft-n-min", "speculative.draft.n_min", lambda o: o.draft_tokens_min if o.draft else None),
    _valued("--spec-draft-p-min", "speculative.draft.p_min", lambda o: o.draft_p_min if o.draft else None),
    # Drafts shorter than the n-gram are never made (`ngram-map.cpp`).
    _valued(
        "--spec-ngram-simple-size-n",
        "speculative.ngram_simple.size_n",
        lambda o: min(NGRAM_TOKENS, o.ngram_draft) if o.ngrams else None,
    ),
    _valued(
        "--spec-ngram-simple-size-m",
        "speculative.ngram_simple.size_m",
        lambda o: o.ngram_draft if o.ngrams else None,
    ),
    Option("lora_adapters", (), lambda o: [(str(path), scale) for path, scale in o.adapters] or None),
    _valued("--parallel", "n_parallel", lambda o: o.slots),
    # Each slot has a cache of its own: it is sure of its whole context, however long the others are, and its attention
    # does not pass over theirs. Measured, 8 streams on two cores: 176 tokens/s, against 150 with one cache for all.
    _valued("--ctx-size", "n_ctx", lambda o: o.context_length * o.slots),
    _switch("kv_unified", on=False, flags=("--no-kv-unified",)),
    _valued("--batch-size", "n_batch", lambda o: o.context_length if o.kind.whole else o.batch_size),
    _valued(
        "--ubatch-size", "n_ubatch", lambda o: o.context_length if o.kind.whole else min(o.batch_size, MICRO_BATCH)
    ),
    Option("embedding", ("--embeddings",), lambda o: True if o.kind.pooling else None),
    _valued("--pooling", "pooling_type", lambda o: o.kind.pooling),
    _valued("--n-gpu-layers", "n_gpu_layers", lambda o: o.gpu_layers),
    _valued("--cache-type-k", "cache_type_k", lambda o: o.cache_type_k),
    _valued("--cache-type-v", "cache_type_v", lambda o: o.cache_type_v),
    _valued("--flash-attn", "flash_attn_type", lambda o: o.flash_attention),
    _valued("--split-mode", "split_mode", lambda o: None if o.main_gpu is None else "none"),
    _valued("--main-gpu", "main_gpu", lambda o: o.main_gpu),
    _valued("--tensor-split", "tensor_split", lambda o: _listed(o.tensor_split)),
    _valued("--threads", "cpuparams.n_threads", lambda o: o.threads),
    _valued("--threads-batch", "cpuparams_batch.n_threads", lambda o: o.threads),
    # The cache does not know which adapters acted on a prompt, and a request that names none takes over what a slot
    # holds of others. So where that varies, nothing is cached, but in slots for requests that name theirs.
    _valued("--cache-ram", "cache_ram_mib", lambda o: 0 if o.adapters_vary else o.prompt_cache_mb),
    Option("cache_prompt", ("--no-cache-prompt",), lambda o: False if o.adapters_vary else None),
    _valued("--log-verbosity", "verbosity", lambda o: 3 if o.verbose else 2),
    # llama.cpp's own fitting reads the vocabulary twice; layers and context are known here.
    _switch("fit_params", on=False, flags=("--fit", "off")),
    # Damaged weights load silently otherwise; the check costs nothing measurable.
    _switch("check_tensors", on=True, flags=("--check-tensors",)),
    # What the slots do, not what they hold: for `engine_metrics`, and for nobody else (see `routes`).
    _switch("endpoint_slots", on=True, flags=("--slots",)),
    # Nothing but inference: no web page, no proxy, no other model.
    _switch("ui", on=False, flags=("--no-ui",)),
    _switch("endpoint_props", on=False),
    _switch("ui_mcp_proxy", on=False),
    _switch("models_autoload", on=False),
    _switch("offline", on=True, flags=("--offline",)),
)


DEFAULT_ENVIRONMENT = {
    # Without this an abort runs gdb for seconds before the process ends.
    "GGML_NO_BACKTRACE": "1",
    # How long a thread of GCC's OpenMP spins for the others before it sleeps. By default that is milliseconds, which
    # it takes from whatever shares the cores: measured on two, 8 streams made 16 to 50 tokens/s beside a busy process
    # with the default and 52 to 173 with this; without such a process there was no difference.
    "GOMP_SPINCOUNT": "1000",
}
"""What the engine's environment has unless the worker's own says otherwise."""


def attributes(options: EngineOptions, *, socket: Path, api_key: str) -> dict[str, Value]:
    """The options as dotted attributes of `xllamacpp.CommonParams`."""
    table = {option.attribute: value for option in OPTIONS if (value := option.value(options)) is not None}
    slots = f"{socket.parent}/"  # where a slot's state is saved; llama.cpp puts file names right behind it
    named = {"hostnames": [str(socket)], "api_keys": [api_key], "model_alias": [options.alias]}
    return {**table, **named, "slot_save_path": slots}


def arguments(options: EngineOptions, *, socket: Path) -> list[str]:
    """The options as `llama-server` arguments. The key is not among them: everybody can read a process's arguments."""
    words = ["--host", str(socket), "--alias", options.alias, "--slot-save-path", str(socket.parent)]
    for option in OPTIONS:
        value = option.value(options)
        if value is None:
            continue
        words.extend(option.flags)
        if option.flags and not isinstance(value, bool):
            words.append(str(value))
    for path, scale in options.adapters:
        words += ["--lora-scaled", f"{path}:{scale}"]
    return words


def compile_cache(environ: Mapping[str, str]) -> dict[str, str]:
    """Where the driver keeps what it compiles for a GPU that the engine holds no code for: all workers share it.

    The names are CUDA's (its programming guide, "CUDA Environment Variables"), and so is the rule that code larger than
    the cache is not kept. llama.cpp's kernels for one GPU take about 150 MB; CUDA's default is 1 GiB, its most 4.
    """
    folder = machine.kept("podworker-cuda-cache", environ=environ)
    return {"CUDA_CACHE_PATH": str(folder), "CUDA_CACHE_MAXSIZE": str(2 << 30)}


def environment(inherited: Mapping[str, str], *, api_key: str) -> dict[str, str]:
    """The engine's environment: what the worker has, less secrets, and less what would overrule the options above."""
    secret = ("_KEY", "_TOKEN", "_SECRET", "_PASSWORD")
    ours = ("LLAMA_ARG_", "LLAMA_SERVER_SLOTS_DEBUG")  # the latter would list prompts, too
    kept = {k: v for k, v in inherited.items() if not k.upper().endswith(secret) and not k.startswith(ours)}
    return {**DEFAULT_ENVIRONMENT, **compile_cache(inherited), **kept, "LLAMA_API_KEY": api_key}
