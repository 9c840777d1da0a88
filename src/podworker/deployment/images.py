"""The published images: one for each kind of machine, and the drivers that they need."""

import importlib.metadata
from typing import Literal, TypeAlias

REPOSITORY = "podworker/podworker"
"""On GitHub: where releases are made. The images lie under the same name in GitHub's registry."""
REGISTRY = f"ghcr.io/{REPOSITORY}"

Variant: TypeAlias = Literal["cpu", "cuda11.8", "cuda12.8", "handler"]
"""`handler` has no engine: it is the base of workers that serve something else than a language model."""

DEFAULT_VARIANT: Variant = "cuda11.8"
CUDA_VERSIONS = (
    *("11.8", "12.0", "12.1", "12.2", "12.3", "12.4", "12.5", "12.6", "12.7", "12.8", "12.9"),
    *("13.0", "13.1", "13.2", "13.3"),
)
"""What drivers may say that they support. A driver runs programs of its version and of older ones.

Source: RunPod's documentation, "Endpoint settings" (the versions that it tells apart); NVIDIA, "CUDA Compatibility".
"""


def least_cuda(variant: Variant) -> str | None:
    """The CUDA version that a machine's driver must support at least; None where no GPU is used."""
    return variant.removeprefix("cuda") if variant.startswith("cuda") else None


def allowed_cuda(variant: Variant) -> list[str]:
    """All versions that will do, as the Hub wants them: the oldest first.

    RunPod's own tools make one minimum of them, each in its way: the console and the MCP server take the lowest,
    `runpodctl serverless create --hub-id` the first one. A driver whose version is not in the list gets no worker.
    """
    least = least_cuda(variant)
    return [] if least is None else list(CUDA_VERSIONS[CUDA_VERSIONS.index(least) :])


def published_image(variant: Variant) -> str:
    """The image of this version."""
    return f"{REGISTRY}:{importlib.metadata.version('podworker')}-{variant}"
