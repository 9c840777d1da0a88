"""What differs between the endpoint that is there and the one that is wanted: for people, and as a PATCH request.

Source of the rules: RunPod's OpenAPI description of version 2, `UpdateEndpointRequest`. Parts that are left out stay as
they are; but `env` is replaced as a whole, and so is the selection of pools, with what is excluded from them.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from podworker.deployment.endpoint import Body
from podworker.deployment.environment import setting_variables, shown_value
from podworker.errors import DeploymentFailed

_NESTED = ("workers", "gpu", "env")
_SETS = frozenset({"networkVolumes", "dataCenterIds", "ports", "gpu.pools", "gpu.excludedTypes"})
"""Lists whose order says nothing: RunPod need not give it back as it was."""
_ENV = "env."


@dataclass(frozen=True)
class Difference:
    """One line of what changes. The texts are safe to print; None: it is not there."""

    field: str
    now: str | None
    then: str | None


@dataclass(frozen=True)
class Changes:
    """All that changes.

    Attributes:
        differences: For people.
        body: What is sent.
    """

    differences: tuple[Difference, ...]
    body: Body


def creation(wanted: Body) -> Changes:
    """Everything, for an endpoint that is not there yet."""
    return Changes(tuple(_compared({}, _flat(wanted))), wanted)


def update(current: Mapping[str, Any], wanted: Body) -> Changes:
    """What must change in an endpoint that is there.

    Variables that are no settings of podworker's stay; settings that are no longer given go.

    Args:
        current: As RunPod describes it.
        wanted: As it should be.

    Raises:
        DeploymentFailed: They differ in what cannot be changed.
    """
    _check_kind(current, wanted)
    variables = _variables(current, wanted)
    target = _flat({**{key: value for key, value in wanted.items() if key not in {"name", "type"}}, "env": variables})
    now = _flat(current)
    differences = tuple(_compared(now, target))
    changed = {difference.field for difference in differences}
    body: Body = {key: wanted[key] for key in changed if "." not in key}
    if any(field.startswith(_ENV) for field in changed):
        body["env"] = variables
    if workers := {key: value for key, value in wanted["workers"].items() if f"workers.{key}" in changed}:
        body["workers"] = workers
    if gpu := _gpu(current, wanted, changed):
        body["gpu"] = gpu
    return Changes(differences, body)


def _check_kind(current: Mapping[str, Any], wanted: Body) -> None:
    """RunPod can change neither of the two, so neither can we."""
    name = wanted["name"]
    if current.get("type", wanted["type"]) != wanted["type"]:
        raise DeploymentFailed(
            f"The endpoint {name} is of type {current['type']}, and RunPod cannot make it {wanted['type']}. Choose "
            "another DEPLOY_NAME, or delete the endpoint."
        )
    if bool(current.get("gpu")) != ("gpu" in wanted):
        raise DeploymentFailed(
            f"The endpoint {name} runs on {'GPUs' if current.get('gpu') else 'CPUs'}, and RunPod cannot change that. "
            "Choose another DEPLOY_NAME, or delete the endpoint."
        )


def _variables(current: Mapping[str, Any], wanted: Body) -> dict[str, str]:
    ours = setting_variables()
    foreign = {name: value for name, value in (current.get("env") or {}).items() if name not in ours}
    return {**foreign, **wanted["env"]}


def _gpu(current: Mapping[str, Any], wanted: Body, changed: set[str]) -> Body:
    gpu: Body = {}
    if changed & {"gpu.pools", "gpu.excludedTypes"}:
        gpu = {key: wanted["gpu"][key] for key in ("pools", "excludedTypes")}
    gpu |= {key: wanted["gpu"][key] for key in ("count", "minCudaVersion") if f"gpu.{key}" in changed}
    if gpu.get("minCudaVersion") and current["gpu"].get("allowedCudaVersions"):
        gpu["allowedCudaVersions"] = []  # RunPod takes only one of the two
    return gpu


def _flat(endpoint: Mapping[str, Any]) -> dict[str, Any]:
    """One entry for each field, and for each part of those that have parts."""
    flat: dict[str, Any] = {}
    for key, value in endpoint.items():
        if key in _NESTED and isinstance(value, Mapping):
            flat |= {f"{key}.{part}": content for part, content in value.items()}
        else:
            flat[key] = value
    return flat


def _compared(now: Mapping[str, Any], then: Mapping[str, Any]) -> Iterator[Difference]:
    for field, value in then.items():
        if _normal(field, now.get(field)) != _normal(field, value):
            yield Difference(field, _text(field, now.get(field)), _text(field, value))
    for field, value in now.items():
        if field.startswith(_ENV) and field not in then:
            yield Difference(field, _text(field, value), None)


def _normal(field: str, value: object) -> object:
    """The same for what means the same."""
    if field in _SETS and isinstance(value, list | None):
        return sorted(value or [])
    if field == "flashboot" and value == "PRIORITY_FLASHBOOT":
        return "FLASHBOOT"
    if field == "cpu" and isinstance(value, list):
        return [{key: entry.get(key) for key in ("id", "vcpuCount")} for entry in value]
    return value


def _text(field: str, value: object) -> str | None:
    if value is None or value == []:
        return None
    if field.startswith(_ENV):
        return shown_value(field.removeprefix(_ENV), str(value))
    if isinstance(value, list) and all(isinstance(entry, str) for entry in value):
        return ", ".join(value)
    return value if isinstance(value, str) else json.dumps(value)
