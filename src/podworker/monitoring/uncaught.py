"""What nobody caught, as log lines: Python would print it in a form of its own, with all that it quotes."""

import logging
import sys
import threading
import traceback
import warnings
from types import TracebackType
from typing import TextIO

from podworker.monitoring import phases

logger = logging.getLogger(__name__)
warnings_logger = logging.getLogger("py.warnings")
"""The name that `logging` itself gives to warnings."""


def log_uncaught() -> None:
    """Log, from now on, exceptions that end the program or a thread, those that Python ignores, and warnings.

    Who has set a hook of their own keeps it.
    """
    if sys.excepthook is sys.__excepthook__:
        sys.excepthook = _log_end
    if threading.excepthook is threading.__excepthook__:
        threading.excepthook = _log_end_of_thread
    if sys.unraisablehook is sys.__unraisablehook__:
        sys.unraisablehook = _log_ignored
    if warnings.showwarning.__module__ == warnings.__name__:
        warnings.showwarning = _log_warning


def _log_end(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if not issubclass(kind, Exception):  # Ctrl-C
        sys.__excepthook__(kind, error, trace)
        return
    told: dict[str, object] = {}
    if phases.ready_seconds() is None:  # no job has come yet that its text could quote
        told["traceback"] = "".join(traceback.format_exception(error)).rstrip()
    logger.critical("The program ends: nobody caught this %s", kind.__qualname__, exc_info=error, extra=told)


def _log_end_of_thread(ended: threading.ExceptHookArgs) -> None:
    if ended.exc_value is None or issubclass(ended.exc_type, SystemExit):
        return
    name = ended.thread.name if ended.thread else "without a name"
    logger.error("The thread %s ended: nobody caught this %s", name, _name(ended.exc_value), exc_info=ended.exc_value)


def _log_ignored(ignored: "sys.UnraisableHookArgs") -> None:
    if ignored.exc_value is None:
        return
    where = getattr(ignored.object, "__qualname__", type(ignored.object).__qualname__)
    logger.error("Python ignored this %s, raised in %s", _name(ignored.exc_value), where, exc_info=ignored.exc_value)


def _log_warning(  # noqa: PLR0917 - the form of warnings.showwarning
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    if file is not None:
        file.write(warnings.formatwarning(message, category, filename, lineno, line))
        return
    warnings_logger.warning("%s", f"{filename}:{lineno}: {category.__name__}: {message}")


def _name(error: BaseException) -> str:
    return type(error).__qualname__
