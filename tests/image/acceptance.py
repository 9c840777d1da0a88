"""Builds the CPU image and uses it as RunPod and its users do: `scripts/image-check` calls this, with what it needs.

Every step says what it did and what it took; the first that fails ends the check.
"""

import asyncio
import contextlib
import functools
import http.server
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import Any

import aiohttp

from podworker.emulator import Emulator
from podworker.models.demo import demo_model
from tests.image.container import Container, image_size, inspect, layers, podman

ROOT = Path(__file__).parents[2]
BASE_IMAGE = "docker.io/library/debian:bookworm-slim"
IMAGE, BAKED = "localhost/podworker:cpu", "localhost/podworker:cpu-baked"
HANDLER, EDITED, PROJECT = "localhost/podworker:handler", "localhost/podworker:edited", "localhost/shout:latest"
PACKAGES = "import importlib.metadata as m; print(*(d.name for d in m.distributions()))"
OWN_LAYERS_MB = 350
"""The most that the CPU image may weigh, without its base and without a model."""
CHAT = {"messages": [{"role": "user", "content": "Say hello."}], "max_tokens": 16}
LONG_CHAT = {"messages": [{"role": "user", "content": "Tell a long story."}], "max_tokens": 150, "ignore_eos": True}
MODEL_FOLDER = "/models"
STRICT = ("--read-only", "--read-only-tmpfs=false", "--cap-drop", "all", "--security-opt", "no-new-privileges")
"""As strict as it gets: nothing of the image can be written to, and nobody can become root."""
TEMPORARY = ("--tmpfs", "/tmp:rw,size=64m")  # noqa: S108 - the container's


def build(*arguments: str) -> None:
    """Run `scripts/image build` and show its last line: what was built, how long it took and how large it is."""
    done = subprocess.run([ROOT / "scripts/image", "build", *arguments], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"{done.stdout[-4000:]}{done.stderr[-4000:]}\nThe image cannot be built.")
    for line in done.stdout.splitlines():
        if ": built in " in line:
            say(line)


def say(text: str) -> None:
    """A line of the report."""
    print(text, flush=True)  # noqa: T201 - this is a command


@contextlib.contextmanager
def timed(what: str) -> Iterator[None]:
    """Say how long something took."""
    began = time.monotonic()
    yield
    say(f"{what}: {time.monotonic() - began:.1f} s")


@contextlib.contextmanager
def folder() -> Iterator[Path]:
    """A folder that every user can read, for a while."""
    with tempfile.TemporaryDirectory() as name:
        path = Path(name)
        path.chmod(0o755)
        yield path


class Endpoint:
    """RunPod's API on this machine, for containers that are started by hand."""

    def __init__(self, emulator: Emulator, session: aiohttp.ClientSession) -> None:
        self._emulator = emulator
        self._session = session

    def worker(self, image: str, options: Sequence[str], **environment: str) -> Container:
        """Start a container as a worker of this endpoint."""
        variables = {**self._emulator.worker_environment("worker-1"), **environment}
        words = [word for name, value in variables.items() for word in ("--env", f"{name}={value}")]
        return Container.start(image, ["--network", "host", *options, *words])

    async def post(self, path: str, job_input: object) -> dict[str, Any]:
        """Send a job."""
        async with self._session.post(f"{self._emulator.base_url}/{path}", json={"input": job_input}) as response:
            return dict(await response.json())

    async def get(self, path: str) -> dict[str, Any]:
        """Ask for a job."""
        async with self._session.get(f"{self._emulator.base_url}/{path}") as response:
            return dict(await response.json())

    async def leaves_queue(self, job_id: str) -> None:
        """Wait until a worker has taken the job."""
        async with asyncio.timeout(120):
            while (await self.get(f"status/{job_id}"))["status"] == "IN_QUEUE":  # noqa: ASYNC110 - another process
                await asyncio.sleep(0.05)

    async def run(self, job_input: object) -> Any:  # noqa: ANN401 - JSON
        """Run a job to its end; its output."""
        answer = await self.post("runsync?wait=300000", job_input)
        if answer["status"] != "COMPLETED":
            sys.exit(f"The job ended as {json.dumps(answer)}")
        return answer["output"]


@contextlib.asynccontextmanager
async def endpoint() -> AsyncIterator[Endpoint]:
    """An endpoint without workers."""
    async with Emulator(port=0) as emulator, aiohttp.ClientSession() as session:
        yield Endpoint(emulator, session)


def check_contents() -> None:
    """What is in the image, and what is not."""
    base, whole = image_size(BASE_IMAGE), image_size(IMAGE)
    own = (whole - base) / 1e6
    say(f"{IMAGE}: {whole / 1e6:.0f} MB, of which the base has {base / 1e6:.0f} MB and its own layers {own:.0f} MB")
    if own > OWN_LAYERS_MB:
        sys.exit(f"Its own layers are larger than {OWN_LAYERS_MB} MB: scripts/image size {IMAGE} shows which one grew.")
    config = inspect(IMAGE)["Config"]
    assert config["User"] == "1000:1000"
    assert inspect(IMAGE)["Healthcheck"]["Test"] == ["CMD", "podworker", "health"]
    assert config["Labels"]["org.opencontainers.image.title"] == "podworker"
    words = "for tool in gcc cc g++ ld strip cmake make uv pip pip3 git curl; do command -v $tool || :; done"
    tools = podman("run", "--rm", "--network", "none", IMAGE, "sh", "-c", words).split()
    assert tools == [], f"the image has build tools: {tools}"
    left = podman(
        "run", "--rm", "--network", "none", "--user", "0", IMAGE,
        "sh", "-c", "ls -A /root/.cache /var/lib/apt/lists /var/cache/apt /source 2>/dev/null | grep -v : || :",
    )  # fmt: skip
    assert left.split() == [], f"the image has caches: {left}"
    say("no compiler, no installer, no cache in it; user 1000, health check and labels are set")


async def check_worker(models: Path) -> None:
    """A chat job, the health check, the process tree, and SIGTERM with a job in flight."""
    with folder() as volume:  # root's, as RunPod's is
        mounts = ("-v", f"{models}:{MODEL_FOLDER}:ro", "-v", f"{volume}:/runpod-volume", *TEMPORARY)
        async with endpoint() as runpod:
            with runpod.worker(IMAGE, [*STRICT, *mounts], MODEL=f"{MODEL_FOLDER}/model.gguf", SLOTS="2") as container:
                with timed("container started, model loaded, first chat job answered"):
                    chat = await runpod.run(CHAT)
                assert chat["choices"][0]["message"]["content"].strip()
                assert container.health() == 0, "the health check fails"
                say("the health check passes, beside a volume that only root may write to")
                check_processes(container)
                await check_stop(runpod, container)
        assert not any(volume.rglob("*"))


def check_processes(container: Container) -> None:
    """One tree, nobody is root, and orphans are reaped."""
    assert {process.user for process in container.processes()} == {"podworker"}
    container.execute("sh", "-c", "(sh -c 'exit 0' &) ; (sleep 0.1 &)")
    deadline = time.monotonic() + 60
    while any(process.name == "sleep" or process.state == "Z" for process in container.processes()):
        assert time.monotonic() < deadline, "orphans are not reaped"
        time.sleep(0.1)
    names = [process.name for process in container.processes()]
    assert names[0] == "tini"
    say(f"processes: {', '.join(names)}; none is root's, and orphans are reaped")


async def check_stop(runpod: Endpoint, container: Container) -> None:
    """The running job finishes, then the container ends with code 0."""
    job = await runpod.post("run", LONG_CHAT)

    await runpod.leaves_queue(job["id"])
    assert (await runpod.get(f"status/{job['id']}"))["status"] == "IN_PROGRESS"
    with timed("podman stop, with a job in flight that finishes first"):
        code = await asyncio.to_thread(container.stop, 120)
    assert code == 0, container.logs()
    done = await runpod.get(f"status/{job['id']}")
    assert done["status"] == "COMPLETED", done
    assert done["output"]["usage"]["completion_tokens"] == LONG_CHAT["max_tokens"]


async def check_baked(models: Path) -> None:
    """A model in the image: no volume, no network, nothing to write to."""
    handler = functools.partial(QuietFiles, directory=str(models))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}/model.gguf"
        build("cpu", "--tag", BAKED, "--engine-image", "localhost/podworker-build:cpu", "--model", address)
        server.shutdown()
    async with endpoint() as runpod:
        with runpod.worker(BAKED, [*STRICT, *TEMPORARY], OFFLINE="true", SLOTS="2") as container:
            with timed("the same with the model in the image"):
                await runpod.run(CHAT)
            assert "verifying it again" not in container.logs()
            assert container.stop(60) == 0, container.logs()


def check_edits() -> None:
    """An edited handler.py makes one small layer."""
    with folder() as context:
        for name in ("Dockerfile", ".dockerignore", "pyproject.toml", "uv.lock", "README.md", "LICENSE", "handler.py"):
            shutil.copy2(ROOT / name, context / name)
        for name in ("src", "docker"):
            shutil.copytree(ROOT / name, context / name, ignore=shutil.ignore_patterns("__pycache__"))
        # Both of these files: somebody may be editing those of the repository.
        build("cpu", "--tag", HANDLER, "--target", "handler", "--context", str(context))
        with (context / "handler.py").open("a") as file:
            file.write("# edited\n")
        with timed("built again with an edited handler.py"):
            build("cpu", "--tag", EDITED, "--target", "handler", "--context", str(context))
    assert layers(EDITED)[:-1] == layers(HANDLER)[:-1]
    podman("rmi", "--force", EDITED)


def build_project() -> Any:  # noqa: ANN401 - JSON
    """A project of `podworker new` with one more package, on the image without an engine; a job for it."""
    with folder() as parent:
        project = parent / "shout"
        subprocess.run([sys.executable, "-m", "podworker", "new", project], capture_output=True, check=True)
        with (project / "requirements.txt").open("a") as file:
            file.write("tabulate>=0.9\n")
        with timed("a project of `podworker new` built on it"):
            podman("build", "--isolation", "chroot", "--format", "docker", "--pull=never", "--tag", PROJECT,
                "--build-arg", f"PODWORKER_IMAGE={HANDLER}", str(project))  # fmt: skip
        job = json.loads((project / "test_input.json").read_text())["input"]
    packages = podman("run", "--rm", "--network", "none", PROJECT, "python", "-c", PACKAGES).split()
    assert "tabulate" in packages
    assert "xllamacpp" not in packages
    return job


async def check_project() -> None:
    """A worker of that project answers."""
    job = await asyncio.to_thread(build_project)
    async with endpoint() as runpod:
        with runpod.worker(PROJECT, [*STRICT, *TEMPORARY]) as container:
            say(f"it answers: {json.dumps(await runpod.run(job))}")
            assert container.health() == 0
            assert container.stop(60) == 0, container.logs()
    podman("rmi", "--force", PROJECT)


def check_places() -> None:
    """Which engine is used and where files are kept, by where it runs; a program is in the place of a CUDA engine."""
    with folder() as volume:
        options = [
            "--rm",
            "--network",
            "none",
            "-v",
            "/bin/true:/opt/engine/llama-server:ro",
            "-v",
            f"{volume}:/runpod-volume",
        ]

        def settings(*more: str) -> dict[str, Any]:
            told = json.loads(podman("run", *options, *more, IMAGE, "podworker", "config", "--json"))["settings"]
            return {name: entry["value"] for name, entry in told.items()}

        own = "/home/podworker/.cache/podworker"
        unwritable, as_root = settings(), settings("--user", "0")
        for name in ("podworker-models", "podworker-warm-prompts"):
            (volume / name).mkdir()
            os.chown(volume / name, 1000, 1000)
        prepared, chosen = settings(), settings("--env", "ENGINE_BINARY=/mine")
    assert {unwritable["engine_binary"], as_root["engine_binary"]} == {"/opt/engine/llama-server"}
    assert unwritable["model_store"] == f"{own}/podworker-models"
    assert unwritable["warm_prompts_folder"] == f"{own}/podworker-warm-prompts"
    for found in (as_root, prepared):
        assert found["model_store"] == "/runpod-volume/podworker-models"
        assert found["warm_prompts_folder"] == "/runpod-volume/podworker-warm-prompts"
    assert chosen["engine_binary"] == "/mine"
    say("files are kept on the volume where it can be written to, else on the container's own disk")


class QuietFiles(http.server.SimpleHTTPRequestHandler):
    """Files over HTTP, without a log."""

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def copyfile(self, source: Any, outputfile: Any) -> None:  # noqa: ANN401 - the class has no types
        """Send a file, to a client that may have asked only for its size."""
        with contextlib.suppress(ConnectionError):
            super().copyfile(source, outputfile)


async def main() -> None:
    """All of it."""
    model = demo_model()
    if model is None:
        sys.exit("The demo model is missing: run scripts/setup dev.")
    build("cpu", "--tag", IMAGE)
    check_contents()
    check_places()
    with folder() as models:
        shutil.copy2(model, models / "model.gguf")
        await check_worker(models)
        await check_baked(models)
    check_edits()
    await check_project()
    podman("rmi", "--force", BAKED)


if __name__ == "__main__":
    with timed("The image was checked in all"):
        asyncio.run(main())
