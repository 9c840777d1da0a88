"""RunPod's REST API, version 2, on this machine: it checks requests by RunPod's schemas, and can be made to fail."""

import itertools
import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

from podworker.deployment.gpu_pools import POOLS
from tests.deployment.json_schema import Schemas

KEY = "rpa_valid"
SCHEMAS = Schemas(json.loads((Path(__file__).parent / "runpod_openapi.json").read_text()))
_PAGE = 2
"""Endpoints of a page, whatever the limit: so that lists have several."""


@dataclass
class Fault:
    """One answer that goes wrong.

    Attributes:
        status: What is answered; 0: the connection is closed instead.
        method: The requests that it is for.
        after: Whether the request is carried out before it fails.
        body: What is answered.
        headers: Headers of the answer.
    """

    status: int
    method: str = "POST"
    after: bool = False
    body: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)


class RunpodApi:
    """The server. Use it as a context manager."""

    def __init__(self) -> None:
        self.endpoints: dict[str, dict[str, Any]] = {}
        self.volumes = {"vol-eu": "EU-RO-1", "vol-us": "US-TX-3", "vol-eu-2": "EU-RO-1"}
        self.faults: list[Fault] = []
        self.requests: list[tuple[str, str, Any]] = []
        self._ids = itertools.count(1)
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})

    @property
    def url(self) -> str:
        """What RUNPOD_REST_URL is set to."""
        return f"http://127.0.0.1:{self._server.server_port}/v2"

    def sent(self, method: str) -> list[Any]:
        """The bodies of all requests by a method."""
        return [body for used, _, body in self.requests if used == method]

    def add(self, **changes: Any) -> dict[str, Any]:  # noqa: ANN401 - any field
        """Put an endpoint there."""
        return self._create({"env": {}, "networkVolumes": [], "dataCenterIds": [], **changes})

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def fault(self, method: str) -> Fault | None:
        """The next one for a request by this method."""
        for fault in self.faults:
            if fault.method == method:
                self.faults.remove(fault)
                return fault
        return None

    def answer(self, method: str, path: str, body: Any) -> tuple[int, Any]:  # noqa: ANN401 - any JSON
        """Carry out a request."""
        parts = urlsplit(path)
        match method, parts.path.removeprefix("/v2/").split("/"):
            case "GET", ["catalog", "gpus"]:
                return 200, {"gpus": _catalog()}
            case "GET", ["network-volumes", volume] if volume in self.volumes:
                return 200, {"id": volume, "name": volume, "size": 100, "dataCenter": self.volumes[volume]}
            case "GET", ["serverless"]:
                return 200, self._page(parse_qs(parts.query))
            case "POST", ["serverless"]:
                return self._checked(body, "CreateEndpointRequest") or (201, self._create(body))
            case "PATCH", ["serverless", endpoint_id] if endpoint_id in self.endpoints:
                return self._checked(body, "UpdateEndpointRequest") or (200, self._update(endpoint_id, body))
        return 404, {"title": "Not Found", "status": 404, "detail": "resource not found"}

    def _page(self, query: Mapping[str, list[str]]) -> dict[str, Any]:
        start = int(query.get("cursor", ["0"])[0])
        assert 1 <= int(query["limit"][0]) <= 1000
        chosen = list(self.endpoints.values())[start : start + _PAGE]
        more = start + _PAGE < len(self.endpoints)
        return {
            "endpoints": chosen,
            "pagination": {"nextCursor": str(start + _PAGE) if more else None, "hasNextPage": more},
        }

    def _checked(self, body: Any, schema: str) -> tuple[int, Any] | None:  # noqa: ANN401 - any JSON
        problems = list(SCHEMAS.problems(body, schema))
        gpu = body.get("gpu", {})
        if gpu.get("minCudaVersion") and gpu.get("allowedCudaVersions"):
            problems.append("gpu: minCudaVersion and allowedCudaVersions exclude each other")
        if (
            body.get("type") == "QUEUE"
            and body["scaling"]["type"] == "REQUEST_COUNT"
            and "idleTimeout" in body["workers"]
        ):
            problems.append("workers.idleTimeout: does not apply")
        if not problems:
            return None
        problem = {"title": "Unprocessable Entity", "status": 422, "detail": "Request validation failed."}
        return 422, {**problem, "errors": problems}

    def _create(self, body: Mapping[str, Any]) -> dict[str, Any]:
        endpoint_id = f"ep{next(self._ids)}"
        urls = {"run": f"https://api.runpod.ai/v2/{endpoint_id}/run", "runSync": ""}
        if body["type"] == "LOAD_BALANCER":
            urls = {"base": f"https://{endpoint_id}.api.runpod.ai", "health": ""}
        made = {"networkVolumes": [], "dataCenterIds": [], **body, "id": endpoint_id, "requestUrls": urls}
        if "gpu" in made:
            made["gpu"] = {"allowedCudaVersions": [], "minCudaVersion": None, **made["gpu"]}
            made["gpu"]["pools"] = sorted(made["gpu"]["pools"])  # RunPod need not keep the order
        if "cpu" in made:
            made["cpu"] = [{**entry, "memory": 8} for entry in made["cpu"]]
        self.endpoints[endpoint_id] = made
        return made

    def _update(self, endpoint_id: str, body: Mapping[str, Any]) -> dict[str, Any]:
        endpoint = self.endpoints[endpoint_id]
        for key, value in body.items():
            if key in {"gpu", "workers"}:
                if "pools" in value:
                    endpoint[key].pop("excludedTypes", None)
                endpoint[key] = {**endpoint[key], **value}
            else:
                endpoint[key] = value
        return endpoint


def _catalog() -> list[dict[str, Any]]:
    return [
        {
            "id": gpu,
            "name": gpu.removeprefix("NVIDIA "),
            "pool": pool.id,
            "manufacturer": "NVIDIA",
            "memory": pool.memory_gb,
            "price": {"secure": 1, "community": 1, "serverless": round(0.5 + number / 10, 2)},
        }
        for number, pool in enumerate(POOLS)
        for gpu in pool.gpus
    ]


def _handler(api: RunpodApi) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def _serve(self) -> None:
            length = int(self.headers.get("Content-Length", 0))
            body = json.loads(self.rfile.read(length)) if length else None
            api.requests.append((self.command, self.path, body))
            fault = api.fault(self.command)
            status, answer = (200, {}) if fault and not fault.after else api.answer(self.command, self.path, body)
            if self.headers["Authorization"] != f"Bearer {KEY}":
                status, answer = 401, {"title": "Unauthorized", "status": 401, "detail": "invalid token"}
            if fault:
                status, answer = fault.status, fault.body
            if status == 0:
                self.connection.close()
                return
            text = json.dumps(answer).encode()
            self.send_response(status)
            for name, value in (fault.headers if fault else {}).items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        do_GET = do_POST = do_PATCH = _serve  # noqa: N815 - the names that the class is asked for

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's names
            """Nothing on standard error."""

    return Handler
