"""A worker as a process of its own that finds or fetches the model of its settings, as `podworker serve` does.

Prints where it is and what it holds, as JSON.
"""

import asyncio
import hashlib
import json
import sys

from podworker.configuration import load_settings
from podworker.models.resolve import fetch_model


async def main() -> None:
    found = await fetch_model(load_settings())
    sha256 = hashlib.sha256(found.path.read_bytes()).hexdigest()
    json.dump({"path": str(found.path), "sha256": sha256}, sys.stdout)
    found.release()


asyncio.run(main())
