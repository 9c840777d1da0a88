"""Writes log lines to a stream: complete, whatever they hold, and not the same one again and again."""

import logging
import threading
from typing import TextIO

from podworker.monitoring.entries import error_of
from podworker.monitoring.repeats import WINDOW_SECONDS, Repeats


class LineHandler(logging.StreamHandler[TextIO]):
    """A handler of `logging`.

    Args:
        stream: Where to.
        repeats: Decides which lines are written.
    """

    def __init__(self, stream: TextIO, repeats: Repeats | None = None) -> None:
        super().__init__(stream)
        self._repeats = repeats or Repeats()
        self._timer: threading.Timer | None = None

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record, unless it is held back."""
        try:
            self._write_ended()
            self._write_or_hold(record)
        except Exception:  # noqa: BLE001 - anybody's __str__ is called; a log line never harms who wrote it
            self.handleError(record)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        """Say that a record cannot be written. `logging` itself would print it, with all that it quotes."""
        told = f"A log line cannot be written. Look at its arguments in {record.filename}, line {record.lineno}."
        level = {"levelno": logging.WARNING, "levelname": "WARNING"}
        try:
            self._write_or_hold(logging.makeLogRecord({"name": __name__, "msg": "%s", "args": (told,), **level}))
        except Exception:  # noqa: BLE001 - the stream is gone, and there is nobody to tell
            return

    def close(self) -> None:
        """Write how many lines are held back, at the end of the process."""
        self.acquire()
        try:
            if self._timer is not None:
                self._timer.cancel()
            self._write_ended(at_exit=True)
        except Exception:  # noqa: BLE001, S110 - as in handleError
            pass
        finally:
            self.release()
        super().close()

    def _window_over(self) -> None:
        self.acquire()
        try:
            self._timer = None
            self._write_ended()
            if self._repeats.holding:
                self._wait()
        except Exception:  # noqa: BLE001, S110 - as in handleError
            pass
        finally:
            self.release()

    def _write_or_hold(self, record: logging.LogRecord) -> None:
        error = error_of(record)
        if self._repeats.admits(record, error.get("code") if error else None):
            self._write(record)
        elif self._timer is None:
            self._wait()

    def _wait(self) -> None:
        """Write what is held back in time, also where no other line comes."""
        self._timer = threading.Timer(WINDOW_SECONDS, self._window_over)
        self._timer.daemon = True
        self._timer.start()

    def _write_ended(self, *, at_exit: bool = False) -> None:
        for summary in self._repeats.ended(at_exit=at_exit):
            self._write(summary)

    def _write(self, record: logging.LogRecord) -> None:
        line = self.format(record) + self.terminator
        encoding = self.stream.encoding or "utf-8"
        self.stream.write(line.encode(encoding, "backslashreplace").decode(encoding))
        self.flush()
