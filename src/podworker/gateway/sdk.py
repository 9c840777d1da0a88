"""RunPod's SDK, imported without the parts of it that a worker never uses.

Measured with runpod 1.12 on two cores: of 2.4 s, 1.4 s are a survey of the CPU for the SDK's debugger, 0.8 s are
paramiko, for the SSH keys of its command line, and 0.05 s each are tomlkit, for writing its settings, tqdm, for the bar
of an upload, and aiodns, by which aiohttp would look up names (it has the system's own way, too). All are put off here,
not taken away.
"""

import importlib
import importlib.util
import platform
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

from podworker.configuration import machine
from podworker.errors import WorkerError
from podworker.gateway.sdk_log import route_sdk_log
from podworker.monitoring.redaction import redact

FITNESS_MODULE = "runpod.serverless.modules.rp_fitness"


def load_sdk() -> Any:  # noqa: ANN401 - the SDK has no types
    """Import the SDK; it is at hand for every later import of it. Takes about a second: call it in a thread.

    Returns:
        Its module of fitness checks.
    """
    machine.quiet_sdk()
    _import_later("paramiko")
    _import_later("tomlkit")
    _call_later("tqdm_loggable.auto", "tqdm")
    with _without_survey(), _without_dns_library():
        fitness = importlib.import_module(FITNESS_MODULE)
    route_sdk_log()
    return fitness


async def run_fitness_check(check: Callable[[], Awaitable[None]]) -> None:
    """Run one more check among the SDK's, after those that it has run already. It must have been loaded.

    The SDK would end the process at once where a check fails: no engine would be stopped, no lease on a model given
    back. So the error is raised here instead, and whoever ends the worker reports it (`report_unhealthy`).

    Args:
        check: Raises why this worker cannot work.

    Raises:
        Exception: What the check raised.
    """
    failures: list[Exception] = []

    async def handler_check() -> None:
        try:
            await check()
        except Exception as error:  # noqa: BLE001 - raised below
            failures.append(error)

    fitness = load_sdk()
    fitness.clear_fitness_checks()  # they have passed; to run them again would take as long again
    fitness.register_fitness_check(handler_check)
    await fitness.run_fitness_checks()
    if failures:
        raise failures[0]


def report_unhealthy(error: WorkerError) -> None:
    """Tell RunPod that this worker cannot work, and why, as a failed fitness check of the SDK's own does.

    It never raises, and takes a few seconds at most; nothing is sent where there is no platform.
    """
    load_sdk()._report_unhealthy(error.error_code, redact(error.message))  # noqa: SLF001 - named in tests/gateway/test_queue.py


def _import_later(name: str) -> None:
    """Import a module when one of its names is first used.

    Not by importlib.util.LazyLoader: in Python 3.11 its modules are loaded by the next `import` statement already.
    """
    if name in sys.modules:
        return

    def load_and_get(attribute: str) -> Any:  # noqa: ANN401 - the module protocol (PEP 562)
        if sys.modules.get(name) is stand_in:
            del sys.modules[name]
        module = importlib.import_module(name)
        stand_in.__dict__.update(module.__dict__)
        return getattr(module, attribute)

    stand_in = ModuleType(name)
    stand_in.__spec__ = importlib.util.find_spec(name)
    stand_in.__dict__["__getattr__"] = load_and_get
    sys.modules[name] = stand_in


def _call_later(name: str, function: str) -> None:
    """Import a module, of which only one function is wanted, when that is first called."""
    if name in sys.modules:
        return

    def call(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - whatever the function takes
        if sys.modules.get(name) is stand_in:
            del sys.modules[name]
        return getattr(importlib.import_module(name), function)(*args, **kwargs)

    stand_in = ModuleType(name)
    setattr(stand_in, function, call)
    sys.modules[name] = stand_in


@contextmanager
def _without_dns_library() -> Iterator[None]:
    """Let aiohttp find no use for aiodns as it is imported; whoever asks for its AsyncResolver later gets that."""
    if "aiohttp.resolver" in sys.modules or "aiodns" in sys.modules:
        yield
        return
    _import_later("aiodns")
    aiodns = sys.modules["aiodns"]
    aiodns.__dict__["DNSResolver"] = None  # of which aiohttp asks whether it has `getaddrinfo`
    try:
        yield
    finally:
        del aiodns.__dict__["DNSResolver"]


@contextmanager
def _without_survey() -> Iterator[None]:
    """Answer cpuinfo's survey with what is known already; whoever asks later is surveyed."""
    _import_later("cpuinfo")
    cpuinfo: Any = sys.modules["cpuinfo"]
    survey = vars(cpuinfo).get("get_cpu_info")
    cpuinfo.get_cpu_info = lambda: {"brand_raw": platform.machine()}
    try:
        yield
    finally:
        del cpuinfo.get_cpu_info
        if survey is not None:  # it was imported before
            cpuinfo.get_cpu_info = survey
