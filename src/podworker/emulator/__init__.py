"""RunPod's serverless platform on one machine.

A RunPod worker and a RunPod client cannot tell it from the platform, as far as RunPod's documentation and its SDK say
how that behaves. Jobs live in memory. It knows nothing of what the workers do: the two speak HTTP only.
"""

from podworker.emulator.server import AddressUnavailable, Emulator

__all__ = ["AddressUnavailable", "Emulator"]
