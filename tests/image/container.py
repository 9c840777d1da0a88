"""Containers and images, by podman's command line."""

import json
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self


def run_podman(*words: str) -> subprocess.CompletedProcess[str]:
    """Run podman to its end."""
    return subprocess.run(["podman", *words], capture_output=True, text=True, check=False)  # noqa: S607 - from the PATH


def podman(*words: str) -> str:
    """Run podman; what it printed.

    Raises:
        AssertionError: It failed; with what it said.
    """
    done = run_podman(*words)
    assert done.returncode == 0, f"podman {' '.join(words)}: {done.stdout}{done.stderr}"
    return done.stdout


def inspect(image: str) -> dict[str, Any]:
    """What an image says about itself."""
    return dict(json.loads(podman("image", "inspect", image))[0])


def image_size(image: str) -> int:
    """Bytes of all its layers."""
    return int(inspect(image)["Size"])


def layers(image: str) -> list[str]:
    """The checksums of its layers."""
    return list(inspect(image)["RootFS"]["Layers"])


@dataclass(frozen=True, slots=True)
class Process:
    """One process in a container."""

    user: str
    state: str
    name: str


class Container:
    """A container that runs; at the end of its context it is gone."""

    def __init__(self, name: str) -> None:
        self._name = name

    @classmethod
    def start(cls, image: str, options: Sequence[str]) -> Self:
        """Start one in the background."""
        return cls(podman("run", "--detach", *options, image).strip())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        if error is not None:
            print(self.logs()[-8000:])  # noqa: T201 - the reason, mostly
        podman("rm", "--force", "--time", "0", self._name)

    def logs(self) -> str:
        """All that it printed."""
        done = run_podman("logs", self._name)
        return done.stdout + done.stderr

    def health(self) -> int:
        """The exit code of the image's health check."""
        return run_podman("healthcheck", "run", self._name).returncode

    def execute(self, *words: str) -> None:
        """Run a program in it."""
        podman("exec", self._name, *words)

    def processes(self) -> list[Process]:
        """Its processes, in the order of their numbers."""
        lines = podman("top", self._name, "pid", "user", "state", "comm").splitlines()[1:]
        rows = sorted((line.split() for line in lines), key=lambda row: int(row[0]))
        return [Process(user, state, name) for _, user, state, name in rows]

    def stop(self, seconds: int) -> int:
        """Send SIGTERM, and SIGKILL after some seconds; the exit code."""
        podman("stop", "--time", str(seconds), self._name)
        return int(podman("wait", self._name))
