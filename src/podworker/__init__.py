"""podworker: a RunPod Serverless worker for any GGUF language model, or for any Python function.

    import podworker

    def handler(job):
        return {"shout": job["input"]["text"].upper()}

    podworker.serve(handler)

Names are imported when they are first used: the engine process imports this package too, and must start at once.
"""

import importlib
from typing import TYPE_CHECKING, Any

import podworker.first_import  # noqa: F401 - notes the time

if TYPE_CHECKING:
    from podworker.errors import InvalidInput, WorkerError
    from podworker.gateway.handler import Handler
    from podworker.gateway.http_route import HttpRoute
    from podworker.gateway.job import Job
    from podworker.gateway.stream import Stream
    from podworker.inference.language_model import LanguageModel
    from podworker.worker import serve

__all__ = ["Handler", "HttpRoute", "InvalidInput", "Job", "LanguageModel", "Stream", "WorkerError", "serve"]

_HOMES = {
    "Handler": "podworker.gateway.handler",
    "HttpRoute": "podworker.gateway.http_route",
    "InvalidInput": "podworker.errors",
    "Job": "podworker.gateway.job",
    "LanguageModel": "podworker.inference.language_model",
    "Stream": "podworker.gateway.stream",
    "WorkerError": "podworker.errors",
    "serve": "podworker.worker",
}


def __getattr__(name: str) -> Any:  # noqa: ANN401 - the module protocol
    if name not in _HOMES:
        raise AttributeError(f"module 'podworker' has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = value
    return value
