import inspect
import json

import pytest

from podworker import errors
from podworker.errors import ContextLengthExceeded, InvalidInput, WorkerError

CLASSES = [value for value in vars(errors).values() if isinstance(value, type) and issubclass(value, WorkerError)]

STABLE = {
    # Programs of users compare these: a change breaks them.
    "WorkerError": ("worker_error", "server_error", 500, False),
    "InvalidInput": ("invalid_input", "invalid_request_error", 400, False),
    "UnknownRoute": ("unknown_route", "invalid_request_error", 404, False),
    "UnknownModel": ("unknown_model", "invalid_request_error", 404, False),
    "JobNotFound": ("job_not_found", "invalid_request_error", 404, False),
    "RequestTooLarge": ("request_too_large", "invalid_request_error", 413, False),
    "AccessDenied": ("invalid_api_key", "invalid_request_error", 401, False),
    "ContextLengthExceeded": ("context_length_exceeded", "invalid_request_error", 400, False),
    "HandlerFailed": ("handler_failed", "server_error", 500, False),
    "ReturnedError": ("handler_error", "server_error", 500, False),
    "JobTimedOut": ("job_timed_out", "server_error", 504, False),
    "InvalidOutput": ("invalid_output", "server_error", 500, False),
    "ResultTooLarge": ("result_too_large", "server_error", 500, False),
    "StorageFailed": ("storage_failed", "server_error", 502, True),
    "WorkerLoading": ("worker_loading", "server_error", 503, True),
    "WorkerBusy": ("worker_busy", "rate_limit_error", 429, True),
    "WorkerStopping": ("worker_stopping", "server_error", 503, True),
    "DeliveryFailed": ("delivery_failed", "server_error", 502, True),
    "ResultRefused": ("result_refused", "server_error", 502, False),
    "EngineError": ("engine_error", "server_error", 500, False),
    "EngineCrashed": ("engine_crashed", "server_error", 503, True),
    "EngineUnavailable": ("engine_unavailable", "server_error", 503, True),
    "DeploymentFailed": ("deployment_failed", "server_error", 500, False),
    "StartupError": ("startup_failed", "server_error", 500, False),
    "AddressUnavailable": ("address_unavailable", "server_error", 500, False),
    "InvalidSettings": ("invalid_settings", "server_error", 500, False),
    "ModelNotFound": ("model_not_found", "server_error", 500, False),
    "InvalidModelReference": ("invalid_model_reference", "server_error", 500, False),
    "InvalidModelFile": ("invalid_model_file", "server_error", 500, False),
    "ModelAccessDenied": ("model_access_denied", "server_error", 500, False),
    "DownloadFailed": ("download_failed", "server_error", 500, False),
    "DiskFull": ("disk_full", "server_error", 500, False),
    "ChecksumMismatch": ("checksum_mismatch", "server_error", 500, False),
    "ModelLoadFailed": ("model_load_failed", "server_error", 500, False),
    "ModelTooLarge": ("model_too_large", "server_error", 500, False),
}


def test_what_clients_rely_on_is_stable() -> None:
    assert {c.__name__: (c.code, c.type, c.status, c.retryable) for c in CLASSES} == STABLE


def test_codes_are_unique() -> None:
    codes = [error.code for error in CLASSES]
    assert len(set(codes)) == len(codes)


def drawn_tree() -> dict[str, str]:
    """Each class in the docstring's drawing, with the one above it."""
    parents: dict[str, str] = {}
    path: list[str] = []
    for line in inspect.cleandoc(errors.__doc__ or "").splitlines():
        branch, found, rest = line.partition("── ")
        if line.strip() == "WorkerError":
            path = ["WorkerError"]
        elif found:
            depth = (len(branch) - len("    ├")) // 4 + 1
            path[depth:] = [rest.split()[0]]
            parents[path[-1]] = path[-2]
    return parents


def test_the_docstring_draws_the_whole_tree() -> None:
    assert drawn_tree() == {
        error.__name__: error.__bases__[0].__name__ for error in CLASSES if error is not WorkerError
    }


@pytest.mark.parametrize("error_class", CLASSES)
def test_body(error_class: type[WorkerError]) -> None:
    error = error_class("It failed. Do this.", param="messages.0")
    assert error.body() == {
        "code": error_class.code,
        "type": error_class.type,
        "message": "It failed. Do this.",
        "param": "messages.0",
        "retryable": error_class.retryable,
        "status": error_class.status,
    }
    assert json.loads(json.dumps(error.body())) == error.body()
    assert str(error) == error.message == "It failed. Do this."


def test_param_is_optional_and_a_code_can_be_chosen() -> None:
    error = ContextLengthExceeded("Too long.", code="too_long")
    assert error.body()["param"] is None
    assert error.body()["code"] == "too_long"
    assert ContextLengthExceeded.code == "context_length_exceeded"
    assert isinstance(error, InvalidInput)


def test_users_can_add_errors_of_their_own() -> None:
    class NoFace(InvalidInput):
        code = "no_face"
        status = 422

    body = NoFace("There is no face in the picture. Send another one.").body()
    assert (body["code"], body["status"], body["type"]) == ("no_face", 422, "invalid_request_error")
