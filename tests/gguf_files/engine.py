"""Asks the real engine whether it survives a file."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.gguf_files.loading import REFUSED


@dataclass(frozen=True)
class Outcome:
    """How a load ended: the exit code of the process (negative: the signal that killed it), and its last words."""

    code: int
    words: str

    @property
    def loaded(self) -> bool:
        return self.code == 0

    @property
    def died(self) -> bool:
        """Killed by abort(), a fault or the time limit, rather than refused."""
        return self.code not in {0, REFUSED}


class Engine:
    """A child process that loads one file after the other."""

    def __enter__(self) -> Self:
        environment = {**os.environ, "GGML_NO_BACKTRACE": "1", "PYTHONPATH": os.pathsep.join(sys.path)}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.gguf_files.loading", str(os.getpid())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
            text=True,
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.communicate()

    def load(self, path: Path) -> Outcome:
        """Load the file and answer one request with it."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(str(path)) + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline())
        return Outcome(answer["code"], answer["words"])
