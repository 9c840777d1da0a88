"""Whether the engine is built for the GPU, and whether it starts at all."""

import re
import signal
import subprocess
import sys
from pathlib import Path

from podworker.configuration import Settings, machine
from podworker.configuration.machine import Gpu
from podworker.doctor.check import Facts, Finding, Verdict, of_text, ok, problem, skipped, warning
from podworker.errors import InvalidSettings
from podworker.inference import engine_options
from podworker.inference.engine_build import (
    EngineBuild,
    build_here,
    compiled_at_start,
    old_driver,
    unsupported,
    used_gpus,
)
from podworker.inference.engine_libraries import missing_library

_VERSION = "import xllamacpp; print('version:', xllamacpp.__version__)"
_LONGEST = 200


def build(facts: Facts, seconds: float) -> Finding:  # noqa: ARG001 - see Check
    """Judge what the image says of its engine."""
    assert facts.settings is not None  # noqa: S101 - see Check.needs_settings
    try:
        found = build_here(facts.settings)
    except InvalidSettings as error:
        return of_text(error.message, Verdict.WARNING)
    if found is None:
        return skipped("Nothing says for which GPUs the engine was built: podworker's CUDA images do.")
    hidden = machine.environment().get("CUDA_VISIBLE_DEVICES") is not None or facts.settings.gpu_layers == 0
    if not facts.gpus and not hidden:
        return warning(
            f"This engine is for CUDA {found.cuda}, and there is no GPU that it could use: the model runs on the CPU.",
            "Start the container with `--gpus all`; on RunPod choose GPUs for the endpoint; or take the image cpu.",
        )
    return _judged(found, used_gpus(facts.settings, facts.gpus))


def _judged(found: EngineBuild, gpus: list[Gpu]) -> Finding:
    told = f"CUDA {found.cuda}, for compute capability {found.range}"
    if not gpus:
        return ok(f"{told}; no GPU is used here.")
    if sentence := unsupported(found, gpus):
        return of_text(sentence, Verdict.PROBLEM)
    if sentence := compiled_at_start(found, gpus):
        return of_text(sentence, Verdict.WARNING)
    if sentence := old_driver(found, gpus):
        return warning(sentence, "If the engine does not start, choose a machine with a newer driver.")
    return ok(f"{told}.")


def engine(facts: Facts, seconds: float) -> Finding:
    """Start it in a process of its own, just to ask its version."""
    assert facts.settings is not None  # noqa: S101 - see Check.needs_settings
    binary = facts.settings.engine_binary
    command = [str(binary), "--version"] if binary else [sys.executable, "-P", "-c", _VERSION]
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=engine_options.environment(machine.environment(), api_key=""),
            timeout=seconds,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return problem(f"{_name(binary)} did not tell its version within {seconds:g} s.", _advice(facts.settings))
    except OSError as error:
        return problem(f"{_name(binary)} cannot be run: {error.strerror}.", _advice(facts.settings))
    words = done.stdout.decode(errors="replace")
    if done.returncode == 0:
        version = re.search(r"version: *(\S+( \(\w+\))?)", words)
        return ok(f"{_name(binary)}, {f'version {version[1]}' if version else 'which tells no version'}.")
    found = f"{_name(binary)} {_ended(done.returncode)}{_last_line(words)}."
    if library := missing_library(words):
        return problem(found, f"{library[0].upper()}{library[1:]}.")
    return problem(found, _advice(facts.settings))


def _name(binary: Path | None) -> str:
    return f"ENGINE_BINARY {binary}" if binary else "The built-in engine"


def _ended(code: int) -> str:
    if code == -signal.SIGILL:
        return "uses instructions that this CPU does not have (SIGILL)"
    return f"ended with {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"


def _last_line(words: str) -> str:
    lines = [line.strip() for line in words.splitlines() if line.strip()]
    return f": {lines[-1][:_LONGEST].rstrip('.')}" if lines else ""


def _advice(settings: Settings) -> str:
    if settings.engine_binary is None:
        return "Install podworker's dependencies again, with the versions in uv.lock (`uv sync --locked`)."
    return (
        "Set ENGINE_BINARY to a `llama-server` that is built for this machine and that this user may run, or unset it "
        "for the built-in engine."
    )
