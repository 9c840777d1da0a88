"""A server that speaks the protocol of the Hugging Face hub, with its CDN on another port.

What `huggingface_hub`, the `hf` command and any other client of the hub see: its addresses, headers, redirects and
errors. The errors' statuses and codes are those that `huggingface_hub.utils.hf_raise_for_status` tells apart.
"""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote

from aiohttp import web

from tests.hub_server.faults import Fault, Kind
from tests.hub_server.repositories import Repository, StoredFile
from tests.hub_server.transmission import Transmission

TOKEN = "hf_of_the_test"
PAGE_LENGTH = 50


@dataclass(frozen=True)
class Seen:
    """A request that came."""

    host: str
    method: str
    path: str
    headers: Mapping[str, str]


class HubServer:
    """The hub and its CDN, while in use as a context manager.

    Args:
        rate: Bytes a second for each connection; None for as fast as it goes.
        fast: Send files from the disk by the kernel, without faults and without counting: for measurements.
    """

    def __init__(self, *, rate: float | None = None, fast: bool = False) -> None:
        self.transmission = Transmission(rate)
        self.faults: list[Fault] = []
        self.seen: list[Seen] = []
        self.url = ""
        self.cdn_url = ""
        self._fast = fast
        self._repositories: dict[str, Repository] = {}
        self._renamed: dict[str, str] = {}
        self._links: dict[str, StoredFile] = {}
        self._runners: list[web.AppRunner] = []

    def add(self, repo: str, files: Mapping[str, bytes | Path], *, private: bool = False, gated: bool = False) -> str:
        """Create a repository, or replace it. Returns the commit that `main` stands for."""
        self._repositories[repo] = Repository(repo, private, gated)
        return self._repositories[repo].commit(files)

    def repository(self, repo: str) -> Repository:
        return self._repositories[repo]

    def rename(self, old: str, new: str) -> None:
        """Move a repository; the old name redirects, as on the hub."""
        self._repositories[new] = self._repositories.pop(old)
        self._renamed[old] = new

    def fail(self, kind: Kind, **details: Any) -> Fault:  # noqa: ANN401 - the fields of Fault
        """Make a request fail; see `Fault`."""
        fault = Fault(kind, **details)
        self.faults.append(fault)
        return fault

    def expire_links(self) -> None:
        """From now on, no address of the CDN that was given out is valid."""
        self._links.clear()

    @property
    def sent(self) -> int:
        """Bytes of files that were sent."""
        return self.transmission.sent

    def requests(self, host: str, method: str = "GET") -> list[Seen]:
        return [request for request in self.seen if (request.host, request.method) == (host, method)]

    async def __aenter__(self) -> Self:
        hub = web.Application()
        hub.router.add_get("/api/whoami-v2", self._who)
        hub.router.add_get("/api/models/{org}/{name}", self._info)
        hub.router.add_get("/api/models/{org}/{name}/revision/{revision:[^/]+}", self._info)
        hub.router.add_get("/api/models/{org}/{name}/tree/{revision:[^/]+}{path:(/.*)?}", self._tree)
        hub.router.add_post("/api/models/{org}/{name}/paths-info/{revision:[^/]+}", self._paths)
        hub.router.add_get("/{org}/{name}/resolve/{revision:[^/]+}/{path:.+}", self._resolve)
        cdn = web.Application()
        cdn.router.add_get("/repos/{digest}", self._deliver)
        self.url = await self._start(hub)
        self.cdn_url = await self._start(cdn)
        return self

    async def _start(self, app: web.Application) -> str:
        runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
        await runner.setup()
        self._runners.append(runner)
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        host, port = runner.addresses[0][:2]
        return f"http://{host}:{port}"

    async def __aexit__(self, *error: object) -> None:
        self.transmission.stalled.set()
        await self.transmission.proceed()
        for runner in self._runners:
            await runner.cleanup()

    async def _who(self, request: web.Request) -> web.StreamResponse:
        if not self._authorized(request):
            return _error(401, "", "Invalid username or password.")
        return web.json_response({"type": "user", "name": "tester", "auth": {"accessToken": {"role": "read"}}})

    async def _info(self, request: web.Request) -> web.StreamResponse:
        found = self._commit(request)
        if isinstance(found, web.StreamResponse):
            return found
        repository, commit = found
        blobs = request.query.get("blobs", "").lower() == "true"
        files = repository.commits[commit].values()
        return web.json_response(
            {
                "_id": "0" * 24,
                "id": repository.id,
                "modelId": repository.id,
                "sha": commit,
                "private": repository.private,
                "gated": "manual" if repository.gated else False,
                "disabled": False,
                "tags": ["gguf"],
                "downloads": 0,
                "likes": 0,
                "siblings": [file.sibling(blobs=blobs) for file in files],
            }
        )

    async def _tree(self, request: web.Request) -> web.StreamResponse:
        found = self._commit(request)
        if isinstance(found, web.StreamResponse):
            return found
        repository, commit = found
        folder = request.match_info["path"].strip("/")
        files = [file for path, file in sorted(repository.commits[commit].items()) if path.startswith(folder)]
        begin = int(request.query.get("cursor", 0))
        page = web.json_response([file.tree_entry() for file in files[begin : begin + PAGE_LENGTH]])
        if begin + PAGE_LENGTH < len(files):
            following = request.url.update_query(cursor=begin + PAGE_LENGTH)
            page.headers["Link"] = f'<{following}>; rel="next"'
        return page

    async def _paths(self, request: web.Request) -> web.StreamResponse:
        found = self._commit(request)
        if isinstance(found, web.StreamResponse):
            return found
        repository, commit = found
        paths = (await request.post()).getall("paths")
        files = repository.commits[commit]
        return web.json_response([files[str(path)].tree_entry() for path in paths if path in files])

    async def _resolve(self, request: web.Request) -> web.StreamResponse:
        found = self._commit(request)
        if isinstance(found, web.StreamResponse):
            return found
        repository, commit = found
        if repository.gated and not self._authorized(request):
            page = f"Access to model {repository.id} is restricted. You must have access to it and be authenticated."
            return _error(401, "GatedRepo", page)
        file = repository.commits[commit].get(request.match_info["path"])
        if file is None:
            return _error(404, "EntryNotFound", "Entry not found")
        if not file.lfs:
            response = web.Response(body=file.read(0, file.size), headers={"ETag": f'"{file.etag}"'})
            response.headers["X-Repo-Commit"] = commit
            return response
        fault = self._fault("hub", request)
        if isinstance(fault, web.StreamResponse):
            return fault
        signature = secrets.token_hex(8)
        self._links[signature] = file
        headers = {
            "Location": f"{self.cdn_url}/repos/{file.sha256}?X-Signature={signature}&name={quote('a b/+')}",
            "X-Repo-Commit": commit,
            "X-Linked-Size": str(file.size),
            "X-Linked-ETag": f'"{file.sha256}"',
            "Accept-Ranges": "bytes",
        }
        return web.Response(status=302, headers=headers)

    async def _deliver(self, request: web.Request) -> web.StreamResponse:
        self._note("cdn", request)
        file = self._links.get(request.query.get("X-Signature", ""))
        if (
            file is None
            or file.sha256 != request.match_info["digest"]
            or "name=a%20b/%2B" not in request.url.raw_query_string
        ):
            return web.Response(status=403, text="<Error><Code>AccessDenied</Code></Error>")
        if self._fast and isinstance(file.content, Path):
            return web.FileResponse(file.content)
        fault = self._fault("cdn", request)
        if isinstance(fault, web.StreamResponse):
            return fault
        return await self.transmission.send(request, file, fault)

    def _commit(self, request: web.Request) -> tuple[Repository, str] | web.StreamResponse:
        """The repository and commit of an address; or the error, fault or redirect to answer with."""
        self._note("hub", request)
        fault = self._fault("hub", request) if request.path.startswith("/api/") else None
        if isinstance(fault, web.StreamResponse):
            return fault
        name = f"{request.match_info['org']}/{request.match_info['name']}"
        if name in self._renamed:
            return web.Response(status=307, headers={"Location": request.path_qs.replace(name, self._renamed[name], 1)})
        repository = self._repositories.get(name)
        if "Authorization" in request.headers and not self._authorized(request):
            return _error(401, "", "Invalid credentials in Authorization header")
        if repository is None or (repository.private and not self._authorized(request)):
            status = 404 if self._authorized(request) else 401
            return _error(status, "RepoNotFound", "Repository not found")
        commit = repository.resolve(request.match_info.get("revision", "main"))
        if commit is None:
            return _error(404, "RevisionNotFound", "Invalid rev id")
        return repository, commit

    def _fault(self, host: str, request: web.Request) -> Fault | web.StreamResponse | None:
        """The fault that hits a request; as an answer, where the file is not needed for it."""
        fault = next((fault for fault in self.faults if fault.take(host, request.path)), None)
        match fault.kind if fault else None:
            case Kind.STATUS | Kind.MOVED:
                assert fault is not None
                return web.Response(status=fault.status, headers=fault.headers)
            case Kind.PAGE:
                return web.Response(text="<html><body>Sign in</body></html>", content_type="text/html")
        return fault

    def _note(self, host: str, request: web.Request) -> None:
        self.seen.append(Seen(host, request.method, request.path, dict(request.headers)))

    def _authorized(self, request: web.Request) -> bool:
        return request.headers.get("Authorization") == f"Bearer {TOKEN}"


def _error(status: int, code: str, message: str) -> web.Response:
    headers = {"X-Error-Message": message, **({"X-Error-Code": code} if code else {})}
    return web.json_response({"error": message}, status=status, headers=headers)
