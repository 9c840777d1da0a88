import pytest

from podworker.configuration import automatic, load_settings, machine


def test_chosen_by_the_machine() -> None:
    settings = load_settings()
    assert automatic.threads(settings) == machine.cpu_quota()
    assert automatic.prompt_cache_mb(settings) == min(machine.memory_limit() // 10 // 2**20, 8192)


def test_what_is_set_wins() -> None:
    settings = load_settings(threads=3, prompt_cache_mb=0, model_name="mine", model="/models/a.gguf")
    assert automatic.threads(settings) == 3
    assert automatic.prompt_cache_mb(settings) == 0
    assert automatic.model_name(settings) == "mine"


@pytest.mark.parametrize(
    ("model", "name"),
    [
        (None, None),
        ("/models/a.b.gguf", "a.b"),
        ("/models/a?b#c.gguf", "a?b#c"),
        ("a.gguf", "a"),
        ("a", "a"),
        ("https://host/models/a.gguf?key=hunter2", "a"),
    ],
)
def test_model_name(model: str | None, name: str | None) -> None:
    assert automatic.model_name(load_settings(model=model)) == name


@pytest.mark.parametrize(
    ("attributes", "settings", "name"),
    [
        ("", {}, "podworker"),
        ("a=b, service.name=my%20chat ,c=d", {}, "my chat"),
        ("service.name=", {}, "podworker"),
        ("service.name=chat", {"otel_service_name": "mine"}, "mine"),
        ("service.name=chat", {"otel_service_name": "podworker"}, "podworker"),
    ],
)
def test_service_name(attributes: str, settings: dict[str, str], name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", attributes)
    assert automatic.service_name(load_settings(**settings)) == name
