"""RunPod's REST API, version 2: requests, errors in plain sentences, and what is tried again.

Source: RunPod's documentation, "REST API v2" and "Migrate from API v1" (version 1 is retired at the end of 2026), and
its OpenAPI description, https://api.runpod.io/v2/openapi.json. Errors have the form of RFC 9457.
"""

import asyncio
import json
import logging
import random
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

import aiohttp

from podworker.configuration.masking import MASK
from podworker.deployment.environment import holds_secret
from podworker.errors import DeploymentFailed
from podworker.models.retry import TEMPORARY, retry_after
from podworker.models.web_proxy import proxy_for

logger = logging.getLogger(__name__)

ATTEMPTS = 5
FIRST_DELAY_SECONDS = 1.0
"""Before the second attempt; it doubles from there on."""
LONGEST_DELAY_SECONDS = 60.0
_TIMEOUT = aiohttp.ClientTimeout(total=60, sock_connect=10)
_PAGE = 1000
"""Entries of a list at a time; RunPod's limit."""

_ADVICE = {
    401: "RunPod refuses the API key. Set RUNPOD_API_KEY to a valid one: RunPod's console, Settings, API Keys.",
    402: "The account's balance or its quota does not allow it. Add credit in RunPod's console, or lower "
    "DEPLOY_WORKERS_MAX.",
    403: "The API key may not do this. Give it the right to write to Serverless endpoints, or use another one.",
    404: "RunPod does not have it. Check the ids and names that are set.",
    409: "It contradicts what is there. Wait until other changes of the endpoint are done, and try again.",
    429: "RunPod gets too many requests from this account. Try again in a few minutes.",
}
_REFUSED = "RunPod refuses the request. Correct the setting that it names."
_BROKEN = "RunPod has a problem of its own. Try again in a few minutes; https://uptime.runpod.io says more."
_QUOTA = ("quota", "balance", "credit", "insufficient fund")


class _Failed(Exception):
    """A request that may succeed if it is sent again."""

    def __init__(self, error: DeploymentFailed, *, wait: float | None = None, done: bool = False) -> None:
        super().__init__(error.message)
        self.error = error
        self.wait = wait
        self.done = done
        """Whether RunPod may have done it nevertheless."""


class RestApi:
    """The requests that a deployment needs.

    Args:
        url: The API's address, with its version.
        key: The API key.
        first_delay: Seconds before the second attempt.
    """

    def __init__(self, url: str, key: str, *, first_delay: float = FIRST_DELAY_SECONDS) -> None:
        self._url = url
        self._proxy = proxy_for(url)
        self._first_delay = first_delay
        self._session = aiohttp.ClientSession(
            headers={"Authorization": f"Bearer {key}", "User-Agent": "podworker"}, timeout=_TIMEOUT
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._session.close()

    async def gpus(self) -> list[dict[str, Any]]:
        """The catalog of GPUs."""
        return self._list(await self._ask("GET", "/catalog/gpus"), "gpus")

    async def volume(self, volume_id: str) -> dict[str, Any]:
        """A network volume."""
        return await self._ask("GET", f"/network-volumes/{volume_id}", what=f"the network volume {volume_id}")

    async def find(self, name: str) -> dict[str, Any] | None:
        """The endpoint of this name; None if there is none.

        Raises:
            DeploymentFailed: There are several, or RunPod cannot be asked.
        """
        # RunPod's console marks FlashBoot by an ending of the name.
        found = [entry for entry in await self._endpoints() if entry["name"] in {name, f"{name} -fb"}]
        if len(found) > 1:
            ids = ", ".join(str(entry["id"]) for entry in found)
            raise DeploymentFailed(
                f"There are {len(found)} endpoints named {name} ({ids}). Rename all but one in RunPod's console, or "
                "choose another DEPLOY_NAME."
            )
        return found[0] if found else None

    async def create(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Create an endpoint. Where an answer is lost, it is looked for before it is asked for again: never two."""
        for attempt in range(ATTEMPTS):
            try:
                made = await self._once("POST", "/serverless", body, f"the endpoint {body['name']}")
                return made if made.get("id") else await self._made(body["name"])
            except _Failed as failure:
                await self._pause(failure, attempt)
                if failure.done and (there := await self.find(body["name"])):
                    return there
        raise AssertionError("the last failure is raised by _pause")

    async def update(self, endpoint_id: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Change an endpoint."""
        changed = await self._ask("PATCH", f"/serverless/{endpoint_id}", body, what=f"the endpoint {endpoint_id}")
        return {"id": endpoint_id, **changed}

    async def _made(self, name: str) -> dict[str, Any]:
        """An endpoint that was made, by an answer that does not describe it."""
        if there := await self.find(name):
            return there
        raise self._strange()

    async def _endpoints(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        cursor = ""
        while True:
            page = await self._ask("GET", f"/serverless?limit={_PAGE}{cursor}")
            found += map(self._endpoint, self._list(page, "endpoints"))
            pagination = page.get("pagination") or {}
            if not pagination.get("hasNextPage"):
                return found
            cursor = f"&cursor={quote(str(pagination.get('nextCursor')), safe='')}"

    async def _ask(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, *, what: str | None = None
    ) -> dict[str, Any]:
        """A request that may be sent twice without harm."""
        for attempt in range(ATTEMPTS):
            try:
                return await self._once(method, path, body, what)
            except _Failed as failure:
                await self._pause(failure, attempt)
        raise AssertionError("the last failure is raised by _pause")

    def _json(self, text: str) -> dict[str, Any]:
        """The object that an answer is; an empty answer has nothing to say."""
        if not text.strip():
            return {}
        try:
            answer = json.loads(text)
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            raise self._strange()
        return answer

    def _list(self, answer: Mapping[str, Any], key: str) -> list[dict[str, Any]]:
        """What an answer lists under this key."""
        entries = answer.get(key)
        if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
            raise self._strange()
        return entries

    def _endpoint(self, answer: dict[str, Any]) -> dict[str, Any]:
        """An answer that describes an endpoint."""
        if not isinstance(answer.get("id"), str) or not isinstance(answer.get("name"), str):
            raise self._strange()
        return answer

    def _strange(self) -> DeploymentFailed:
        return DeploymentFailed(
            f"{self._url} does not answer like RunPod's REST API, version 2. Check RUNPOD_REST_URL; if it is unset or "
            "RunPod's own, a newer podworker may know the API as it is now."
        )

    async def _pause(self, failure: _Failed, attempt: int) -> None:
        """Wait before the next attempt, with jitter; raise the error if this was the last."""
        if attempt + 1 >= ATTEMPTS or (failure.wait or 0) > LONGEST_DELAY_SECONDS:
            raise failure.error from None
        delay = min(self._first_delay * 2**attempt, LONGEST_DELAY_SECONDS)
        delay = max(delay * random.uniform(0.5, 1), (failure.wait or 0) * random.uniform(1, 1.1))  # noqa: S311 - no secret
        logger.warning("%s Trying again in %.1f s.", failure.error.message, delay)
        await asyncio.sleep(delay)

    async def _once(self, method: str, path: str, body: Mapping[str, Any] | None, what: str | None) -> dict[str, Any]:
        try:
            async with self._session.request(method, f"{self._url}{path}", json=body, proxy=self._proxy) as response:
                text = await response.text(errors="replace")
                if response.ok:
                    return self._json(text)
                error = _error(response.status, _without_secrets(text, body), what)
                if response.status in TEMPORARY:
                    raise _Failed(error, wait=retry_after(response.headers), done=response.status >= 500)
                raise error
        except (aiohttp.ClientError, TimeoutError) as lost:
            raise _Failed(
                DeploymentFailed(
                    f"{self._url} cannot be reached ({type(lost).__name__}). Check the network, and RUNPOD_REST_URL."
                ),
                done=True,
            ) from lost


def _error(status: int, text: str, what: str | None) -> DeploymentFailed:
    """What RunPod says, and what to do."""
    said = _said(text)
    advice = _ADVICE.get(status) or (_BROKEN if status >= 500 else _REFUSED)
    if status in {400, 403, 422} and any(word in said.lower() for word in _QUOTA):
        advice = _ADVICE[402]
    about = f" for {what}" if what else ""
    return DeploymentFailed(f"{advice} (RunPod answered {status}{about}{f': {said}' if said else '.'})", status=status)


def _without_secrets(text: str, body: Mapping[str, Any] | None) -> str:
    """An error may quote what was sent."""
    for name, value in ((body or {}).get("env") or {}).items():
        if holds_secret(name, value):
            text = text.replace(value, MASK)
    return text


def _said(text: str) -> str:
    """The sentences of a problem report (RFC 9457); RunPod lists what failed a check in `errors`."""
    try:
        problem = json.loads(text)
    except ValueError:
        return ""
    if not isinstance(problem, dict):
        return ""
    errors = problem.get("errors")
    parts = [problem.get("detail") or problem.get("title"), *(errors if isinstance(errors, list) else [])]
    return "; ".join(str(part)[:300] for part in parts if part)
