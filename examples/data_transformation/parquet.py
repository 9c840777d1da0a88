"""Parquet, unpacked in a process of its own: a page of a few kilobytes can hold more than the memory does."""

import io
import os
import resource
import subprocess
import sys

import polars as pl

MEMORY_BYTES = 1_500_000_000
UNPACKED_BYTES = 100_000_000
SECONDS = 60


def read_parquet(file: bytes) -> pl.DataFrame:
    """Read a Parquet file.

    Raises:
        ValueError: It is none, or too much is in it.
    """
    try:
        done = subprocess.run(
            [sys.executable, __file__],
            input=file,
            capture_output=True,
            env={**os.environ, "POLARS_MAX_THREADS": "1"},
            timeout=SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise ValueError(f"the Parquet file is not read within {SECONDS} s") from None
    if done.returncode != 0:
        raise ValueError("this is no Parquet file, or too much is in it")
    return pl.read_ipc(io.BytesIO(done.stdout))


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY_BYTES, MEMORY_BYTES))
    table = pl.read_parquet(io.BytesIO(sys.stdin.buffer.read()))
    if table.estimated_size() > UNPACKED_BYTES:
        sys.exit(1)
    table.write_ipc(sys.stdout.buffer)
