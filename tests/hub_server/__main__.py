"""Runs the hub as a process of its own: `python -m hub_server organisation/repository FILE...`.

Prints its two addresses as one JSON line, and ends when its standard input does.
"""

import argparse
import asyncio
import json
import sys
from pathlib import Path

from tests.hub_server import HubServer


async def _serve(repo: str, files: list[Path]) -> None:
    async with HubServer(fast=True) as hub:
        hub.add(repo, {file.name: file for file in files})
        sys.stdout.write(json.dumps({"hub": hub.url, "cdn": hub.cdn_url}) + "\n")
        sys.stdout.flush()
        await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("repo")
    parser.add_argument("files", nargs="+", type=Path)
    arguments = parser.parse_args()
    asyncio.run(_serve(arguments.repo, arguments.files))
