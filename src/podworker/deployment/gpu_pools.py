"""RunPod's pools of GPUs: what a Serverless endpoint chooses its GPUs by.

Source: RunPod's documentation, "GPU types", "GPU pools", as of November 2026; the order is that of the prices there. A
deployment asks RunPod's catalog instead (`GET /v2/catalog/gpus`), which also knows prices and pools that are newer.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Pool:
    """GPUs that an endpoint takes any of.

    Attributes:
        id: As RunPod names it.
        memory_gb: Of the smallest of its GPUs.
        gpus: RunPod's ids of the GPUs in it.
        price: US dollars an hour for one GPU on Serverless; None: not known here.
    """

    id: str
    memory_gb: int
    gpus: tuple[str, ...]
    price: float | None = None

    @property
    def needs_cuda_12_8(self) -> bool:
        """Whether CUDA 11.8 knows its GPUs not at all (Blackwell), or not well (Hopper, which it compiles first)."""
        return self.id.startswith(("BLACKWELL_", "HOPPER_")) or self.id in _NAMED_OTHERWISE


_NAMED_OTHERWISE = frozenset({"ADA_80_PRO", "ADA_32_PRO"})
"""Pools whose names say Ada, and whose GPUs are of Hopper (H100) and Blackwell (RTX 5090)."""

POOLS = (
    Pool(
        "AMPERE_16",
        16,
        (
            *("NVIDIA RTX A4000", "NVIDIA RTX A4500"),
            *("NVIDIA RTX 4000 Ada Generation", "NVIDIA RTX 2000 Ada Generation"),
        ),
    ),
    Pool("AMPERE_24", 24, ("NVIDIA L4", "NVIDIA RTX A5000", "NVIDIA GeForce RTX 3090")),
    Pool("ADA_24", 24, ("NVIDIA GeForce RTX 4090",)),
    Pool("AMPERE_48", 48, ("NVIDIA A40", "NVIDIA RTX A6000")),
    Pool("ADA_32_PRO", 32, ("NVIDIA GeForce RTX 5090",)),
    Pool("ADA_48_PRO", 48, ("NVIDIA L40", "NVIDIA L40S", "NVIDIA RTX 6000 Ada Generation")),
    Pool("AMPERE_80", 80, ("NVIDIA A100 80GB PCIe", "NVIDIA A100-SXM4-80GB")),
    Pool(
        "BLACKWELL_96",
        96,
        (
            "NVIDIA RTX PRO 6000 Blackwell Server Edition",
            *(f"NVIDIA RTX PRO 6000 Blackwell {kind}" for kind in ("Workstation Edition", "Max-Q Workstation Edition")),
        ),
    ),
    Pool("ADA_80_PRO", 80, ("NVIDIA H100 80GB HBM3", "NVIDIA H100 PCIe", "NVIDIA H100 NVL")),
    Pool("HOPPER_141", 141, ("NVIDIA H200",)),
    Pool("BLACKWELL_180", 180, ("NVIDIA B200",)),
)
"""Cheaper ones first."""


def pools_of_catalog(gpus: Iterable[Mapping[str, Any]]) -> tuple[Pool, ...]:
    """The pools that RunPod's catalog lists, cheaper ones first.

    Args:
        gpus: The entries of `gpus` in the answer to `GET /v2/catalog/gpus`.
    """
    members: dict[str, list[Mapping[str, Any]]] = {}
    for gpu in gpus:
        if gpu.get("id") and gpu.get("pool") and gpu.get("memory") and gpu.get("manufacturer") == "NVIDIA":
            members.setdefault(gpu["pool"], []).append(gpu)
    pools = [_pool(name, entries) for name, entries in members.items()]
    return tuple(sorted(pools, key=lambda pool: (pool.price is None, pool.price, pool.memory_gb, pool.id)))


def _pool(name: str, gpus: list[Mapping[str, Any]]) -> Pool:
    given = [(gpu.get("price") or {}).get("serverless") for gpu in gpus]
    prices = [price for price in given if price is not None]
    ids = tuple(sorted(gpu["id"] for gpu in gpus))
    return Pool(name, min(gpu["memory"] for gpu in gpus), ids, max(prices, default=None))
