"""What the engine tells of itself: its slots, what its KV cache holds, its memory.

It is asked when metrics are read, and at most once a second. Another thread of the engine than the one that decodes
answers, so that a busy one answers too (llama.cpp's `server-context.cpp`, SERVER_TASK_TYPE_SLOT_GET).
"""

import json
import socket
import time
from typing import TYPE_CHECKING, Any

from podworker.monitoring.memory import resident_bytes
from podworker.monitoring.metrics import (
    DOWNLOAD_BYTES,
    ENGINE_KV_CACHE_LIMIT,
    ENGINE_KV_CACHE_TOKENS,
    ENGINE_RESTARTS,
    ENGINE_SLOTS,
    MEMORY,
    PROMPT_CACHE_TOKENS,
    REGISTRY,
)

if TYPE_CHECKING:
    from podworker.inference.engine import Engine
    from podworker.inference.engine_process import EngineProcess

ANSWER_SECONDS = 0.5
"""How long an answer may take, all of it. It is here within a few milliseconds, or not at all."""
FRESH_SECONDS = 1.0
"""For so long what it told still holds."""
_ANSWER_BYTES = 4 * 2**20
"""More than 64 slots tell."""


class EngineMetrics:
    """Measures an engine while metrics are on.

    Args:
        engine: The engine, whose process may change.
    """

    def __init__(self, engine: "Engine") -> None:
        self._engine = engine
        self._asked = -FRESH_SECONDS
        for counter in (ENGINE_RESTARTS, PROMPT_CACHE_TOKENS, DOWNLOAD_BYTES):
            counter.add(0)  # Prometheus misses the first increment of a series that it has not seen at zero
        REGISTRY.add_collector(self.collect)

    def close(self) -> None:
        """Measure it no more."""
        REGISTRY.remove_collector(self.collect)
        self._forget()

    def collect(self) -> None:
        """Set the gauges. An engine that does not answer leaves the last values; one that is gone leaves none."""
        process = self._engine.process
        resident = None if process is None else resident_bytes(process.pid)
        if process is None or resident is None:
            self._forget()
            return
        MEMORY.set(resident, podworker_process="engine")
        if not self._engine.is_ready or time.monotonic() - self._asked < FRESH_SECONDS:
            return
        try:
            slots = _slots(process)
        except (OSError, ValueError, LookupError):  # busy, ending just now, or a program with other routes
            return
        self._asked = time.monotonic()
        busy = sum(bool(slot["is_processing"]) for slot in slots)
        ENGINE_SLOTS.set(busy, state="busy")
        ENGINE_SLOTS.set(len(slots) - busy, state="idle")
        ENGINE_KV_CACHE_TOKENS.set(sum(slot.get("n_prompt_tokens", 0) for slot in slots))
        ENGINE_KV_CACHE_LIMIT.set(sum(slot["n_ctx"] for slot in slots))

    def _forget(self) -> None:
        self._asked = -FRESH_SECONDS
        MEMORY.remove(podworker_process="engine")
        for gauge in (ENGINE_SLOTS, ENGINE_KV_CACHE_TOKENS, ENGINE_KV_CACHE_LIMIT):
            gauge.clear()


def _slots(process: "EngineProcess") -> list[dict[str, Any]]:
    """The engine's `/slots`, without an HTTP library: metrics are read in a thread, and aiohttp has none.

    Raises:
        OSError: No answer in time.
        ValueError: An answer of another form.
    """
    deadline = time.monotonic() + ANSWER_SECONDS
    received = bytearray()
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(ANSWER_SECONDS)
        connection.connect(str(process.socket))
        connection.sendall(f"GET /slots HTTP/1.0\r\nAuthorization: Bearer {process.api_key}\r\n\r\n".encode())
        while data := connection.recv(65_536):
            received += data
            if len(received) > _ANSWER_BYTES:
                raise ValueError("the answer does not end")
            connection.settimeout(max(deadline - time.monotonic(), 0.001))
    head, _, body = bytes(received).partition(b"\r\n\r\n")
    if b" 200 " not in head.partition(b"\r\n")[0]:
        raise ValueError("the engine refuses to tell")
    answer = json.loads(body)
    if not isinstance(answer, list) or not all(isinstance(slot, dict) for slot in answer):
        raise ValueError("this is no list of slots")
    return answer
