"""A small HTTP server of one file that can stop in the middle, and a fetch that goes on from what is there."""

import asyncio
import hashlib
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

from podworker.models.remote_file import Address, RemoteFile
from podworker.models.writing import Report

CHUNK = 64 * 1024


@dataclass
class ByteSource:
    """One file behind HTTP, and what was sent of it."""

    data: bytes
    url: str = ""
    sent: int = 0
    hold_at: int | None = None
    """The first request gets no more than the file up to here, until `go_on` is set."""
    go_on: threading.Event = field(default_factory=threading.Event)
    rest_of_first: bytes | None = None
    """What the first request gets then; None: the right bytes."""
    requests: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.data).hexdigest()

    def parts(self, start: int) -> Iterator[bytes]:
        with self.lock:
            self.requests += 1
            first = self.requests == 1
        held = self.hold_at if first and self.hold_at is not None else len(self.data)
        for position in range(start, held, CHUNK):
            yield self.data[position : min(position + CHUNK, held)]
        if held < len(self.data):
            self.go_on.wait(timeout=60)
            yield self.data[held:] if self.rest_of_first is None else self.rest_of_first


@contextmanager
def serving(source: ByteSource) -> Iterator[ByteSource]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            start = int(self.headers["Range"].removeprefix("bytes=").removesuffix("-"))
            self.send_response(206)
            self.send_header("Content-Length", str(len(source.data) - start))
            self.end_headers()
            try:
                for part in source.parts(start):
                    self.wfile.write(part)
                    with source.lock:
                        source.sent += len(part)
            except OSError:  # the client was killed
                self.close_connection = True

        def log_message(self, *args: object) -> None:
            del args

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        source.url = f"http://127.0.0.1:{server.server_address[1]}/model.gguf"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield source
        finally:
            source.go_on.set()
            server.shutdown()
            thread.join()


def remote_file(url: str, size: int, sha256: str | None, name: str = "model.gguf") -> RemoteFile:
    return RemoteFile(name, size, sha256, source=url, revision=None, address=lambda: Address(url))


async def fetch(file: RemoteFile, partial: Path, report: Report) -> str:
    """Fetch what is missing, in order; the file itself tells how much there is."""
    address = urlsplit(file.address().url)
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT, 0o644)
    try:
        done = os.fstat(descriptor).st_size
        reader, writer = await asyncio.open_connection(address.hostname, address.port)
        try:
            writer.write(f"GET {address.path} HTTP/1.0\r\nRange: bytes={done}-\r\n\r\n".encode())
            await reader.readuntil(b"\r\n\r\n")
            while data := await reader.read(CHUNK):
                os.pwrite(descriptor, data, done)
                done += len(data)
                report(done)
        finally:
            writer.close()
    finally:
        os.close(descriptor)
    return hashlib.sha256(await asyncio.to_thread(partial.read_bytes)).hexdigest()
