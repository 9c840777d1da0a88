"""Proxies that the environment names."""

import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from huggingface_hub import close_session

from podworker.configuration import load_settings
from podworker.models.choice import MODEL
from podworker.models.reference import parse_reference
from podworker.models.remote_header import describe_remote
from podworker.models.web_proxy import proxy_for
from tests.gguf_files.tiny import llama
from tests.hub_server import HubServer

PROXY = "http://proxy.example:3128"


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The hub's client learns of proxies when it is first used, and is kept: no other test may have used this one."""
    for name in os.environ:
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    close_session()
    yield
    close_session()


@pytest.fixture
async def hub() -> AsyncIterator[HubServer]:
    async with HubServer() as server:
        yield server


@pytest.mark.parametrize(
    ("variables", "address", "proxy"),
    [
        ({}, "https://huggingface.co/a", None),
        ({"HTTPS_PROXY": PROXY}, "https://huggingface.co/a", PROXY),
        ({"https_proxy": "proxy.example:3128"}, "https://huggingface.co/a", PROXY),
        ({"HTTP_PROXY": PROXY}, "https://huggingface.co/a", None),
        ({"ALL_PROXY": PROXY}, "http://files.example/a", PROXY),
        ({"HTTPS_PROXY": PROXY, "NO_PROXY": ".example,huggingface.co"}, "https://huggingface.co/a", None),
        ({"HTTPS_PROXY": PROXY, "NO_PROXY": "huggingface.co"}, "https://cdn.huggingface.io/a", PROXY),
        ({"ALL_PROXY": "socks5://proxy.example:1080"}, "https://huggingface.co/a", None),
        ({"HTTP_PROXY": PROXY}, "http://127.0.0.1:8000/v2", None),
        ({"HTTP_PROXY": PROXY}, "http://localhost:8000/v2", None),
    ],
)
def test_which_one(monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], address: str, proxy: str | None) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert proxy_for(address) == proxy


async def test_a_hub_behind_a_proxy(monkeypatch: pytest.MonkeyPatch, hub: HubServer, tmp_path: Path) -> None:
    """There is no such host: only the proxy can reach it."""
    hub.add("org/model", {"model-Q8_0.gguf": llama().write(tmp_path / "model.gguf")})
    monkeypatch.setenv("http_proxy", hub.url)
    settings = load_settings(hf_endpoint="http://hub.example.invalid", hf_token=None)
    info = await describe_remote(parse_reference("org/model"), settings, MODEL)
    assert info.architecture == "llama"
