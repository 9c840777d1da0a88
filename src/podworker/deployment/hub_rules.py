"""RunPod's rules for `.runpod/hub.json` and `.runpod/tests.json`.

Source: RunPod's documentation, "Hub publishing guide"; the limit of a description is what its database takes. The Hub
tells of a mistake only after a release was built.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from podworker.deployment.gpu_pools import POOLS

MOST_DESCRIPTION = 191
"""Characters."""
CATEGORIES = frozenset({"audio", "embedding", "image", "language", "video"})
INPUT_TYPES: Mapping[str, tuple[type, ...]] = {
    "string": (str,),
    "huggingface": (str,),
    "number": (int, float),
    "boolean": (bool,),
}
"""By type of a field: the types of its default."""

_METADATA = frozenset({"title", "description", "type", "category", "iconUrl", "config"})
_CONFIG = frozenset(
    {
        *("runsOn", "endpointType", "containerDiskInGb", "cpuFlavor", "gpuCount", "gpuIds"),
        *("allowedCudaVersions", "env", "presets"),
    }
)
_INPUT = frozenset(
    {
        *("name", "type", "description", "default", "required", "advanced", "options", "min", "max"),
        *("trueValue", "falseValue"),
    }
)
_TEST_CONFIG = frozenset({"gpuTypeId", "gpuCount", "cpuFlavor", "env", "allowedCudaVersions"})
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_CUDA = re.compile(r"\d+\.\d+")
_CPU_FLAVOR = re.compile(r"cpu\d+[a-z]+(-\d+-\d+)?")
"""Such as cpu3c, or cpu3c-2-4: two CPUs and 4 GB (RunPod's documentation, "CPU types")."""


def problems_of_hub(hub: Mapping[str, Any]) -> list[str]:
    """What RunPod would refuse, or not understand, in a hub.json: one sentence each."""
    return [*_metadata(hub), *_config(_table(hub.get("config")))]


def problems_of_tests(tests: Mapping[str, Any], *, runs_on: str) -> list[str]:
    """The same for a tests.json.

    Args:
        tests: Its content.
        runs_on: What the hub.json beside it says: GPU or CPU.
    """
    return [*_tests(tests.get("tests")), *_test_config(_table(tests.get("config")), runs_on)]


def _metadata(hub: Mapping[str, Any]) -> Iterator[str]:
    yield from _unknown("", hub, _METADATA)
    for key in ("title", "description"):
        if not isinstance(hub.get(key), str) or not hub[key].strip():
            yield f"{key}: must be a text."
    if len(str(hub.get("description", ""))) > MOST_DESCRIPTION:
        yield f"description: has {len(hub['description'])} characters; {MOST_DESCRIPTION} are allowed."
    if hub.get("type") != "serverless":
        yield 'type: must be "serverless".'
    if hub.get("category") not in CATEGORIES:
        yield f"category: must be one of {', '.join(sorted(CATEGORIES))}."
    if "iconUrl" in hub and urlsplit(str(hub["iconUrl"])).scheme != "https":
        yield "iconUrl: must be an https address."
    if not isinstance(hub.get("config"), dict):
        yield "config: is missing."


def _config(config: Mapping[str, Any]) -> Iterator[str]:
    yield from _unknown("config.", config, _CONFIG)
    if config.get("runsOn") not in {"GPU", "CPU"}:
        yield 'config.runsOn: must be "GPU" or "CPU".'
    if config.get("endpointType", "LB") != "LB":
        yield 'config.endpointType: must be "LB", or missing for an endpoint with a queue.'
    if not _positive(config.get("containerDiskInGb")):
        yield "config.containerDiskInGb: must be a whole number of GB."
    yield from _gpus(config) if config.get("runsOn") == "GPU" else _cpus("config", config)
    yield from _cuda("config", config)
    keys = []
    for number, entry in enumerate(config.get("env", [])):
        yield from _variable(f"config.env.{number}", entry)
        keys.append(_table(entry).get("key"))
    yield from (
        f"config.env: {key} is there twice." for key in sorted({str(key) for key in keys if keys.count(key) > 1})
    )
    for number, preset in enumerate(config.get("presets", [])):
        yield from _preset(f"config.presets.{number}", _table(preset), keys)


def _gpus(config: Mapping[str, Any]) -> Iterator[str]:
    if not _positive(config.get("gpuCount")):
        yield "config.gpuCount: must be a whole number."
    pools = [part.strip() for part in str(config.get("gpuIds", "")).split(",")]
    known = {pool.id for pool in POOLS}
    types = {gpu for pool in POOLS for gpu in pool.gpus}
    if not any(part in known for part in pools):
        yield f"config.gpuIds: must name a pool: {', '.join(sorted(known))}."
    for part in pools:
        if part not in known and part.removeprefix("-") not in types:
            yield f"config.gpuIds: {part!r} is neither a pool nor, with a - before it, a GPU to leave out."


def _cpus(path: str, config: Mapping[str, Any]) -> Iterator[str]:
    if not _CPU_FLAVOR.fullmatch(str(config.get("cpuFlavor", ""))):
        yield f"{path}.cpuFlavor: must name a kind of CPU, such as cpu3c-2-4."
    yield from (f"{path}.{key}: is for GPUs only." for key in ("gpuCount", "gpuIds", "gpuTypeId") if key in config)


def _cuda(path: str, config: Mapping[str, Any]) -> Iterator[str]:
    versions = config.get("allowedCudaVersions", [])
    if not isinstance(versions, list) or not all(_CUDA.fullmatch(str(version)) for version in versions):
        yield f'{path}.allowedCudaVersions: must be a list of versions such as "12.8".'
    elif versions != sorted(versions, key=lambda version: [int(part) for part in version.split(".")]):
        yield f"{path}.allowedCudaVersions: must begin with the lowest: runpodctl takes the first for the minimum."


def _variable(path: str, entry: object) -> Iterator[str]:
    variable = _table(entry)
    if not _VARIABLE.fullmatch(str(variable.get("key", ""))):
        yield f"{path}.key: must be the name of a variable."
    if ("value" in variable) == ("input" in variable):
        yield f"{path}: must have either a value or an input."
    if "input" in variable:
        yield from _input(f"{path}.input", _table(variable["input"]))


def _input(path: str, field: Mapping[str, Any]) -> Iterator[str]:
    yield from _unknown(f"{path}.", field, _INPUT)
    for key in ("name", "description"):
        if not isinstance(field.get(key), str) or not field[key]:
            yield f"{path}.{key}: must be a text."
    kind = str(field.get("type"))
    if kind not in INPUT_TYPES:
        yield f"{path}.type: must be one of {', '.join(INPUT_TYPES)}."
        return
    yield from _default(path, field, INPUT_TYPES[kind])
    if kind != "number" and ("min" in field or "max" in field):
        yield f"{path}: min and max are for numbers only."
    if kind != "boolean" and ("trueValue" in field or "falseValue" in field):
        yield f"{path}: trueValue and falseValue are for booleans only."


def _default(path: str, field: Mapping[str, Any], types: tuple[type, ...]) -> Iterator[str]:
    default = field.get("default")
    if "default" in field and (not isinstance(default, types) or (isinstance(default, bool) and bool not in types)):
        yield f"{path}.default: {default!r} is no {field['type']}."
        return
    values = [_table(option).get("value") for option in field.get("options", [])]
    if "options" in field and (not values or not all(isinstance(value, str) for value in values)):
        yield f"{path}.options: each must have a label and a value, which are texts."
    if values and default is not None and default not in values:
        yield f"{path}.default: {default!r} is none of the options."
    if isinstance(default, int | float) and not field.get("min", default) <= default <= field.get("max", default):
        yield f"{path}.default: {default!r} is beyond min or max."


def _preset(path: str, preset: Mapping[str, Any], keys: list[Any]) -> Iterator[str]:
    if not isinstance(preset.get("name"), str) or not preset["name"]:
        yield f"{path}.name: must be a text."
    yield from (
        f"{path}.defaults: {key} is no variable of config.env."
        for key in _table(preset.get("defaults"))
        if key not in keys
    )


def _tests(tests: object) -> Iterator[str]:
    if not isinstance(tests, list) or not tests:
        yield "tests: there must be at least one."
        return
    names = [_table(test).get("name") for test in tests]
    if len(set(map(str, names))) < len(names):
        yield "tests: each must have a name of its own."
    for number, entry in enumerate(tests):
        test = _table(entry)
        yield from _unknown(f"tests.{number}.", test, frozenset({"name", "input", "timeout"}))
        if not isinstance(test.get("name"), str) or not isinstance(test.get("input"), dict):
            yield f"tests.{number}: must have a name and an input, which is an object."
        if "timeout" in test and not _positive(test["timeout"]):
            yield f"tests.{number}.timeout: must be a whole number of milliseconds."


def _test_config(config: Mapping[str, Any], runs_on: str) -> Iterator[str]:
    yield from _unknown("config.", config, _TEST_CONFIG)
    if runs_on == "GPU":
        if config.get("gpuTypeId") not in {gpu for pool in POOLS for gpu in pool.gpus}:
            yield "config.gpuTypeId: must be the id of a GPU, such as NVIDIA GeForce RTX 4090."
        if not _positive(config.get("gpuCount")):
            yield "config.gpuCount: must be a whole number."
    else:
        yield from _cpus("config", config)
    yield from _cuda("config", config)
    for number, entry in enumerate(config.get("env", [])):
        if _table(entry).keys() != {"key", "value"}:
            yield f"config.env.{number}: must have a key and a value."


def _unknown(path: str, table: Mapping[str, Any], known: frozenset[str]) -> Iterator[str]:
    yield from (f"{path}{key}: RunPod knows no such key." for key in sorted(table.keys() - known))


def _table(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _positive(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0
