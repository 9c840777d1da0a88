"""Where this podworker was installed from: a new project takes its own from there, too."""

import importlib.metadata
import json
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

NAME = "podworker"


@dataclass(frozen=True, slots=True)
class Origin:
    """What a project's requirements say of podworker."""

    requirement: str
    """A line for a file of requirements, as pip and uv read it."""
    clone: Path | None = None
    """The folder that it was installed from, if it was one."""
    sources: str | None = None
    """Where `docker build` finds podworker's own Dockerfile; None for a release, whose images are published."""


def origin() -> Origin:
    """Where this podworker came from."""
    distribution = importlib.metadata.distribution(NAME)
    return origin_of(distribution.read_text("direct_url.json"), distribution.version)


def origin_of(direct_url: str | None, version: str) -> Origin:
    """Where an installed podworker came from.

    Args:
        direct_url: What its installer wrote of it, by PyPA's specification "Recording the Direct URL Origin of
            installed distributions"; None: it came from PyPI, or from another index.
        version: Its version.
    """
    if direct_url is None:
        return Origin(f"{NAME}=={version}")
    record: dict[str, Any] = json.loads(direct_url)
    url = str(record["url"])
    if "dir_info" in record:
        clone = Path(unquote(urlsplit(url).path))
        editable = record["dir_info"].get("editable", False)
        return Origin(f"-e {url}" if editable else f"{NAME} @ {url}", clone, shlex.quote(str(clone)))
    if vcs := record.get("vcs_info"):
        commit = vcs["commit_id"]
        return Origin(f"{NAME} @ {vcs['vcs']}+{url}@{commit}", sources=shlex.quote(f"{url}#{commit}"))
    return Origin(f"{NAME} @ {url}")
