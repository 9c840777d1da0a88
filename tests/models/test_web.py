import hashlib
from pathlib import Path

import pytest

from podworker.errors import DownloadFailed, ModelAccessDenied, ModelNotFound
from podworker.models.reference import parse_reference
from podworker.models.remote import RemoteFile, list_remote
from tests.hub_server import HubServer, Kind
from tests.models.fetching import fetch, hub_settings


async def listed(hub: HubServer, path: str) -> list[RemoteFile]:
    return await list_remote(parse_reference(f"{hub.url}/org/repo/resolve/main/{path}"), hub_settings(hub))


@pytest.fixture(autouse=True)
def repository(hub: HubServer, content: bytes) -> None:
    hub.add("org/repo", {"m.gguf": content, "s-00001-of-00002.gguf": b"1" * 99, "s-00002-of-00002.gguf": b"2" * 98})


async def test_the_first_byte_tells_everything(hub: HubServer, content: bytes, tmp_path: Path) -> None:
    [file] = await listed(hub, "m.gguf")
    digest = hashlib.sha256(content).hexdigest()
    assert (file.name, file.size, file.sha256, file.version, file.ranges) == ("m.gguf", 8_000_000, None, digest, True)
    await fetch(file, tmp_path / "part")
    assert (tmp_path / "part").read_bytes() == content
    assert hub.sent == len(content) + 1


async def test_shards(hub: HubServer) -> None:
    files = await listed(hub, "s-00002-of-00002.gguf")
    assert [(file.name, file.size) for file in files] == [("s-00001-of-00002.gguf", 99), ("s-00002-of-00002.gguf", 98)]
    assert files[0].source == f"{hub.url}/org/repo/resolve/main/s-00001-of-00002.gguf"


async def test_a_file_that_changed_is_not_mixed(hub: HubServer, content: bytes, tmp_path: Path) -> None:
    [file] = await listed(hub, "m.gguf")
    hub.repository("org/repo").commit({"m.gguf": content[::-1]})
    with pytest.raises(DownloadFailed, match=r"another version.*Start again"):
        await fetch(file, tmp_path / "part")
    hub.repository("org/repo").commit({"m.gguf": content[1:]})
    with pytest.raises(DownloadFailed, match="it has 7999999 bytes, not 8000000"):
        await fetch(file, tmp_path / "part")


async def test_a_server_without_ranges_is_read_from_the_start(hub: HubServer, content: bytes, tmp_path: Path) -> None:
    hub.fail(Kind.WHOLE, times=1000)
    [file] = await listed(hub, "m.gguf")
    assert not file.ranges
    hub.fail(Kind.DROP, after=100)
    await fetch(file, tmp_path / "part")
    assert (tmp_path / "part").read_bytes() == content


async def test_a_web_page_is_no_model(hub: HubServer) -> None:
    hub.fail(Kind.PAGE)
    with pytest.raises(ModelNotFound, match="is a web page, not a file"):
        await listed(hub, "m.gguf")


async def test_not_there_and_not_allowed(hub: HubServer) -> None:
    with pytest.raises(ModelNotFound, match=r"x\.gguf is not there: .*Entry not found"):
        await listed(hub, "x.gguf")
    hub.fail(Kind.STATUS, status=403, times=100)
    with pytest.raises(ModelAccessDenied, match="it may have expired"):
        await listed(hub, "m.gguf")


async def test_a_password_is_sent_as_a_header_and_never_shown(hub: HubServer) -> None:
    address = f"{hub.url}/org/repo/resolve/main/m.gguf".replace("//", "//me:pass%40word@", 1)
    with pytest.raises(ModelAccessDenied, match="Invalid credentials") as caught:  # the hub takes tokens only
        await list_remote(parse_reference(address), hub_settings(hub))
    assert "pass" not in caught.value.message.replace("password", "")
    assert hub.seen[0].headers["Authorization"] == "Basic bWU6cGFzc0B3b3Jk"


async def test_redirects_in_a_circle(hub: HubServer) -> None:
    hub.rename("org/repo", "org/other")
    hub.rename("org/other", "org/repo")
    with pytest.raises(DownloadFailed, match="redirects in a circle"):
        await listed(hub, "m.gguf")
