"""The door of every request: is the endpoint right, is the key right; and how refusals are answered."""

import hmac
import logging

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from podworker.emulator.bodies import Refusal, error_body, json_response, openai_error_body
from podworker.emulator.registry import WorkerRetired

logger = logging.getLogger("podworker.emulator")


def check_access(endpoint: str, worker_keys: set[str], api_key: str | None) -> Middleware:
    """A middleware that lets nobody in by a wrong endpoint id or key.

    Workers send their key raw; clients send theirs raw or after `Bearer`, as RunPod's documentation shows both.

    Args:
        endpoint: The id of the one endpoint here.
        worker_keys: Keys that a worker may use.
        api_key: The key that clients must use; None lets everybody in.
    """

    @web.middleware
    async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.match_info.http_exception is not None:
            return await handler(request)
        if request.match_info.get("endpoint", endpoint) != endpoint:
            raise Refusal(
                404, f'There is no such endpoint here. The endpoint\'s id is "{endpoint}": use /v2/{endpoint}.'
            )
        sent = request.headers.get("Authorization", "")
        if "worker" in request.match_info:
            if not any(_same(sent, key) for key in worker_keys):
                raise Refusal(
                    401, "The worker's key is wrong. Start the worker with this emulator's RUNPOD_AI_API_KEY."
                )
        elif api_key is not None and not _same(sent.removeprefix("Bearer "), api_key):
            raise Refusal(401, "The API key is wrong or missing. Send the header Authorization: Bearer <key>.")
        return await handler(request)

    return check


@web.middleware
async def answer_refusals(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer what is refused in JSON: in OpenAI's shape below `/openai/`, in RunPod's elsewhere."""
    try:
        return await handler(request)
    except Refusal as error:
        refusal = error
    except WorkerRetired:
        refusal = Refusal(404, "This worker has ended. Start a new one, with an id of its own.")
    except web.HTTPNotFound:
        refusal = Refusal(404, f"There is nothing at {request.path}. Check the path: it begins with /v2/ENDPOINT/.")
    except web.HTTPMethodNotAllowed as error:
        allowed = ", ".join(sorted(error.allowed_methods))
        refusal = Refusal(405, f"{request.method} is not allowed here. Use {allowed}.")
    if "worker" in request.match_info:
        # The SDK only logs that a post was refused, and the job's result is lost. The reason belongs in our log.
        logger.warning("Refused %s from a worker (HTTP %d): %s", request.path, refusal.status, refusal.message)
    if "route" in request.match_info:
        return json_response(openai_error_body(refusal.status, refusal.message, param=refusal.param), refusal.status)
    return json_response(error_body(refusal.message), refusal.status)


def _same(sent: str, key: str) -> bool:
    return hmac.compare_digest(sent.encode(errors="surrogateescape"), key.encode())
