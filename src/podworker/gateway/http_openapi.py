"""The description of all routes, as OpenAPI 3.1: from the handler's types and the routes that it brings."""

import importlib.metadata
import json
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic_core import to_json

from podworker.gateway.handler import Handler
from podworker.gateway.http_job import JobState
from podworker.gateway.http_route import HttpRoute
from podworker.monitoring.health import State

_ID = {"name": "id", "in": "path", "required": True, "schema": {"type": "string"}}
_WAIT = {
    "name": "wait",
    "in": "query",
    "description": "Milliseconds to wait for the result.",
    "schema": {"type": "integer", "minimum": 1000, "maximum": 300_000, "default": 90_000},
}
_STATUS = {
    "type": "object",
    "required": ["id", "status"],
    "properties": {
        "id": {"type": "string"},
        "status": {"enum": [state.value for state in JobState]},
        "output": {"description": "What the handler returned, or its progress while it runs."},
        "error": {"type": "string", "description": "JSON text of an object with code, type, message and param."},
        "delayTime": {"type": "integer", "description": "Milliseconds that the job waited."},
        "executionTime": {"type": "integer", "description": "Milliseconds that it ran."},
    },
}
_ERROR = {
    "type": "object",
    "properties": {
        "error": {
            "type": "object",
            "properties": {
                "code": {"type": "string"},
                "type": {"type": "string"},
                "message": {"type": "string"},
                "param": {"type": ["string", "null"]},
                "retryable": {"type": "boolean"},
                "status": {"type": "integer"},
            },
        }
    },
}


def openapi(handler: Handler) -> bytes:
    """The document's JSON text.

    Args:
        handler: What answers the jobs.
    """
    schema, definitions = _movable(handler.input_schema or {})
    document = {
        "openapi": "3.1.0",
        "info": {"title": "podworker", "version": importlib.metadata.version("podworker")},
        "security": [{}, {"key": []}],
        "paths": {**_brought(handler.routes()), **_PATHS},
        "components": {
            "schemas": {**definitions, "Input": schema, "Job": _JOB, "Status": _STATUS, "Error": _ERROR},
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
        },
    }
    return to_json(document)


def _movable(schema: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """A schema whose definitions stand among the document's, and those definitions.

    As `Input.Name`: a handler's types may have the names of the document's own, such as `Input` and `Job`.
    """
    moved = json.loads(json.dumps(schema).replace('"#/$defs/', '"#/components/schemas/Input.'))
    return moved, {f"Input.{name}": definition for name, definition in moved.pop("$defs", {}).items()}


def _brought(routes: Sequence[HttpRoute]) -> dict[str, Any]:
    paths: dict[str, Any] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(
            route.summary, body=_json({"type": "object"}, route.example) if route.method != "GET" else None
        )
    return paths


def _json(schema: Mapping[str, Any], example: Mapping[str, Any] | None = None) -> dict[str, Any]:
    content = {"schema": schema} if example is None else {"schema": schema, "example": example}
    return {"content": {"application/json": content}}


def _ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}


def _operation(
    summary: str,
    *parameters: Mapping[str, Any],
    body: Mapping[str, Any] | None = None,
    answer: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "summary": summary,
        "responses": {
            "200": {"description": "The answer", **_json(answer or {})},
            "default": {"description": "An error", **_json(_ref("Error"))},
        },
    }
    if parameters:
        operation["parameters"] = list(parameters)
    if body is not None:
        operation["requestBody"] = {"required": True, **body}
    return operation


_JOB = {
    "type": "object",
    "required": ["input"],
    "properties": {
        "input": _ref("Input"),
        "s3Config": {"type": "object", "description": "A bucket for a result that is too large to be answered."},
    },
}

_COUNT = {"type": "integer", "minimum": 0}
_HEALTH = {
    "type": "object",
    "required": ["jobs", "workers", "worker"],
    "properties": {
        "jobs": {"type": "object", "additionalProperties": _COUNT, "description": "By where they stand."},
        "workers": {"type": "object", "additionalProperties": _COUNT, "description": "This one, by where it stands."},
        "worker": {
            "type": "object",
            "required": ["state", "reason", "since", "uptime_seconds", "version"],
            "properties": {
                "state": {"enum": [state.value for state in State]},
                "reason": {"type": "string", "description": "A sentence for people."},
                "since": {"type": "string", "format": "date-time", "description": "When it came into this state."},
                "uptime_seconds": {"type": "number", "description": "Since its process started."},
                "version": {"type": "string", "description": "Of podworker."},
                "model": {"type": "string", "description": "Where it serves one."},
            },
        },
    },
}
_PURGED = {
    "type": "object",
    "required": ["removed", "status"],
    "properties": {"removed": {**_COUNT, "description": "How many there were."}, "status": {"const": "completed"}},
}

_PATHS = {
    "/runsync": {
        "post": _operation("Run a job and wait for its result", _WAIT, body=_json(_ref("Job")), answer=_ref("Status"))
    },
    "/run": {"post": _operation("Start a job; ask for it by its id", body=_json(_ref("Job")), answer=_ref("Status"))},
    "/status/{id}": {"get": _operation("Where a job stands, and its result", _ID, answer=_ref("Status"))},
    "/status-sync/{id}": {
        "get": _operation("The same once it has ended, or when the wait is over", _ID, _WAIT, answer=_ref("Status"))
    },
    "/stream/{id}": {"get": _operation("The chunks of a job since the last time; events with ?sse", _ID)},
    "/cancel/{id}": {"post": _operation("Stop a job", _ID, answer=_ref("Status"))},
    "/purge-queue": {"post": _operation("Cancel the jobs that wait", answer=_PURGED)},
    "/health": {"get": _operation("How many jobs run and wait, and where the worker stands", answer=_HEALTH)},
    "/ping": {"get": _operation("200 ready or busy, 204 starting, 503 draining or failed")},
}
