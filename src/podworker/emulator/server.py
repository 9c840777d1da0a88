"""The emulator as a whole: RunPod's serverless platform on one machine."""

import asyncio
import errno
import logging
import os
import tomllib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from aiohttp import web

from podworker.emulator.access import answer_refusals, check_access
from podworker.emulator.client_api import ClientApi
from podworker.emulator.openai_api import OpenAIApi
from podworker.emulator.platform import Limits, Platform
from podworker.emulator.webhooks import RETRY_SECONDS, Webhooks
from podworker.emulator.worker_api import WorkerApi
from podworker.emulator.workers import YOUNG_DEATHS, Workers, no_log

logger = logging.getLogger("podworker.emulator")

CLOSE_SECONDS = 1.0
"""How long open requests may take to end, at the very end, before they are cancelled."""

_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}  # noqa: S104 (an address to listen on, as the user chose it)


class AddressUnavailable(OSError):
    """The emulator cannot listen where it should."""


class Emulator:
    """An endpoint of RunPod, with its workers. Use it as an async context manager.

    Args:
        host: The address to listen on.
        port: The port; 0 takes a free one.
        endpoint: The endpoint's id, which is part of every path.
        command: The command line of a worker; None starts none.
        workers: How many workers to start.
        environment: Variables for the workers, beside the emulator's own environment and the platform's variables.
            They win over both.
        on_log: Called with a worker's id and a line of its output. By default the output is dropped.
        api_key: The key that clients must send; None lets everybody in.
        worker_key: The key that workers must send; by default a random one.
        poll_seconds: How long a worker's request for a job is held open.
        vanish_seconds: How long a worker may be silent before its jobs return to the queue.
        grace_seconds: How long a worker may take to end after SIGTERM before it is killed.
        restart_seconds: The pause before a worker that died early starts again; it doubles with each death.
        young_deaths: After so many early deaths in a row, a worker is not started again.
        webhook_retry_seconds: The pause before a webhook is called again.
    """

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 8000,
        endpoint: str = "local",
        command: Sequence[str] | None = None,
        workers: int = 1,
        environment: Mapping[str, str] | None = None,
        on_log: Callable[[str, str], None] | None = None,
        api_key: str | None = None,
        worker_key: str | None = None,
        poll_seconds: float = Limits.poll,
        vanish_seconds: float = Limits.vanish,
        grace_seconds: float = 10.0,
        restart_seconds: float = 0.5,
        young_deaths: int = YOUNG_DEATHS,
        webhook_retry_seconds: float = RETRY_SECONDS,
    ) -> None:
        self._host = host
        self._port = port
        self._endpoint = endpoint
        self._extra_environment = dict(environment or {})
        self._worker_key = worker_key or os.urandom(16).hex()
        self._webhooks = Webhooks(webhook_retry_seconds)
        self.platform = Platform(Limits(poll=poll_seconds, vanish=vanish_seconds))
        self.platform.on_final = self._webhooks.send
        self.workers = Workers(
            self.platform,
            command or [],
            workers if command else 0,
            environment=lambda name: {**os.environ, **self.worker_environment(name), **self._extra_environment},
            on_log=on_log or no_log,
            grace_seconds=grace_seconds,
            restart_seconds=restart_seconds,
            young_deaths=young_deaths,
        )
        self._worker_keys = {self._worker_key}
        self._app = app = web.Application(
            middlewares=[answer_refusals, check_access(endpoint, self._worker_keys, api_key)]
        )
        for api in (WorkerApi(self.platform), ClientApi(self.platform), OpenAIApi(self.platform)):
            app.add_routes(api.routes())
        # handler_cancellation: who hangs up must not be handed a job, and an OpenAI client's job is cancelled.
        self._runner = web.AppRunner(app, handler_cancellation=True, access_log=None, shutdown_timeout=CLOSE_SECONDS)

    @property
    def url(self) -> str:
        """The server, such as `http://127.0.0.1:8000`."""
        host = _EVERYWHERE.get(self._host, f"[{self._host}]" if ":" in self._host else self._host)
        return f"http://{host}:{self._port}"

    @property
    def base_url(self) -> str:
        """The endpoint, such as `http://127.0.0.1:8000/v2/local`. `/run` and the other operations stand below it."""
        return f"{self.url}/v2/{self._endpoint}"

    @property
    def openai_url(self) -> str:
        """The base URL for an OpenAI client."""
        return f"{self.base_url}/openai/v1"

    def worker_environment(self, worker_id: str) -> dict[str, str]:
        """The variables that RunPod sets in a worker. Start a worker with them yourself, and it joins this endpoint."""
        query = "?gpu=LOCAL"  # the SDK appends its parameters with "&", so the real URLs have a query as well
        return {
            "RUNPOD_WEBHOOK_GET_JOB": f"{self.base_url}/job-take/$ID{query}",
            "RUNPOD_WEBHOOK_POST_OUTPUT": f"{self.base_url}/job-done/$RUNPOD_POD_ID/$ID{query}",
            "RUNPOD_WEBHOOK_POST_STREAM": f"{self.base_url}/job-stream/$RUNPOD_POD_ID/$ID{query}",
            "RUNPOD_WEBHOOK_PING": f"{self.base_url}/ping/$RUNPOD_POD_ID{query}",
            "RUNPOD_PING_INTERVAL": "10000",
            "RUNPOD_AI_API_KEY": self._worker_key,
            "RUNPOD_POD_ID": worker_id,
            "RUNPOD_POD_HOSTNAME": f"{worker_id}-local",
            "RUNPOD_ENDPOINT_ID": self._endpoint,
            "RUNPOD_SKIP_AUTO_SYSTEM_CHECKS": "true",
            "RUNPOD_SKIP_GPU_CHECK": "true",
            "PYTHONUNBUFFERED": "1",
        }

    def add_page(self, path: str, answer: Callable[[], Awaitable[web.Response]]) -> None:
        """Answer GET at one more path, such as `/metrics`. Only before `start`."""

        async def page(_: web.Request) -> web.Response:
            return await answer()

        self._app.add_routes([web.get(path, page)])

    async def start(self) -> None:
        """Listen, then start the workers.

        Raises:
            AddressUnavailable: The port is taken, or the address is not this machine's.
        """
        self._worker_keys |= await asyncio.to_thread(_stored_keys)
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, self._host, self._port).start()
        except OSError as error:
            await self._runner.cleanup()
            raise self._unavailable(error) from error
        self._port = self._runner.addresses[0][1]
        self.workers.start()

    async def close(self) -> None:
        """End the workers, which may finish what they run in their time of grace; then answer whoever still waits."""
        try:
            self.platform.close_queue()
            await self.workers.stop()
        finally:
            self.platform.close()
            await self._webhooks.close()
            await self._runner.cleanup()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    def _unavailable(self, error: OSError) -> AddressUnavailable:
        if error.errno == errno.EADDRINUSE:
            message = f"Port {self._port} is taken. Stop the program that uses it, or choose another with --port."
        else:
            where = f"{self._host}, port {self._port}"
            message = f"Cannot listen on {where}: {error.strerror}. Choose others with --host and --port."
        return AddressUnavailable(error.errno, message)


def _stored_keys() -> set[str]:
    """Keys in ~/.runpod/config.toml: where that file is, the SDK sends its key, not that of the environment."""
    path = Path("~/.runpod/config.toml").expanduser()
    try:
        profiles = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return set()
    keys = {profile.get("api_key") for profile in profiles.values() if isinstance(profile, dict)}
    return {key for key in keys if isinstance(key, str) and key}
