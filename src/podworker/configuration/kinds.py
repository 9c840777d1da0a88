"""Kinds of values that settings have, and how one setting is declared."""

import re
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    WithJsonSchema,
)


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
LogFormat = Annotated[Literal["auto", "json", "text"], BeforeValidator(_lower_case)]
EndpointKind = Annotated[Literal["queue", "load_balancer"], BeforeValidator(_lower_case)]
ImageVariant = Annotated[Literal["auto", "cpu", "cuda11.8", "cuda12.8", "handler"], BeforeValidator(_lower_case)]
Scaler = Annotated[Literal["auto", "queue_delay", "request_count"], BeforeValidator(_lower_case)]
OnOff = Annotated[Literal["on", "off"], BeforeValidator(_lower_case)]
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


class Declarations(BaseModel):
    """A group of settings, for `Settings` to inherit: alone it checks nothing, and costs no time to build."""

    model_config = ConfigDict(defer_build=True)
