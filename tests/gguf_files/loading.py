"""The child process in which the engine loads files: paths on standard input, one JSON answer each on standard output.

Each load happens in a fork, so that an abort() costs one file. After the load it answers one request, because some
files kill the engine only then.
"""

import json
import os
import resource
import signal
import socket
import sys
import tempfile
from pathlib import Path

import xllamacpp

from podworker.child import end_with_parent
from podworker.inference.engine_main import common_params
from podworker.inference.engine_options import EngineOptions, attributes

REFUSED = 3
SECONDS = 60
"""For one file, on a slow machine, too."""
MEMORY = 4 << 30
KEY = "key"


def _options(model: Path) -> EngineOptions:
    return EngineOptions(
        model=model,
        alias="tiny",
        context_length=256,
        slots=1,
        batch_size=64,
        gpu_layers=0,
        threads=1,
        prompt_cache_mb=0,
    )


def _ask(address: Path) -> None:
    body = json.dumps({"prompt": "hello hell", "n_predict": 2}).encode()
    head = f"POST /completion HTTP/1.0\r\nAuthorization: Bearer {KEY}\r\nContent-Length: {len(body)}\r\n\r\n"
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(address))
        connection.sendall(head.encode() + body)
        while connection.recv(65536):
            pass


def _load(model: Path, address: Path) -> None:
    params = common_params(xllamacpp, attributes(_options(model), socket=address, api_key=KEY))
    try:
        _server = xllamacpp.Server(params)
    except RuntimeError:
        os._exit(REFUSED)
    _ask(address)
    os._exit(0)


def _fork_and_load(model: Path, folder: Path) -> int:
    child = os.fork()
    if child == 0:
        signal.alarm(SECONDS)
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        _load(model, folder / f"{os.getpid()}.sock")
    _, status = os.waitpid(child, 0)
    (folder / f"{child}.sock").unlink(missing_ok=True)
    return os.waitstatus_to_exitcode(status)


def main() -> None:
    """Answer until standard input ends."""
    end_with_parent(int(sys.argv[1]))
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    with tempfile.TemporaryDirectory() as name, tempfile.TemporaryFile() as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
        for line in sys.stdin:
            log.seek(0)
            log.truncate()
            code = _fork_and_load(Path(json.loads(line)), Path(name))
            log.seek(0)
            words = log.read().decode(errors="replace")
            answers.write(json.dumps({"code": code, "words": words[-2000:]}) + "\n")


if __name__ == "__main__":
    main()
