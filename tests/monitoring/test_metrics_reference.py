from pathlib import Path

from podworker.monitoring.metrics import REGISTRY
from podworker.monitoring.metrics_reference import markdown
from podworker.monitoring.prometheus import name_of

PAGE = Path(__file__).parents[2] / "docs/metrics.md"


def test_the_page_is_up_to_date() -> None:
    command = "python -m podworker.monitoring.metrics_reference > docs/metrics.md"
    assert PAGE.read_text() == markdown(), f"Run: {command}"


def test_the_page_has_every_metric() -> None:
    for instrument in REGISTRY.instruments:
        assert f"\n| `{name_of(instrument.read())}` |" in markdown()
        assert f"OTLP: `{instrument.name}`." in markdown()
