from pathlib import Path

import pytest

from podworker.configuration import load_settings
from podworker.deployment.environment import Environment, endpoint_environment, shown_value
from podworker.errors import InvalidSettings

SECRET = "hf_12345"
REFERENCE = "{{ RUNPOD_SECRET_hf_token }}"


def environment(
    secrets: dict[str, str] | None = None, others: dict[str, str] | None = None, *, plain: bool = False, **given: object
) -> Environment:
    return endpoint_environment(load_settings(**given), secrets=secrets or {}, others=others or {}, plain_secrets=plain)


def test_only_what_was_given_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("podworker.toml").write_text("slots = 4\noffline = true\n")
    monkeypatch.setenv("LOG_LEVEL", "DEBUG")
    found = environment(model="a/b:Q4_K_M", deploy_name="x", runpod_api_key="rpa_1")
    assert found.variables == {"MODEL": "a/b:Q4_K_M", "SLOTS": "4", "OFFLINE": "true", "LOG_LEVEL": "debug"}


def test_paths_of_this_machine_stay_here(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("podworker.toml").write_text('model_store = "/runpod-volume/models"\n')
    monkeypatch.setenv("HF_HOME", "/home/me/.cache/huggingface")
    found = environment()
    assert found.variables == {"MODEL_STORE": "/runpod-volume/models"}
    assert [note.split()[0] for note in found.notes] == ["HF_HOME"]


@pytest.mark.parametrize(
    "given",
    [{"hf_token": SECRET}, {"model": "https://me:hunter2@host/a.gguf"}, {"others": {"MY_PASSWORD": SECRET}}],
    ids=str,
)
def test_no_plain_secret(given: dict[str, object]) -> None:
    with pytest.raises(InvalidSettings, match="plain text") as refused:
        environment(**given)  # type: ignore[arg-type]
    assert SECRET not in refused.value.message
    assert "hunter2" not in refused.value.message
    assert "--secret" in refused.value.message
    assert environment(plain=True, **given).variables  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "found",
    [
        lambda: environment(hf_token=REFERENCE),
        lambda: environment({"HF_TOKEN": "hf_token"}, hf_token=SECRET),
        lambda: environment({"HF_TOKEN": "hf_token"}),
        lambda: environment(others={"HF_TOKEN": REFERENCE}),
    ],
)
def test_a_secret_of_runpods(found: object) -> None:
    assert callable(found)
    result = found()
    assert result.variables == {"HF_TOKEN": REFERENCE}
    assert SECRET not in repr(result)


@pytest.mark.parametrize("name", ["RUNPOD_x", "1a", "a b", ""])
def test_a_secrets_name(name: str) -> None:
    with pytest.raises(InvalidSettings, match="cannot be the name"):
        environment({"HF_TOKEN": name})


def test_what_is_shown() -> None:
    assert shown_value("SLOTS", "4") == "4"
    assert shown_value("HF_TOKEN", SECRET) == "********"
    assert shown_value("HF_TOKEN", REFERENCE) == REFERENCE
    assert shown_value("SOME_API_KEY", SECRET) == "********"
    assert shown_value("RUNPOD_INIT_TIMEOUT", "900") == "900"
    assert "hunter2" not in shown_value("MODEL", "https://me:hunter2@host/a.gguf")
