"""Environment variables that podworker does not read, though whoever set them may think so."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from podworker.configuration.image import ENGINE_BUILD_VARIABLE
from podworker.configuration.sources import FILE_VARIABLE

_OWN = "PODWORKER_"
_KNOWN = {FILE_VARIABLE, ENGINE_BUILD_VARIABLE, "RUNPOD_AI_API_KEY"}
"""Our own that are no settings, and the one of RunPod's that looks like RUNPOD_API_KEY."""
_PASSED_TO_NOBODY = "LLAMA_ARG_"
_OF_OTHERS = {
    "MAX_MODEL_LEN": "CONTEXT_LENGTH",
    "MAX_NUM_SEQS": "SLOTS",
    "MAX_CONCURRENCY": "SLOTS",
    "OPENAI_SERVED_MODEL_NAME_OVERRIDE": "MODEL_NAME",
    "MAX_NUM_BATCHED_TOKENS": "BATCH_SIZE",
    "GPU_MEMORY_UTILIZATION": "GPU_MEMORY_RESERVE_MB",
    "KV_CACHE_DTYPE": "CACHE_TYPE_K",
    "LORA_MODULES": "LORA",
    "SPECULATIVE_CONFIG": "DRAFT_MODEL",
    "VLLM_STARTUP_TIMEOUT": "ENGINE_START_TIMEOUT_SECONDS",
    "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": "OTEL_EXPORTER_OTLP_ENDPOINT",
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "OTEL_EXPORTER_OTLP_ENDPOINT",
}
"""Variables of RunPod's vLLM worker and what they are called here (docs/migration.md); and those of OpenTelemetry for
receivers of one kind."""
_SHORT, _LONG = 5, 9
"""Names of fewer letters must be the same but for case and underscores: NODE is no MODE. One letter may differ from
the first length on, two from the second."""


@dataclass(frozen=True, slots=True)
class Lookalike:
    """A variable that nobody reads, and the setting that was perhaps meant. Its value is not kept: it may be secret."""

    variable: str
    meant: str | None


def lookalikes(environ: Mapping[str, str], names: Iterable[str]) -> list[Lookalike]:
    """Variables that look like settings and are none, in the order of their names.

    Args:
        environ: The environment.
        names: The names of all settings.
    """
    variables = {name.upper() for name in names}
    return list(_found(environ, variables))


def _found(environ: Mapping[str, str], settings: set[str]) -> Iterator[Lookalike]:
    for variable in sorted(environ):
        if variable in settings or variable in _KNOWN or not environ[variable].strip():
            continue
        meant = _nearest(variable, settings - {name for name in settings if environ.get(name)})
        meant = meant or _OF_OTHERS.get(variable)
        if meant or variable.startswith((_OWN, _PASSED_TO_NOBODY)):
            yield Lookalike(variable, meant)


def _nearest(variable: str, settings: Iterable[str]) -> str | None:
    """The setting that a name is nearly; None if there is none."""
    plain = _plain(variable.removeprefix(_OWN))
    best, distance = None, 3
    for name in sorted(settings):
        letters = _plain(name)
        allowed = 2 if len(letters) >= _LONG else 1 if len(letters) >= _SHORT else 0
        if abs(len(letters) - len(plain)) <= allowed and (own := _distance(plain, letters)) <= min(
            allowed, distance - 1
        ):
            best, distance = name, own
    return best


def _plain(name: str) -> str:
    return name.upper().replace("_", "").replace("-", "").replace(".", "")


def _distance(one: str, other: str) -> int:
    """Letters to insert, delete, replace or swap with their neighbour to make one text the other (Damerau)."""
    before: list[int] = []
    above = list(range(len(other) + 1))
    for i, letter in enumerate(one, 1):
        row = [i]
        for j, wanted in enumerate(other, 1):
            cost = min(above[j] + 1, row[j - 1] + 1, above[j - 1] + (letter != wanted))
            if before and j > 1 and letter == other[j - 2] and one[i - 2] == wanted:
                cost = min(cost, before[j - 2] + 1)
            row.append(cost)
        before, above = above, row
    return above[-1]
