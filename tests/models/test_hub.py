import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

from podworker.configuration import load_settings
from podworker.errors import DownloadFailed, ModelAccessDenied, ModelNotFound
from podworker.models.reference import parse_reference
from podworker.models.remote import RemoteFile, list_remote
from tests.hub_server import TOKEN, HubServer, Kind
from tests.models.fetching import hub_settings


async def listed(hub: HubServer, reference: str, token: str | None = None) -> list[RemoteFile]:
    return await list_remote(parse_reference(reference), hub_settings(hub, hf_token=token))


@pytest.fixture(autouse=True)
def nobody_logged_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HF_TOKEN", raising=False)


async def test_sizes_checksums_and_the_commit_are_told(hub: HubServer, content: bytes) -> None:
    commit = hub.add("org/repo", {"a/m-Q4_K_M.gguf": content, "README.md": b"Hello"})
    [file] = await listed(hub, "org/repo")
    stored = hub.repository("org/repo").commits[commit]["a/m-Q4_K_M.gguf"]
    assert (file.name, file.size, file.sha256, file.revision) == (stored.path, len(content), stored.sha256, commit)
    assert file.source == "org/repo/a/m-Q4_K_M.gguf"


async def test_shards_come_in_order(hub: HubServer) -> None:
    names = [f"m-0000{number}-of-00003.gguf" for number in (1, 2, 3)]
    hub.add("org/repo", dict.fromkeys(reversed(names), b"GGUF"))
    assert [file.name for file in await listed(hub, "org/repo")] == names


async def test_revisions(hub: HubServer) -> None:
    hub.add("org/repo", {"m.gguf": b"new"})
    old = hub.repository("org/repo").commit({"m.gguf": b"older"}, "refs/pr/1")
    for revision in ("refs/pr/1", old):
        [file] = await listed(hub, f"org/repo@{revision}")
        assert (file.size, file.revision) == (5, old)
    with pytest.raises(ModelNotFound, match="org/repo has no revision nope"):
        await listed(hub, "org/repo@nope")


async def test_private_and_missing_repositories(hub: HubServer) -> None:
    hub.add("org/private", {"m.gguf": b"x"}, private=True)
    for repo in ("org/private", "org/missing"):
        with pytest.raises(ModelNotFound, match=rf"no repository {repo} at .*or it is private.*set HF_TOKEN"):
            await listed(hub, repo)
    assert await listed(hub, "org/private", TOKEN)
    with pytest.raises(ModelNotFound, match="account that HF_TOKEN belongs to"):
        await listed(hub, "org/missing", TOKEN)
    with pytest.raises(ModelAccessDenied, match=r"may not be read \(401\).*check that the token is valid"):
        await listed(hub, "org/private", "wrong")


async def test_the_token_of_hf_auth_login_is_used(
    hub: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "token").write_text(TOKEN)
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(tmp_path / "token"))
    hub.add("org/private", {"m.gguf": b"x"}, private=True)
    assert await listed(hub, "org/private")


async def test_a_secret_that_does_not_exist_is_told(hub: HubServer) -> None:
    with pytest.raises(ModelAccessDenied, match="name of a RunPod secret") as caught:
        await listed(hub, "org/repo", "{{ RUNPOD_SECRET_hf }}")
    assert caught.value.param == "HF_TOKEN"


async def test_a_hub_in_trouble_is_asked_again(hub: HubServer) -> None:
    hub.add("org/repo", {"m.gguf": b"x"})
    hub.fail(Kind.STATUS, host="hub", status=503)
    hub.fail(Kind.STATUS, host="hub", status=429, headers={"Retry-After": "0"})
    assert await listed(hub, "org/repo")
    assert len(hub.requests("hub")) == 3


async def test_a_hub_that_is_away() -> None:
    async with HubServer() as hub:
        pass
    settings = load_settings(hf_endpoint=hub.url, download_patience_seconds=0.1)
    with pytest.raises(DownloadFailed, match=r"files of org/repo could not be fetched.*cannot be reached"):
        await list_remote(parse_reference("org/repo"), settings)


async def test_a_path_is_not_listed() -> None:
    with pytest.raises(ValueError, match="is a path"):
        await list_remote(parse_reference("/m.gguf"), load_settings())


def test_the_library_is_imported_only_when_it_is_needed() -> None:
    program = "import podworker.models.remote, podworker.models.downloader, sys; assert not {'huggingface_hub', "
    program += "'botocore'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True)


async def test_the_hf_command_works_against_the_server(hub: HubServer, content: bytes, tmp_path: Path) -> None:
    hub.add("org/repo", {"m-Q4_K_M.gguf": content, "README.md": b"Hello"}, gated=True)
    settings = {"HF_ENDPOINT": hub.url, "HF_TOKEN": TOKEN, "HF_HOME": str(tmp_path / "home")}
    quiet = {"HF_HUB_DISABLE_UPDATE_CHECK": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}
    process = await asyncio.create_subprocess_exec(
        str(Path(sys.executable).with_name("hf")),
        *("download", "org/repo", "--local-dir", str(tmp_path / "got")),
        env={**os.environ, **settings, **quiet},
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    _, errors = await process.communicate()
    assert process.returncode == 0, errors.decode()
    assert (tmp_path / "got" / "m-Q4_K_M.gguf").read_bytes() == content
    assert (tmp_path / "got" / "README.md").read_bytes() == b"Hello"
