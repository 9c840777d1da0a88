"""Download rates, side by side: podworker, `hf download` and `curl`, from one local hub.

Each program runs as a user runs it, in a process of its own, so its start counts; the rate without it is measured too.
The file is read from memory by the server and lies on the disk of the temporary folder afterwards.
"""

import asyncio
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from podworker.configuration import load_settings
from podworker.models.downloader import TransferOptions, download
from podworker.models.reference import parse_reference
from podworker.models.remote import list_remote

_ROOT = Path(__file__).parents[1]
REPO = "org/model"
_MB = 1_000_000


def measure(*, megabytes: int = 1000, rounds: int = 3) -> dict[str, float]:
    """The medians of `rounds`, by what was measured: MB/s, and CPU seconds for each GB (the client's)."""
    found: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        file = folder / "model-Q4_K_M.gguf"
        _write_random(file, megabytes)
        with hub(file) as address:
            # One after the other in each round, so that whatever else the machine does hits all of them alike.
            for _ in range(rounds):
                for program, run in _programs(address, file.name).items():
                    target = folder / "target"
                    target.mkdir()
                    _note(found, program, megabytes, run, target)
                    shutil.rmtree(target)
                _note_transfer(found, megabytes, address, folder)
    return {name: round(statistics.median(values), 2) for name, values in found.items()}


def _programs(address: str, name: str) -> dict[str, Callable[[Path], None]]:
    def podworker(target: Path) -> None:
        _run([sys.executable, "-m", "benchmarks.downloads", "fetch", address, str(target / name)])

    def hf(target: Path) -> None:
        settings = {"HF_ENDPOINT": address, "HF_HOME": str(target / "home"), "HF_HUB_DISABLE_UPDATE_CHECK": "1"}
        command = [str(Path(sys.executable).with_name("hf")), "download", REPO, name, "--local-dir", str(target)]
        _run(command, {**settings, "HF_HUB_DISABLE_PROGRESS_BARS": "1"})

    def curl(target: Path) -> None:
        _run(["curl", "-sSfL", "-o", str(target / name), f"{address}/{REPO}/resolve/main/{name}"])

    return {"podworker": podworker, "hf download": hf, "curl": curl}


def _note(
    found: dict[str, list[float]], program: str, megabytes: int, run: Callable[[Path], None], target: Path
) -> None:
    before, begin = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    run(target)
    seconds, after = time.perf_counter() - begin, resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    found.setdefault(f"{program}, MB/s", []).append(megabytes / seconds)
    found.setdefault(f"{program}, CPU s/GB", []).append(cpu * 1000 / megabytes)


def _note_transfer(found: dict[str, list[float]], megabytes: int, address: str, folder: Path) -> None:
    begin = time.perf_counter()
    asyncio.run(_fetch(address, folder / "part"))
    found.setdefault("podworker without its start, MB/s", []).append(megabytes / (time.perf_counter() - begin))
    for path in folder.glob("part*"):
        path.unlink()


async def _fetch(address: str, target: Path) -> None:
    settings = load_settings(hf_endpoint=address)
    [file] = await list_remote(parse_reference(REPO), settings)
    await download(file, target, on_progress=lambda _: None, options=TransferOptions.of(settings))


def _write_random(path: Path, megabytes: int) -> None:
    with path.open("wb") as file:
        for _ in range(megabytes):
            file.write(os.urandom(_MB))


@contextmanager
def hub(file: Path) -> Iterator[str]:
    """A local hub, in a process of its own, that has `file` in `REPO`; its address."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.hub_server", REPO, str(file)],
        cwd=_ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout is not None  # noqa: S101 - it was asked for above
        yield str(json.loads(process.stdout.readline())["hub"])


def _run(command: list[str], environment: dict[str, str] | None = None) -> None:
    subprocess.run(command, check=True, cwd=_ROOT, stdout=subprocess.DEVNULL, env={**os.environ, **(environment or {})})


if __name__ == "__main__":
    if sys.argv[1:2] == ["fetch"]:
        asyncio.run(_fetch(sys.argv[2], Path(sys.argv[3])))
    else:
        print(json.dumps(measure(), indent=2))
