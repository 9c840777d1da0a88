"""The web sites whose pages may call the worker (CORS): browsers ask it."""

from collections.abc import Set

from aiohttp import web
from aiohttp.typedefs import Handler


def allow_origins(app: web.Application, origins: Set[str]) -> None:
    """Tell browsers that pages of these sites may read the answers; `*` is any site."""
    if not origins:
        return

    def allowed(request: web.Request) -> bool:
        return bool(origins & {request.headers.get("Origin", ""), "*"})

    async def add_headers(request: web.Request, response: web.StreamResponse) -> None:
        if allowed(request):
            response.headers["Access-Control-Allow-Origin"] = request.headers.get("Origin", "*")
            response.headers["Vary"] = "Origin"

    @web.middleware
    async def answer_preflight(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.method != "OPTIONS" or not allowed(request):
            return await handler(request)
        asked = request.headers.get("Access-Control-Request-Headers", "*")
        headers = {"Access-Control-Allow-Methods": "GET, POST", "Access-Control-Allow-Headers": asked}
        return web.Response(status=204, headers=headers)

    app.on_response_prepare.append(add_headers)
    app.middlewares.insert(0, answer_preflight)
