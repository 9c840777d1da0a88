"""The engine process: `python -m podworker.inference.engine_main`, started by `engine_process`.

It reads one JSON object from standard input (see `EngineCommand`), becomes the engine, and ends when its parent does:
the kernel is asked to kill it then, and where it cannot be asked, the end of standard input ends the built-in engine.
It imports almost nothing: this is the first step of every cold start.
"""

import json
import os
import sys
from collections.abc import Callable
from typing import Any, NoReturn, TypedDict

from podworker.child import end_with_parent

EXIT_REFUSED = 3
"""The exit code when the engine could not start with these options; the reason is on standard error."""


class EngineCommand(TypedDict):
    """What the parent sends."""

    parent: int
    program: list[str]
    """The words of a program to become; empty for the built-in engine."""
    attributes: dict[str, Any]
    """JSON values by dotted attribute of `xllamacpp.CommonParams`, for the built-in engine."""


def _become(program: list[str]) -> NoReturn:
    """Replace this process by the operator's own engine program."""
    try:
        os.execv(program[0], program)  # noqa: S606 - ENGINE_BINARY
    except OSError as error:
        sys.exit(f"ENGINE_BINARY {program[0]} cannot be run: {error.strerror}")


def _tensor_split(module: Any, text: str) -> list[float]:  # noqa: ANN401 - a module without types
    """A number for each GPU there may be."""
    parts = [float(part) for part in text.split(",")]
    return parts + [0.0] * (len(module.CommonParams().tensor_split) - len(parts))


_FLASH_ATTENTION = {"auto": "AUTO", "on": "ENABLED", "off": "DISABLED"}

_CONVERTED: dict[str, Callable[[Any, Any], object]] = {
    "model_alias": lambda _, names: set(names),
    "cache_type_k": lambda module, name: getattr(module.ggml_type, f"GGML_TYPE_{name.upper()}"),
    "cache_type_v": lambda module, name: getattr(module.ggml_type, f"GGML_TYPE_{name.upper()}"),
    "flash_attn_type": lambda module, name: getattr(
        module.llama_flash_attn_type, f"LLAMA_FLASH_ATTN_TYPE_{_FLASH_ATTENTION[name]}"
    ),
    "split_mode": lambda module, name: getattr(module.llama_split_mode, f"LLAMA_SPLIT_MODE_{name.upper()}"),
    "tensor_split": _tensor_split,
    "lora_adapters": lambda module, pairs: [module.CommonAdapterLoraInfo(path, scale) for path, scale in pairs],
    "pooling_type": lambda module, name: getattr(module.llama_pooling_type, f"LLAMA_POOLING_TYPE_{name.upper()}"),
    "speculative.types": lambda module, names: [
        getattr(module.common_speculative_type, f"COMMON_SPECULATIVE_TYPE_{name.upper().replace('-', '_')}")
        for name in names.split(",")
    ],
}
"""Attributes whose values JSON does not have, and how they are made, with the module `xllamacpp`."""


def common_params(module: Any, attributes: dict[str, Any]) -> Any:  # noqa: ANN401 - a module without types
    """The built-in engine's `CommonParams`.

    Args:
        module: `xllamacpp`.
        attributes: JSON values by dotted attribute.
    """
    params = module.CommonParams()
    for path, value in attributes.items():
        *parents, name = path.split(".")
        owner = params
        for parent in parents:
            owner = getattr(owner, parent)
        convert = _CONVERTED.get(path)
        setattr(owner, name, convert(module, value) if convert else value)
    return params


def _serve(attributes: dict[str, Any]) -> NoReturn:
    """Run the built-in engine until standard input ends."""
    import xllamacpp  # noqa: PLC0415 - an engine program does not need it

    params = common_params(xllamacpp, attributes)
    try:
        _server = xllamacpp.Server(params)
    except RuntimeError:
        # The reason goes to standard error, in llama.cpp's words and from a thread of its own: a proper exit awaits it.
        sys.exit(EXIT_REFUSED)
    sys.stdin.buffer.read()
    os._exit(0)  # nothing to save: the destructor would wait for running requests


def main() -> None:
    """Read the command and become the engine."""
    command: EngineCommand = json.loads(sys.stdin.buffer.readline())
    end_with_parent(command["parent"])
    os.dup2(2, 1)  # one stream of log lines
    if command["program"]:
        _become(command["program"])
    _serve(command["attributes"])


if __name__ == "__main__":
    main()
