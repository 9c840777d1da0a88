"""How many tokens of a prompt are processed at a time, where BATCH_SIZE leaves it open.

A cancelled request frees its slot between two batches, and tokens of other requests wait for the end of a batch: so a
batch is no larger than it has to be. docs/cancellation.md has the figures.
"""

from podworker.inference.memory import MemoryPlan
from podworker.models.compute_buffer import MICRO_BATCH

SECONDS = 1.0
"""What a batch on the CPU is to take at most, if it can."""
BYTES_PER_THREAD_SECOND = 8e9
"""Bytes of weights times tokens that one CPU thread processes in a second: 98 MB at 80 to 120 tokens/s with AVX2."""
LEAST = 64
"""Smaller ones cost: 32 tokens at a time take a fifth more processor time in all, 64 as little as 1024."""
SEVERAL_GPUS = 4 * MICRO_BATCH
"""Each GPU works on a micro-batch of its own; one GPU alone works on one after the other, and gains nothing."""


def automatic_batch_size(plan: MemoryPlan, *, threads: int) -> int:
    """Tokens in a batch, for a model that is placed so."""
    if plan.gpu_layers:
        return SEVERAL_GPUS if sum(gpu.layers > 0 for gpu in plan.gpus) > 1 else MICRO_BATCH
    fitting = int(SECONDS * threads * BYTES_PER_THREAD_SECOND / max(plan.main.weights, 1))
    power_of_two = 1 << max(fitting, 1).bit_length() - 1
    return min(max(power_of_two, LEAST), MICRO_BATCH)
