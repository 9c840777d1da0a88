"""`/metrics` of `podworker dev`: those of all its workers, told apart by their label `worker`."""

import asyncio
from collections.abc import Iterable
from pathlib import Path

from aiohttp import web

WORKER_SECONDS = 5.0
"""How long a worker may take; one that has not loaded its imports yet may be slow."""
REQUEST = b"GET /metrics HTTP/1.0\r\n\r\n"


async def merged_metrics(pids: Iterable[int]) -> web.Response:
    """Ask the workers with these process ids. One that does not answer, such as plain RunPod code, is left out."""
    texts = await each_metrics(pids)
    try:
        body = await asyncio.to_thread(_merged, texts)
    except ImportError:
        missing = '/metrics needs the package prometheus-client. Install it with pip install "podworker[metrics]".'
        return web.Response(status=501, text=f"{missing}\n")
    return web.Response(body=body, headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"})


async def each_metrics(pids: Iterable[int]) -> list[str]:
    """What each of these workers answers; an empty text if it does not."""
    paths = await asyncio.to_thread(_sockets, frozenset(pids))
    return await asyncio.gather(*(_asked(path) for path in paths))


def _sockets(pids: frozenset[int]) -> list[Path]:
    from podworker.monitoring.status_folder import sockets  # noqa: PLC0415 - the help of `podworker` imports this

    return [path for path in sockets() if path.name.partition("-")[0] in map(str, pids)]


async def _asked(path: Path) -> str:
    """A worker's answer; nothing if there is none."""
    try:
        async with asyncio.timeout(WORKER_SECONDS):
            reader, writer = await asyncio.open_unix_connection(path)
            try:
                writer.write(REQUEST)
                answer = await reader.read()
            finally:
                writer.close()
    except OSError:  # TimeoutError among them
        return ""
    head, _, body = answer.partition(b"\r\n\r\n")
    return body.decode() if b" 200 " in head.partition(b"\r\n")[0] else ""


def _merged(texts: Iterable[str]) -> bytes:
    """One text of several, with each family once."""
    from prometheus_client.core import Metric  # noqa: PLC0415 - an extra
    from prometheus_client.parser import text_string_to_metric_families  # noqa: PLC0415 - an extra

    from podworker.monitoring.prometheus import text  # noqa: PLC0415

    families: dict[str, Metric] = {}
    for one in texts:
        for family in text_string_to_metric_families(one):
            known = families.setdefault(family.name, Metric(family.name, family.documentation, family.type))
            known.samples += family.samples
    return text(families.values())
