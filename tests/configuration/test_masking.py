from pathlib import Path

import pytest
from pydantic import SecretStr

from podworker.configuration import Settings
from podworker.configuration.declarations import declarations
from podworker.configuration.masking import MASK, quoted, shown

KNOWN = declarations(Settings)


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("runpod_api_key", SecretStr("hunter2"), MASK),
        ("runpod_api_key", None, None),
        ("slots", 4, 4),
        ("engine_binary", Path("/opt/a b"), "/opt/a b"),
        ("model", "/models/a?b@c#d.gguf", "/models/a?b@c#d.gguf"),
        ("model", "hf://organisation/model:Q4_K_M@main", "hf://organisation/model:Q4_K_M@main"),
        ("model", "https://me:hunter2@host/a@b.gguf?sign=hunter2", f"https://{MASK}@host/a@b.gguf?{MASK}"),
        ("runpod_endpoint_base_url", "http://127.0.0.1:8000/v2", "http://127.0.0.1:8000/v2"),
        ("runpod_endpoint_base_url", "localhost:8000", "localhost:8000"),
        ("runpod_endpoint_base_url", "https://me:hun@ter/2@host:80/v2", f"https://{MASK}@host:80/v2"),
        ("runpod_endpoint_base_url", "https://me:hunter2", f"https://me:{MASK}"),
    ],
)
def test_shown(name: str, value: object, expected: object) -> None:
    assert shown(value, KNOWN[name]) == expected


def test_a_quoted_secret_tells_only_its_kind() -> None:
    key = KNOWN["runpod_api_key"]
    assert quoted("a", key) == quoted("a" * 99, key) == f"{MASK} (a text)"
    assert quoted(5, key) == f"{MASK} (not a text)"
    assert quoted("", key) == f"{MASK} (an empty text)"
