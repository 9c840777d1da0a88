import asyncio
import hashlib
from pathlib import Path

import pytest

from podworker.errors import ChecksumMismatch, DownloadFailed, ModelAccessDenied, ModelNotFound
from podworker.models.downloader import TransferOptions, download
from podworker.models.journal import journal_path
from podworker.models.progress import Progress
from podworker.models.reference import parse_reference
from podworker.models.remote import list_remote
from podworker.monitoring import metrics
from tests.hub_server import TOKEN, HubServer, Kind
from tests.models.fetching import QUICK, fetch, hub_file, hub_settings


async def test_fetches_with_several_connections_and_sends_each_byte_once(
    hub: HubServer, content: bytes, tmp_path: Path
) -> None:
    seen = await fetch(await hub_file(hub, content), tmp_path / "part")
    assert (tmp_path / "part").read_bytes() == content
    assert hub.sent == len(content)
    assert len({request.headers["Range"] for request in hub.requests("cdn")}) == 8
    assert len(hub.requests("hub")) == 2  # the listing, and one address of the CDN for all parts
    assert (seen[0].done, seen[-1].done, seen[-1].percent) == (0, len(content), 100)


async def test_the_token_never_goes_to_the_cdn(hub: HubServer, content: bytes, tmp_path: Path) -> None:
    hub.add("org/gated", {"m.gguf": content}, gated=True)
    [file] = await list_remote(parse_reference("org/gated"), hub_settings(hub, hf_token=TOKEN))
    await fetch(file, tmp_path / "part")
    assert all(request.headers["Authorization"] == f"Bearer {TOKEN}" for request in hub.requests("hub"))
    assert hub.requests("cdn")
    assert not [request for request in hub.requests("cdn") if "Authorization" in request.headers]
    assert TOKEN not in repr(file) + (tmp_path / "part.ranges").read_text()


async def test_a_renamed_repository_is_followed_with_the_token(hub: HubServer, content: bytes, tmp_path: Path) -> None:
    hub.add("org/old", {"m.gguf": content}, private=True)
    [file] = await list_remote(parse_reference("org/old"), hub_settings(hub, hf_token=TOKEN))
    hub.rename("org/old", "org/new")
    await fetch(file, tmp_path / "part")
    assert hub.sent == len(content)


@pytest.mark.parametrize(
    "faults",
    [
        [(Kind.DROP, {"after": 100_000, "times": 5})],
        [(Kind.STATUS, {"status": 500, "times": 3}), (Kind.STATUS, {"status": 503, "times": 3})],
        [(Kind.STATUS, {"status": 429, "headers": {"Retry-After": "0"}, "times": 3})],
        [(Kind.SHORT, {"after": 1000, "times": 4})],
        [(Kind.OTHER_PART, {"times": 2})],
        [(Kind.STATUS, {"status": 502, "host": "hub", "times": 2})],
        [(Kind.STATUS, {"status": 403, "times": 2})],  # as for an address that has expired
    ],
    ids=lambda faults: "+".join(kind.name for kind, _ in faults),
)
async def test_what_passes_is_tried_again(
    hub: HubServer, content: bytes, tmp_path: Path, faults: list[tuple[Kind, dict[str, object]]]
) -> None:
    file = await hub_file(hub, content)
    injected = [hub.fail(kind, **details) for kind, details in faults]
    await fetch(file, tmp_path / "part")
    assert (tmp_path / "part").read_bytes() == content
    assert [fault.times for fault in injected] == [0] * len(injected)
    assert hub.sent <= len(content) + 2_000_000  # only the parts from the wrong place came for nothing


async def test_a_stalled_connection_is_replaced(hub: HubServer, content: bytes, tmp_path: Path) -> None:
    file = await hub_file(hub, content)
    hub.fail(Kind.STALL, after=50_000, times=2)
    await fetch(file, tmp_path / "part", TransferOptions(connections=4, idle_timeout=1, first_delay=0.01))
    assert (tmp_path / "part").read_bytes() == content
    assert hub.sent < len(content) + 4 * 131_072  # on a slow machine others are taken for stalled, too


async def test_addresses_that_expire_are_renewed(hub: HubServer, content: bytes, tmp_path: Path) -> None:
    file = await hub_file(hub, content)
    hub.transmission.rate = 4_000_000
    running = asyncio.create_task(fetch(file, tmp_path / "part"))
    await hub.transmission.wait_for(1_000_000)
    hub.expire_links()
    await running
    assert (tmp_path / "part").read_bytes() == content
    assert hub.sent == len(content)
    resolved = [request for request in hub.requests("hub") if "resolve" in request.path]
    assert len(resolved) == 2


async def test_the_time_that_the_server_asks_for_is_waited(hub: HubServer, tmp_path: Path) -> None:
    file = await hub_file(hub, b"x" * 1000)
    hub.fail(Kind.STATUS, status=429, headers={"Retry-After": "1"})
    loop = asyncio.get_running_loop()
    begin = loop.time()
    await fetch(file, tmp_path / "part")
    assert loop.time() - begin >= 1


@pytest.mark.parametrize("headers", [{}, {"Retry-After": "3600"}], ids=["nothing comes", "an hour is asked for"])
async def test_patience_ends(hub: HubServer, tmp_path: Path, headers: dict[str, str]) -> None:
    file = await hub_file(hub, b"x" * 1000)
    hub.fail(Kind.STATUS, status=503, times=1000, headers=headers)
    with pytest.raises(DownloadFailed, match=r"127\.0\.0\.1 answered 503.*start again") as caught:
        await fetch(file, tmp_path / "part", TransferOptions(patience=0.2, first_delay=0.01))
    assert ("1 h 0 min" in caught.value.message) == bool(headers)


async def test_a_server_that_is_away_is_waited_for(content: bytes, tmp_path: Path) -> None:
    async with HubServer() as hub:
        file = await hub_file(hub, content)
    with pytest.raises(DownloadFailed, match=r"127\.0\.0\.1 cannot be reached \(Connect call failed"):
        await fetch(file, tmp_path / "part", TransferOptions(patience=0.2, first_delay=0.01))


async def test_wrong_bytes_are_refused_and_fetched_anew(hub: HubServer, content: bytes, tmp_path: Path) -> None:
    file = await hub_file(hub, content)
    hub.fail(Kind.WRONG_BYTES, after=5000)
    with pytest.raises(ChecksumMismatch, match=str(file.sha256)):
        await fetch(file, tmp_path / "part")
    await fetch(file, tmp_path / "part")
    assert (tmp_path / "part").read_bytes() == content
    assert hub.sent == 2 * len(content)


async def test_an_attempt_that_was_stopped_is_gone_on_with(hub: HubServer, content: bytes, tmp_path: Path) -> None:
    file = await hub_file(hub, content)
    hub.transmission.hold_at(3_000_000)
    arrived: list[Progress] = []
    running = asyncio.create_task(download(file, tmp_path / "part", on_progress=arrived.append, options=QUICK))
    in_hand = 4 * 131_072  # what each connection gathers before it is written
    async with asyncio.timeout(60):
        while hub.sent < 3_000_000 or not arrived or arrived[-1].done < hub.sent - in_hand:  # noqa: ASYNC110 - a call tells
            await asyncio.sleep(0.01)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    await hub.transmission.proceed()
    seen = await fetch(file, tmp_path / "part")
    assert (tmp_path / "part").read_bytes() == content
    assert seen[0].done > 2_000_000
    assert hub.sent <= len(content) + in_hand


async def test_a_finished_file_is_not_fetched_again(hub: HubServer, content: bytes, tmp_path: Path) -> None:
    file = await hub_file(hub, content)
    await fetch(file, tmp_path / "part")
    await fetch(file, tmp_path / "part")
    assert hub.sent == len(content)


async def test_another_file_is_not_mixed_in(hub: HubServer, content: bytes, tmp_path: Path) -> None:
    await fetch(await hub_file(hub, content), tmp_path / "part")
    other = content[::-1]
    await fetch(await hub_file(hub, other), tmp_path / "part")
    assert (tmp_path / "part").read_bytes() == other


@pytest.mark.parametrize("damage", [b"", b"no record\n", b"{}\xff 00000000\n"])
async def test_a_damaged_record_costs_only_time(hub: HubServer, content: bytes, tmp_path: Path, damage: bytes) -> None:
    file = await hub_file(hub, content)
    await fetch(file, tmp_path / "part")
    journal_path(tmp_path / "part").write_bytes(damage)
    (tmp_path / "part").write_bytes(b"?" * len(content))
    await fetch(file, tmp_path / "part")
    assert (tmp_path / "part").read_bytes() == content


async def test_an_empty_file(hub: HubServer, tmp_path: Path) -> None:
    file = await hub_file(hub, b"")
    assert await download(file, tmp_path / "part", on_progress=lambda _: None) == hashlib.sha256().hexdigest()
    assert (tmp_path / "part").read_bytes() == b""


async def test_gated(hub: HubServer, content: bytes, tmp_path: Path) -> None:
    hub.add("org/gated", {"m.gguf": content}, gated=True)
    [file] = await list_remote(parse_reference("org/gated"), hub_settings(hub))  # the hub lists it for everyone
    with pytest.raises(ModelAccessDenied, match=r"org/gated.*is restricted.*accept its terms.*HF_TOKEN"):
        await fetch(file, tmp_path / "part")


async def test_deleted_meanwhile(hub: HubServer, content: bytes, tmp_path: Path) -> None:
    file = await hub_file(hub, content)
    hub.repository("org/model").commits[str(file.revision)].clear()
    with pytest.raises(ModelNotFound, match=r"org/model/model-Q4_K_M\.gguf is not there: .*Entry not found"):
        await fetch(file, tmp_path / "part")


async def test_an_address_that_never_works_ends_the_download(hub: HubServer, content: bytes, tmp_path: Path) -> None:
    file = await hub_file(hub, content)
    hub.fail(Kind.STATUS, status=403, times=1000)
    with pytest.raises(ModelAccessDenied, match=r"127\.0\.0\.1 answered 403"):
        await fetch(file, tmp_path / "part")


async def test_a_server_without_ranges(hub: HubServer, content: bytes, tmp_path: Path) -> None:
    file = await hub_file(hub, content)
    hub.fail(Kind.WHOLE, times=1000)
    with pytest.raises(DownloadFailed, match="DOWNLOAD_CONNECTIONS=1"):
        await fetch(file, tmp_path / "part")
    await fetch(file, tmp_path / "part", TransferOptions(connections=1))
    assert (tmp_path / "part").read_bytes() == content


async def test_a_folder_that_is_not_there(hub: HubServer, content: bytes, tmp_path: Path) -> None:
    file = await hub_file(hub, content)
    with pytest.raises(DownloadFailed, match="cannot be written: No such file or directory"):
        await fetch(file, tmp_path / "missing" / "part", QUICK)
    assert hub.sent == 0


async def test_what_is_fetched_is_counted_once(hub: HubServer, content: bytes, tmp_path: Path) -> None:
    file = await hub_file(hub, content)
    metrics.REGISTRY.start()
    hub.fail(Kind.DROP, after=100_000, times=5)
    await fetch(file, tmp_path / "part")
    found = {metric.name: metric.points for metric in metrics.REGISTRY.snapshot().metrics}
    metrics.REGISTRY.stop()
    assert found["podworker.download.bytes"][0].value == len(content)
    assert "podworker.download.rate" in found
