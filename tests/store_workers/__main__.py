"""A worker as a process of its own: obtains one model, and prints where it is and what it holds.

Arguments: the store's folder, the seconds of its leases, the file's address, size and SHA-256.
"""

import asyncio
import hashlib
import json
import sys
from pathlib import Path

from podworker.models.store import Store, Waiting
from tests.store_workers.byte_source import fetch, remote_file


async def main(root: str, seconds: str, url: str, size: str, sha256: str) -> None:
    waits: list[Waiting] = []
    store = Store(Path(root), lease_seconds=float(seconds))
    model = await store.obtain([remote_file(url, int(size), sha256)], fetch, lambda _: None, waits.append)
    (path,) = model.paths
    use = store.use(model)
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if use is not None:
        use.release()
    told = max((wait.done for wait in waits), default=0)
    json.dump({"path": str(path), "sha256": found, "waited": bool(waits), "told": told}, sys.stdout)


asyncio.run(main(*sys.argv[1:]))
