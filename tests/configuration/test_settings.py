import copy
import pickle
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr, ValidationError

from podworker.configuration import Settings, load_settings
from podworker.configuration.sources import Source
from podworker.errors import InvalidSettings


def test_defaults() -> None:
    settings = load_settings()
    assert settings.model is None
    assert settings.context_length is None
    assert settings.slots is None
    assert settings.gpu_memory_reserve_mb == 1024
    assert settings.threads is None
    assert settings.log_level == "info"
    assert settings.runpod_endpoint_base_url == "https://api.runpod.ai/v2"
    assert {settings.origin(name) for name in Settings.model_fields} == {Source.DEFAULT}


def test_each_default_is_allowed() -> None:
    load_settings(**load_settings().model_dump())


def test_the_strongest_source_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("podworker.toml").write_text("slots = 2\nbatch_size = 64\nthreads = 2\n")
    monkeypatch.setenv("SLOTS", "3")
    monkeypatch.setenv("BATCH_SIZE", "128")
    settings = load_settings(slots=4)
    assert (settings.slots, settings.origin("slots")) == (4, Source.ARGUMENT)
    assert (settings.batch_size, settings.origin("batch_size")) == (128, Source.ENVIRONMENT)
    assert (settings.threads, settings.origin("threads")) == (2, Source.FILE)
    assert (settings.context_length, settings.origin("context_length")) == (None, Source.DEFAULT)


def test_none_means_not_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODEL", "a.gguf")
    settings = load_settings(model=None)
    assert (settings.model, settings.origin("model")) == ("a.gguf", Source.ENVIRONMENT)


def test_types_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    given = {
        "SLOTS": "+4",
        "CONTEXT_LENGTH": "1_000_000",
        "DRAIN_SECONDS": "1.5",
        "LOG_LEVEL": "WARNING",
        "CACHE_TYPE_K": "Q8_0",
        "TENSOR_SPLIT": "3,1.5",
        "ENGINE_BINARY": "/opt/llama-server",
        "RUNPOD_API_KEY": "key\n",
        "RUNPOD_ENDPOINT_BASE_URL": "http://127.0.0.1:8000/v2/",
    }
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    settings = load_settings()
    assert settings.slots == 4
    assert settings.context_length == 1_000_000
    assert settings.drain_seconds == 1.5
    assert settings.log_level == "warning"
    assert settings.cache_type_k == "q8_0"
    assert settings.tensor_split == "3,1.5"
    assert settings.engine_binary == Path("/opt/llama-server")
    assert settings.runpod_api_key == SecretStr("key")
    assert settings.runpod_endpoint_base_url == "http://127.0.0.1:8000/v2"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("slots", 0),
        ("slots", 257),
        ("slots", "4.0"),
        ("slots", "many"),
        ("slots", "0x10"),
        ("slots", 4.0),
        ("slots", True),
        ("slots", "9" * 5000),
        ("threads", 1.0),
        ("threads", False),
        ("threads", 0),
        ("drain_seconds", "nan"),
        ("drain_seconds", float("inf")),
        ("drain_seconds", -0.1),
        ("drain_seconds", True),
        ("engine_start_timeout_seconds", 0),
        ("log_level", "loud"),
        ("cache_type_k", "q3_k"),
        ("flash_attention", "perhaps"),
        ("tensor_split", "3;1"),
        ("tensor_split", "3,"),
        ("tensor_split", "-1,2"),
        ("tensor_split", "0,0.0"),
        ("main_gpu", -1),
        ("model", ""),
        ("model", 5),
        ("engine_binary", ""),
        ("runpod_api_key", ""),
        ("runpod_endpoint_base_url", "api.runpod.ai/v2"),
        ("runpod_endpoint_base_url", "ftp://api.runpod.ai"),
        ("runpod_endpoint_base_url", "https://"),
        ("runpod_endpoint_base_url", "https://host:port/"),
        ("runpod_endpoint_base_url", "https://[::1/"),
        ("runpod_endpoint_base_url", "https://a host/"),
        ("runpod_endpoint_base_url", "https://user@host/v2"),
        ("runpod_endpoint_base_url", "https://host/v2?a=b"),
        ("runpod_endpoint_base_url", "https://host/v2#a"),
    ],
)
def test_refused(name: str, value: object) -> None:
    with pytest.raises(InvalidSettings, match=f"^1 setting is invalid:\n  {name} "):
        load_settings(**{name: value})


@pytest.mark.parametrize(
    ("name", "value"), [("slots", 1), ("slots", 256), ("drain_seconds", 0), ("gpu_layers", 0), ("prompt_cache_mb", 0)]
)
def test_the_ends_of_a_range_are_allowed(name: str, value: object) -> None:
    assert getattr(load_settings(**{name: value}), name) == value


def test_frozen() -> None:
    with pytest.raises(ValidationError):
        load_settings().slots = 2  # type: ignore[misc]


def test_copies_keep_the_sources() -> None:
    settings = load_settings(slots=2)
    copies: list[Any] = [copy.deepcopy(settings), settings.model_copy(), pickle.loads(pickle.dumps(settings))]  # noqa: S301
    assert [copied.origin("slots") for copied in copies] == [Source.ARGUMENT] * 3


def test_the_secret_is_not_in_the_representation() -> None:
    settings = load_settings(runpod_api_key="hunter2")
    assert "hunter2" not in repr(settings) + str(settings) + settings.model_dump_json()


def test_bytes_that_are_no_text_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENGINE_BINARY", "/opt/\udcff")
    with pytest.raises(InvalidSettings, match=r'got "/opt/\\udcff"; allowed: a path'):
        load_settings()
