"""Every metric of the worker. docs/metrics.md is made from here.

`gen_ai.*`, `process.*` and `hw.*` are names of OpenTelemetry's semantic conventions, with their units, attributes and
advised boundaries (opentelemetry.io/docs/specs/semconv, "Generative AI metrics"). Attribute values are few, and never
what a client sent.
"""

from podworker.monitoring.instruments import Counter, Gauge, Histogram, Registry
from podworker.monitoring.operations import PROVIDER

REGISTRY = Registry()
"""The worker's own. Nothing is measured until its `start`."""

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600)
_TOKENS_PER_SECOND = (1, 2, 5, 10, 20, 30, 40, 50, 75, 100, 150, 200, 300, 500, 1000)
# The next four are the conventions' own.
_REQUEST_SECONDS = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
_FIRST_TOKEN_SECONDS = (0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10)
_TOKEN_SECONDS = (0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1, 2.5)
_TOKENS = tuple(4**power for power in range(14))

_REQUEST = ("gen_ai.operation.name", "gen_ai.request.model")
_PROVIDER = {"gen_ai.provider.name": PROVIDER}
_GPU = ("hw.id", "hw.name")

JOBS = Counter(
    REGISTRY, "podworker.jobs", "{job}", "Jobs that ended, by how they did.", ("outcome", "error_code", "fault", "door")
)
JOB_WAIT = Histogram(
    REGISTRY,
    "podworker.job.wait",
    "s",
    "From a job's arrival at the worker to the start of its handler.",
    ("door",),
    bounds=_SECONDS,
)
JOB_DURATION = Histogram(
    REGISTRY,
    "podworker.job.duration",
    "s",
    "How long the handler of a job ran.",
    ("outcome", "door"),
    bounds=_SECONDS,
)
JOB_DELIVERY = Histogram(
    REGISTRY,
    "podworker.job.delivery.duration",
    "s",
    "From the end of a job's handler until the queue had its result.",
    bounds=_SECONDS,
)
JOBS_RUNNING = Gauge(REGISTRY, "podworker.jobs.running", "{job}", "Jobs that run now.")
JOBS_CONCURRENCY = Gauge(REGISTRY, "podworker.jobs.concurrency", "{job}", "Jobs that may run at the same time.")

REQUEST_DURATION = Histogram(
    REGISTRY,
    "gen_ai.server.request.duration",
    "s",
    "How long requests to the language model took.",
    (*_REQUEST, "error.type"),
    bounds=_REQUEST_SECONDS,
    always=_PROVIDER,
)
TIME_TO_FIRST_TOKEN = Histogram(
    REGISTRY,
    "gen_ai.server.time_to_first_token",
    "s",
    "From a request to the first piece of its answer.",
    _REQUEST,
    bounds=_FIRST_TOKEN_SECONDS,
    always=_PROVIDER,
)
TIME_PER_OUTPUT_TOKEN = Histogram(
    REGISTRY,
    "gen_ai.server.time_per_output_token",
    "s",
    "Time for each token after the first, by request.",
    _REQUEST,
    bounds=_TOKEN_SECONDS,
    always=_PROVIDER,
)
TOKEN_USAGE = Histogram(
    REGISTRY,
    "gen_ai.client.token.usage",
    "{token}",
    "Tokens of a request, in its prompt and in its answer.",
    (*_REQUEST, "gen_ai.token.type"),
    bounds=_TOKENS,
    always=_PROVIDER,
)
GENERATION_RATE = Histogram(
    REGISTRY,
    "podworker.generation.rate",
    "{token}/s",
    "Tokens that were generated in a second, by request.",
    _REQUEST,
    bounds=_TOKENS_PER_SECOND,
)
PROMPT_CACHE_REQUESTS = Counter(
    REGISTRY,
    "podworker.prompt_cache.requests",
    "{request}",
    "Requests for text, by whether a part of the prompt came from the cache.",
    ("hit",),
)
PROMPT_CACHE_TOKENS = Counter(
    REGISTRY, "podworker.prompt_cache.tokens", "{token}", "Tokens of prompts that came from the cache."
)

ENGINE_SLOTS = Gauge(
    REGISTRY, "podworker.engine.slots", "{slot}", "Slots of the engine that run a request, and others.", ("state",)
)
ENGINE_KV_CACHE_TOKENS = Gauge(
    REGISTRY, "podworker.engine.kv_cache.tokens", "{token}", "Tokens in the engine's KV cache."
)
ENGINE_KV_CACHE_LIMIT = Gauge(
    REGISTRY, "podworker.engine.kv_cache.limit", "{token}", "Tokens that the engine's KV cache can hold."
)
ENGINE_RESTARTS = Counter(
    REGISTRY, "podworker.engine.restarts", "{restart}", "How often a crashed or stuck engine was started again."
)
MODEL_LOAD_DURATION = Gauge(
    REGISTRY, "podworker.model.load.duration", "s", "From the engine's last start until it had loaded the model."
)
DOWNLOAD_BYTES = Counter(REGISTRY, "podworker.download.bytes", "By", "Bytes of models that this worker fetched.")
DOWNLOAD_RATE = Gauge(
    REGISTRY, "podworker.download.rate", "By/s", "Bytes a second of the download that runs, or ran last."
)

MEMORY = Gauge(
    REGISTRY,
    "process.memory.usage",
    "By",
    "Memory that the worker's and the engine's process hold (resident set).",
    ("podworker.process",),
)
GPU_MEMORY = Gauge(REGISTRY, "hw.gpu.memory.usage", "By", "GPU memory in use, by all processes.", _GPU)
GPU_MEMORY_LIMIT = Gauge(REGISTRY, "hw.gpu.memory.limit", "By", "GPU memory there is.", _GPU)
GPU_UTILIZATION = Gauge(
    REGISTRY, "hw.gpu.utilization", "1", "The share of the last second or less in which the GPU worked.", _GPU
)

COLD_START = Gauge(
    REGISTRY,
    "podworker.cold_start.duration",
    "s",
    "From the start of the process to the end of each phase of the cold start.",
    ("phase",),
)
# These two are no ratios, so they have no unit: of "1" Prometheus' names would end in _ratio.
STATE = Gauge(REGISTRY, "podworker.state", "", "1 for the state that the worker is in, 0 for the others.", ("state",))
INFO = Gauge(REGISTRY, "podworker.info", "", "Always 1.", ("version", "model"))
