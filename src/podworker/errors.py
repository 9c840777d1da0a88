"""The one tree of errors.

Every error that reaches a client or an operator stands here. Each class has a stable `code` (for programs), an
OpenAI-style `type`, an HTTP `status`, and says whether the same request may succeed if sent again (`retryable`). The
message is one plain sentence or two that tell the reader what to do.

    WorkerError
    ├── InvalidInput                 the request is wrong: the client must change it
    │   ├── UnknownRoute
    │   ├── JobNotFound
    │   ├── RequestTooLarge
    │   ├── AccessDenied             the API key is wrong or missing
    │   ├── UnknownModel
    │   └── ContextLengthExceeded
    ├── HandlerFailed                the handler raised something else
    ├── ReturnedError                the handler returned or yielded {"error": …}
    ├── JobTimedOut                  the job ran longer than JOB_TIMEOUT_SECONDS
    ├── InvalidOutput                the handler returned what cannot be posted
    │   └── ResultTooLarge
    ├── StorageFailed                the bucket did not take a large result
    ├── WorkerLoading                the worker is not ready yet
    ├── WorkerBusy                   as many jobs run and wait as may
    ├── WorkerStopping               the worker is shutting down
    ├── DeliveryFailed               the platform did not take a result
    │   └── ResultRefused
    ├── EngineError                  the engine failed while it ran
    │   ├── EngineCrashed
    │   └── EngineUnavailable
    ├── DeploymentFailed             `podworker deploy` could not make the endpoint
    └── StartupError                 the worker cannot start: its operator must change something
        ├── InvalidSettings
        ├── AddressUnavailable       the HTTP door cannot listen on its port
        ├── InvalidModelReference
        ├── ModelNotFound
        ├── InvalidModelFile         damaged, incomplete, or no GGUF file
        ├── ModelAccessDenied
        ├── DownloadFailed
        │   ├── DiskFull
        │   └── ChecksumMismatch
        ├── ModelLoadFailed
        └── ModelTooLarge            the memory that there is cannot hold what the settings ask for
"""

from typing import ClassVar, TypedDict


class ErrorBody(TypedDict):
    """An error as clients receive it."""

    code: str
    type: str
    message: str
    param: str | None
    retryable: bool
    status: int


class WorkerError(Exception):
    """Base of all errors. Raise it, or a class below it, in a handler to choose what the client reads.

    Args:
        message: What went wrong and what to do, in plain sentences.
        param: The path of the field at fault, such as `messages.0.content`.
        code: Replaces the class's `code`.
        status: Replaces the class's `status`.
        retryable: Replaces the class's `retryable`.
        refresh_worker: Replaces the class's `refresh_worker`.
    """

    code: ClassVar[str] = "worker_error"
    type: str = "server_error"
    status: int = 500
    retryable: bool = False
    refresh_worker: bool = False
    """The worker is beyond repair: RunPod is asked to replace it after this job."""

    def __init__(
        self,
        message: str,
        *,
        param: str | None = None,
        code: str | None = None,
        status: int | None = None,
        retryable: bool | None = None,
        refresh_worker: bool | None = None,
    ) -> None:
        super().__init__(message)
        self.message = str(message)  # an exception is given, too
        self.param = param
        self.error_code = code or self.code
        self.status = self.status if status is None else status
        self.retryable = self.retryable if retryable is None else retryable
        self.refresh_worker = self.refresh_worker if refresh_worker is None else refresh_worker

    def body(self) -> ErrorBody:
        """The error as a JSON object."""
        return {
            "code": self.error_code,
            "type": self.type,
            "message": self.message,
            "param": self.param,
            "retryable": self.retryable,
            "status": self.status,
        }


class InvalidInput(WorkerError):
    """The job's input is wrong; sending it again unchanged cannot help."""

    code = "invalid_input"
    type = "invalid_request_error"
    status = 400


class UnknownRoute(InvalidInput):
    """The job asks for a route that this worker does not have."""

    code = "unknown_route"
    status = 404


class UnknownModel(InvalidInput):
    """The request names a model, or a LoRA adapter, that this endpoint does not have."""

    code = "unknown_model"
    status = 404


class JobNotFound(InvalidInput):
    """There is no job of this id here, or not any more."""

    code = "job_not_found"
    status = 404


class RequestTooLarge(InvalidInput):
    """The body of the request is larger than `MAX_BODY_MB`."""

    code = "request_too_large"
    status = 413


class AccessDenied(InvalidInput):
    """The API key is wrong or missing."""

    code = "invalid_api_key"
    status = 401


class ContextLengthExceeded(InvalidInput):
    """The prompt has more tokens than the context holds."""

    code = "context_length_exceeded"


class HandlerFailed(WorkerError):
    """The handler raised an error that is none of these."""

    code = "handler_failed"


class ReturnedError(WorkerError):
    """The handler returned, or yielded, an `error`; its own `code` and so on win."""

    code = "handler_error"


class JobTimedOut(WorkerError, TimeoutError):
    """The job ran longer than `JOB_TIMEOUT_SECONDS` and was stopped."""

    code = "job_timed_out"
    status = 504


class InvalidOutput(WorkerError):
    """The handler returned what JSON cannot carry; the message names the place."""

    code = "invalid_output"


class ResultTooLarge(InvalidOutput):
    """The result, or a chunk of it, is larger than RunPod takes, and no bucket is set that could hold it."""

    code = "result_too_large"


class StorageFailed(WorkerError):
    """A result that is too large to be posted could not be put into its bucket."""

    code = "storage_failed"
    status = 502
    retryable = True


class WorkerLoading(WorkerError):
    """The worker has started and still loads; it answers soon."""

    code = "worker_loading"
    status = 503
    retryable = True


class WorkerBusy(WorkerError):
    """All slots are taken, and `QUEUE_LIMIT` jobs wait for one."""

    code = "worker_busy"
    type = "rate_limit_error"
    status = 429
    retryable = True


class WorkerStopping(WorkerError):
    """The worker is shutting down; another one can take the job."""

    code = "worker_stopping"
    status = 503
    retryable = True


class DeliveryFailed(WorkerError):
    """The platform did not take a result, for longer than it was tried."""

    code = "delivery_failed"
    status = 502
    retryable = True


class ResultRefused(DeliveryFailed):
    """The platform refuses a result, and would refuse it again."""

    code = "result_refused"
    retryable = False


class EngineError(WorkerError):
    """The engine answered with an error of its own."""

    code = "engine_error"


class EngineCrashed(EngineError):
    """The engine process died while it ran this request."""

    code = "engine_crashed"
    status = 503
    retryable = True


class EngineUnavailable(EngineError):
    """The engine is not ready, and did not become so in time."""

    code = "engine_unavailable"
    status = 503
    retryable = True


class DeploymentFailed(WorkerError):
    """Of `podworker deploy`, not of a job: RunPod did not create or change the endpoint; the message says why."""

    code = "deployment_failed"


class StartupError(WorkerError):
    """The worker cannot start."""

    code = "startup_failed"


class InvalidSettings(StartupError):
    """One or more settings are invalid; the message names every one."""

    code = "invalid_settings"


class ModelNotFound(StartupError):
    """No model is configured, or its file is not there."""

    code = "model_not_found"


class AddressUnavailable(StartupError):
    """The port is taken, or may not be used."""

    code = "address_unavailable"


class InvalidModelReference(StartupError):
    """`MODEL`, or a setting like it, names no model, or does not say which of several."""

    code = "invalid_model_reference"


class ModelAccessDenied(StartupError):
    """The model is there, but not for this user: it is private or gated, or the key is wrong."""

    code = "model_access_denied"


class DownloadFailed(StartupError):
    """The model could not be fetched; what came so far is kept, and the next start goes on from there."""

    code = "download_failed"


class DiskFull(DownloadFailed):
    """There is no room for the model."""

    code = "disk_full"


class ChecksumMismatch(DownloadFailed):
    """What came is not what the source says that it holds."""

    code = "checksum_mismatch"


class ModelLoadFailed(StartupError):
    """The engine refused the model file."""

    code = "model_load_failed"


class InvalidModelFile(StartupError):
    """The model's file is damaged, incomplete, or no GGUF file; the message says which."""

    code = "invalid_model_file"


class ModelTooLarge(StartupError):
    """The model does not fit into the memory with these settings; the message has the figures."""

    code = "model_too_large"
