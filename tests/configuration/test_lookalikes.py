import pytest

from podworker.configuration import Settings
from podworker.configuration.lookalikes import Lookalike, lookalikes


@pytest.mark.parametrize(
    ("variable", "meant"),
    [
        ("slots", "SLOTS"),
        ("SLOT", "SLOTS"),
        ("HF_TOKN", "HF_TOKEN"),
        ("HFTOKEN", "HF_TOKEN"),
        ("HF_TKOEN", "HF_TOKEN"),
        ("CONTEXT_LENGHT", "CONTEXT_LENGTH"),
        ("CONTEX_LENTH", "CONTEXT_LENGTH"),
        ("PODWORKER_SLOTS", "SLOTS"),
        ("PODWORKER_FEET", None),
        ("LLAMA_ARG_CTX_SIZE", None),
        ("MAX_MODEL_LEN", "CONTEXT_LENGTH"),
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"),
    ],
)
def test_what_was_meant(variable: str, meant: str | None) -> None:
    assert lookalikes({variable: "hunter2"}, Settings.model_fields) == [Lookalike(variable, meant)]


@pytest.mark.parametrize(
    "variable",
    [
        *("PATH", "HOME", "HOST", "HOSTNAME", "LANG", "NODE", "NODE_ENV", "PWD", "SHLVL", "TERM", "USER", "SORT"),
        *("RUNPOD_AI_API_KEY", "RUNPOD_POD_ID", "RUNPOD_ENDPOINT_ID", "RUNPOD_LOG_LEVEL", "RUNPOD_WEBHOOK_PING"),
        *("AWS_DEFAULT_REGION", "AWS_PROFILE", "HF_HUB_OFFLINE", "HF_HUB_ENABLE_HF_TRANSFER", "HUGGINGFACE_HUB_CACHE"),
        *("OTEL_EXPORTER_OTLP_PROTOCOL", "OTEL_RESOURCE_ATTRIBUTES", "CUDA_VERSION", "NVIDIA_VISIBLE_DEVICES"),
        *("PODWORKER_CONFIG", "PODWORKER_ENGINE_BUILD", "SLOTS", "PORT", "RUNPOD_INIT_TIMEOUT"),
    ],
)
def test_what_others_read(variable: str) -> None:
    assert lookalikes({variable: "1"}, Settings.model_fields) == []


def test_what_is_empty_or_beside_the_right_one() -> None:
    assert lookalikes({"HF_TOKN": " "}, Settings.model_fields) == []
    assert lookalikes({"SLOTS": "4", "SLOT": "4"}, Settings.model_fields) == []
