"""`podworker errors`: every error that a client or an operator can meet."""

import inspect
from collections.abc import Iterable, Iterator

import click

from podworker import errors
from podworker.errors import StartupError, WorkerError

_OPENING = """\
# Errors

<!-- Generated. Change the classes in src/podworker/errors.py, or the text in src/podworker/cli/errors.py, then run
     podworker errors --markdown > docs/errors.md -->

Every job ends with an output or with an error that says what to do. On RunPod's queue `error` is a text; it holds a
JSON object:

```json
{
  "code": "invalid_input",
  "type": "invalid_request_error",
  "message": "input.width: got 0, allowed is at least 1; input.text: is missing.",
  "param": "input.width",
  "retryable": false,
  "status": 400
}
```

| key | meaning |
|---|---|
| `code` | what happened, for programs; it never changes |
| `type` | OpenAI's kind: `invalid_request_error`: change the request; `rate_limit_error`, `server_error`: do not |
| `message` | what happened and what to do, for people; it may change |
| `param` | the path of the field at fault, or `null`; the first one, where `message` names several |
| `retryable` | whether the same request may succeed if it is sent again |
| `status` | the HTTP status that fits |

```python
import json

error = json.loads(job.fetch_job()["error"])
if error["retryable"]:
    ...
```

## In a handler

| the handler | the client reads |
|---|---|
| raises `podworker.InvalidInput("The image is too dark.", param="input.image")` | `invalid_input`, 400 |
| raises `podworker.WorkerError("…", code="no_face", status=422, retryable=True)` | its own code and status |
| raises a class of its own below one of these, with `code` and `status` | the class's |
| raises anything else | `handler_failed`, with the exception's type and text |
| returns or yields `{"error": …}`, as in RunPod's SDK | `handler_error`, or what an object there says of itself |

An `error` that is an object keeps its `code`, `type`, `message`, `param`, `retryable` and `status`. What a handler
returns beside `error` is the job's output.

With `refresh_worker=True`, or a class whose `refresh_worker` is true, RunPod replaces the worker after the job: for
errors after which it is beyond repair.

The log has the code of each error; of an exception, its type and traceback. Texts of exceptions can quote what a client
sent: they are logged with `LOG_LEVEL=debug` only.

## Codes
"""

_STARTS = """\
## Codes of a worker that does not start

They stand in its log, and RunPod is told of them as of a failed check.
"""


def markdown() -> str:
    """The whole page docs/errors.md."""
    jobs = _table(error for error in _classes() if not issubclass(error, StartupError))
    starts = _table(error for error in _classes() if issubclass(error, StartupError))
    return f"{_OPENING}\n{jobs}\n{_STARTS}\n{starts}"


def _classes() -> Iterator[type[WorkerError]]:
    """Every error, in the order in which they are declared."""
    for value in vars(errors).values():
        if isinstance(value, type) and issubclass(value, WorkerError):
            yield value


def _table(classes: Iterable[type[WorkerError]]) -> str:
    return "| Code | Status | Retryable | Type | Meaning |\n|---|---|---|---|---|\n" + "".join(map(_row, classes))


def _row(error: type[WorkerError]) -> str:
    again = "yes" if error.retryable else "no"
    return f"| `{error.code}` | {error.status} | {again} | `{error.type}` | {_meaning(error)} |\n"


def _meaning(error: type[WorkerError]) -> str:
    return " ".join(inspect.cleandoc(error.__doc__ or "").partition("\n\n")[0].split())


@click.command(name="errors")
@click.option("--markdown", "as_markdown", is_flag=True, help="Print the page docs/errors.md.")
def command(*, as_markdown: bool) -> None:
    """Show every error code, with its HTTP status and whether to try again."""
    if as_markdown:
        click.echo(markdown(), nl=False)
        return
    for error in _classes():
        again = ", try again" if error.retryable else ""
        click.echo(f"{error.code:26} {error.status}{again:13} {_meaning(error)}")
