"""Whether the HTTP door could open."""

import errno
import socket

from podworker.configuration import Settings, machine
from podworker.doctor.check import Facts, Finding, ok, problem, skipped


def port(facts: Facts, seconds: float) -> Finding:  # noqa: ARG001 - see Check
    """Listen there for a moment."""
    settings = facts.settings
    assert settings is not None  # noqa: S101 - see Check.needs_settings
    if settings.mode == "queue" or (settings.mode == "auto" and (machine.is_serverless() or not machine.is_runpod())):
        return skipped("Jobs do not come by HTTP (MODE).")
    host, number = _address(settings)
    for each in dict.fromkeys([number, number if settings.port_health is None else settings.port_health]):
        try:
            _listen(host, each)
        except OSError as error:
            return _unavailable(host, each, error)
    return ok(f"{host}, port {number or 'chosen at the start'}: free.")


def _address(settings: Settings) -> tuple[str, int]:
    """Where the door listens: as `gateway.http` has it."""
    from podworker.gateway.http import LOCAL_PORT, RUNPOD_PORT  # noqa: PLC0415 - it brings an HTTP library

    on_runpod = machine.is_runpod()
    host = settings.listen_host or ("0.0.0.0" if on_runpod else "127.0.0.1")  # noqa: S104 - RunPod's proxy
    default = RUNPOD_PORT if on_runpod else LOCAL_PORT
    return host, default if settings.port is None else settings.port


def _listen(host: str, number: int) -> None:
    family, kind, protocol, _, address = socket.getaddrinfo(host, number, type=socket.SOCK_STREAM)[0]
    with socket.socket(family, kind, protocol) as door:
        door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as asyncio does
        door.bind(address)
        door.listen(1)


def _unavailable(host: str, number: int, error: OSError) -> Finding:
    if error.errno == errno.EADDRINUSE:
        return problem(
            f"Port {number} is taken.",
            "If a worker runs here already, that is right. Else stop the program that uses it, or set PORT to another.",
        )
    return problem(f"Nothing can listen on {host}, port {number}: {error.strerror}.", "Set PORT or LISTEN_HOST.")
