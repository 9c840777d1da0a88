"""Pages of web sites: those that may call the worker (CORS: browsers ask it), and those that may not."""

from collections.abc import Set

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from podworker.errors import InvalidInput


def allow_origins(app: web.Application, origins: Set[str]) -> None:
    """Tell browsers that pages of these sites may read the answers; `*` is any site."""
    if not origins:
        return

    async def add_headers(request: web.Request, response: web.StreamResponse) -> None:
        if _from_one_of(origins, request):
            response.headers["Access-Control-Allow-Origin"] = request.headers.get("Origin", "*")
            response.headers["Vary"] = "Origin"

    @web.middleware
    async def answer_preflight(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.method != "OPTIONS" or not _from_one_of(origins, request):
            return await handler(request)
        asked = request.headers.get("Access-Control-Request-Headers", "*")
        headers = {"Access-Control-Allow-Methods": "GET, POST", "Access-Control-Allow-Headers": asked}
        return web.Response(status=204, headers=headers)

    app.on_response_prepare.append(add_headers)
    app.middlewares.insert(0, answer_preflight)


def refuse_other_sites(origins: Set[str]) -> Middleware:
    """A middleware that refuses what the page of a site that is none of these makes a browser send.

    A page need not ask before it sends a form or plain text: any site could start jobs on a worker that listens on its
    reader's own machine. Browsers say where a request comes from (Fetch Metadata: `Sec-Fetch-Site`); other clients do
    not. Of JSON they ask first, unless their user has switched that off, as programs made of a browser do.
    """

    @web.middleware
    async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
        from_elsewhere = request.headers.get("Sec-Fetch-Site") == "cross-site"
        unasked = request.method == "POST" and request.content_type != "application/json"
        if from_elsewhere and unasked and not _from_one_of(origins, request):
            raise InvalidInput(
                "Pages of other web sites may not send jobs to this worker. Name the site in CORS_ORIGINS, or set "
                "API_KEYS.",
                status=403,
            )
        return await handler(request)

    return check


def _from_one_of(origins: Set[str], request: web.Request) -> bool:
    return bool(origins & {request.headers.get("Origin", ""), "*"})
