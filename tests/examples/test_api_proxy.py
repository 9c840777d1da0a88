"""The proxy against a real server on this machine. It may be reached only because a test says so, by `may_reach`."""

import asyncio
import socket
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from types import ModuleType
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web
from aiohttp.abc import AbstractResolver, ResolveResult

from podworker.errors import WorkerError
from podworker.testing import endpoint
from tests.examples.example import EXAMPLES, handler_module, inputs
from tests.reserved_port import reserved_port

HERE = "127.0.0.1"


@pytest.fixture(scope="module")
def example() -> Iterator[ModuleType]:
    with handler_module("api_proxy") as module:
        yield module


class Names(AbstractResolver):
    """Answers with one list of addresses after the other; the last one again and again."""

    def __init__(self, *answers: list[str]) -> None:
        self._answers = list(answers)
        self.asked: list[str] = []

    async def resolve(
        self,
        host: str,
        port: int = 0,
        family: socket.AddressFamily = socket.AF_INET,  # noqa: ARG002
    ) -> list[ResolveResult]:
        self.asked.append(host)
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        return [
            ResolveResult(hostname=host, host=each, port=port, family=socket.AF_INET, proto=0, flags=0)
            for each in answer
        ]

    async def close(self) -> None:
        pass


class Server:
    """A server that notes what reaches it."""

    def __init__(self, example: ModuleType) -> None:
        self._example = example
        self.port = 0
        self.seen: list[web.Request] = []
        self.answers: list[web.Response] = []
        self.answering: Callable[[web.Request], Any] | None = None

    async def answer(self, request: web.Request) -> web.StreamResponse:
        await request.read()
        self.seen.append(request)
        if self.answering is not None:
            response: web.StreamResponse = await self.answering(request)
            return response
        return self.answers.pop(0) if self.answers else web.json_response({"path": request.path_qs})

    def proxy(
        self, names: AbstractResolver | None = None, *, allowed: tuple[str, ...] = (), may_reach: str = HERE
    ) -> Any:
        """A proxy that may reach `api.test` here."""
        resolver = self._example.CheckedResolver(lambda address: address == may_reach, names or Names([HERE]))
        hosts = frozenset(f"{host}:{self.port}" for host in ("api.test", *allowed))
        return self._example.Proxy(hosts, resolver, first_wait=0.001)

    async def ask(self, proxy: Any, path: str = "/", host: str = "api.test", **fields: Any) -> dict[str, Any]:
        answer: dict[str, Any] = await proxy.handle(self.request(path, host, **fields))
        return answer

    def request(self, path: str, host: str = "api.test", **fields: Any) -> Any:
        return self._example.Input(**{"url": f"http://{host}:{self.port}{path}", **fields})

    def redirect(self, to: str, status: int = 302) -> web.Response:
        return web.Response(status=status, headers={"Location": to})


@pytest_asyncio.fixture
async def server(example: ModuleType) -> AsyncIterator[Server]:
    subject = Server(example)
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", subject.answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, HERE, 0).start()
    subject.port = runner.addresses[0][1]
    yield subject
    await runner.cleanup()


def test_through_the_emulator() -> None:
    with endpoint(EXAMPLES / "api_proxy" / "handler.py", ALLOWED_HOSTS="LocalHost, other.test") as worker:
        with pytest.raises(WorkerError, match="an address that is not on the public Internet") as refused:
            worker.run({"url": "http://localhost/"})
        assert (refused.value.error_code, refused.value.param) == ("invalid_input", "input.url")
        with pytest.raises(WorkerError, match=r"api\.github\.com is not among the allowed hosts"):
            worker.run(inputs("api_proxy")["test_input"])


async def test_a_request_is_forwarded(server: Server) -> None:
    answer = await server.ask(server.proxy(), "/a?b=c", method="POST", headers={"X-Key": "k"}, body="hello")

    assert (answer["status"], answer["body"], answer["attempts"]) == (200, '{"path": "/a?b=c"}', 1)
    assert answer["headers"]["content-type"].startswith("application/json")
    assert server.seen[0].headers["X-Key"] == "k"
    assert await server.seen[0].text() == "hello"


async def test_what_is_no_text_comes_in_base64(server: Server) -> None:
    server.answers = [web.Response(body=b"\xff\x00")]
    assert (await server.ask(server.proxy()))["body_base64"] == "/wA="


@pytest.mark.parametrize("status", [429, 502, 503, 504])
async def test_trouble_is_tried_again(server: Server, status: int) -> None:
    server.answers = [web.Response(status=status, headers={"Retry-After": "0"}), web.Response(status=status)]
    answer = await server.ask(server.proxy())
    assert (answer["status"], answer["attempts"]) == (200, 3)


async def test_trouble_that_stays_is_told(server: Server) -> None:
    server.answers = [web.Response(status=503) for _ in range(9)]
    assert (await server.ask(server.proxy()))["status"] == 503
    assert len(server.seen) == 4


async def test_what_may_not_be_done_twice_is_tried_once(server: Server) -> None:
    server.answers = [web.Response(status=503)]
    assert (await server.ask(server.proxy(), method="POST"))["status"] == 503


async def test_a_broken_connection_is_tried_again(server: Server) -> None:
    async def break_off(request: web.Request) -> web.StreamResponse:
        if len(server.seen) < 3:
            assert request.transport is not None
            request.transport.abort()
        return web.Response(text="at last")

    server.answering = break_off
    assert (await server.ask(server.proxy()))["body"] == "at last"


async def test_nobody_there(server: Server, example: ModuleType) -> None:
    with reserved_port() as port:
        proxy = example.Proxy(frozenset({f"api.test:{port}"}), server.proxy().resolver, first_wait=0.001)
        with pytest.raises(WorkerError, match="cannot be reached") as failed:
            await proxy.handle(example.Input(url=f"http://api.test:{port}/"))
    assert (failed.value.status, failed.value.retryable) == (502, True)


async def test_the_time_limit(server: Server) -> None:
    async def hang(_: web.Request) -> web.StreamResponse:
        await asyncio.Event().wait()
        raise AssertionError

    server.answering = hang
    with pytest.raises(WorkerError, match=r"within 0\.2 s") as failed:
        await server.ask(server.proxy(), timeout_seconds=0.2)
    assert failed.value.status == 504


async def test_an_answer_without_end_is_cut_off(server: Server) -> None:
    async def flood(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(bytes(100_000))

    server.answering = flood
    with pytest.raises(WorkerError, match="larger than 10,000,000 bytes"):
        await server.ask(server.proxy())


async def test_an_answer_that_unpacks_to_too_much_is_cut_off(server: Server) -> None:
    response = web.Response(body=bytes(20_000_000))
    response.enable_compression(web.ContentCoding.gzip)
    server.answers = [response]
    with pytest.raises(WorkerError, match="larger than 10,000,000 bytes"):
        await server.ask(server.proxy())


@pytest.mark.parametrize(
    "url",
    [
        "http://other.test/",
        "http://api.test/",  # another port
        "https://api.test:1/",
        "ftp://api.test/",
        "file:///etc/passwd",
        "//api.test/",
        "api.test",
        "http://",
        "http://user@api.test/",
        "http://api.test:99999/",
        "http://127.0.0.1/",
        "http://[::1]/",
        "http://[::ffff:169.254.169.254]/",
        "http://2130706433/",
        "http://0x7f.1/",
        "http://0177.0.0.1/",
        "http://0/",
        "http://①②⑦.0.0.1/",
        "http://xn--a/",  # no name can be made of it
        "http://xn--api-.test/",
    ],
)
async def test_what_is_not_on_the_list_is_refused(server: Server, example: ModuleType, url: str) -> None:
    names = Names([HERE])
    with pytest.raises(WorkerError) as refused:
        await server.proxy(names).handle(example.Input(url=url))
    assert refused.value.param == "input.url"
    assert names.asked == []


@pytest.mark.parametrize("url", ["http://127.0.0.1/", "http://2130706433/", "http://0177.0.0.1/", "http://[::1]/"])
async def test_an_address_is_refused_even_on_the_list(example: ModuleType, url: str) -> None:
    proxy = example.Proxy(frozenset({"127.0.0.1", "2130706433", "0177.0.0.1", "::1"}))
    with pytest.raises(WorkerError, match="The host is an address"):
        await proxy.handle(example.Input(url=url))


@pytest.mark.parametrize("host", ["localhost", "0x7f.1", "0x7f000001"])
async def test_names_of_this_machine_are_refused_even_on_the_list(example: ModuleType, host: str) -> None:
    proxy = example.Proxy(frozenset({host}))
    with pytest.raises(WorkerError, match="not on the public Internet"):
        await proxy.handle(example.Input(url=f"http://{host}/"))


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("93.184.216.34", True),
        ("2606:2800:220:1::1", True),
        ("::ffff:93.184.216.34", True),
        ("10.1.2.3", False),
        ("172.16.0.1", False),
        ("192.168.1.1", False),
        ("100.64.0.1", False),
        ("127.0.0.1", False),
        ("169.254.169.254", False),
        ("0.0.0.0", False),  # noqa: S104
        ("224.0.0.1", False),
        ("255.255.255.255", False),
        ("240.0.0.1", False),
        ("::", False),
        ("::1", False),
        ("::ffff:127.0.0.1", False),
        ("::ffff:169.254.169.254", False),
        ("::127.0.0.1", False),
        ("64:ff9b::127.0.0.1", False),
        ("2002:7f00:1::", False),
        ("2001:0:7f00:1::", False),
        ("fe80::1%eth0", False),
        ("fd00:ec2::254", False),
        ("ff02::1", False),
        ("0177.0.0.1", False),
        ("2130706433", False),
    ],
)
def test_which_addresses_are_public(example: ModuleType, address: str, public: bool) -> None:
    assert sys.modules[example.CheckedResolver.__module__].is_public(address) is public


async def test_one_private_address_among_others_is_enough(server: Server) -> None:
    with pytest.raises(WorkerError, match="not on the public Internet"):
        await server.ask(server.proxy(Names([HERE, "10.0.0.1"])))
    assert server.seen == []


async def test_a_name_that_changes_its_address_gains_nothing(server: Server) -> None:
    """DNS rebinding: the first answer is harmless, the next is not. What was checked is what is connected to."""
    names = Names([HERE], ["127.0.0.2"])
    assert (await server.ask(server.proxy(names)))["status"] == 200
    assert names.asked == ["api.test"], "the name is looked up once for a connection"
    with pytest.raises(WorkerError, match="not on the public Internet"):
        await server.ask(server.proxy(names))
    assert len(server.seen) == 1


async def test_a_redirect_is_followed(server: Server) -> None:
    server.answers = [server.redirect("/b"), server.redirect(f"http://two.test:{server.port}/c", 307)]
    answer = await server.ask(server.proxy(allowed=("two.test",)), method="PUT", body="x", headers={"X-Key": "k"})

    assert answer["body"] == '{"path": "/c"}'
    assert [request.method for request in server.seen] == ["PUT", "PUT", "PUT"]
    assert ["X-Key" in request.headers for request in server.seen] == [True, True, False], "the key is for one host"


@pytest.mark.parametrize("status", [301, 302, 303])
async def test_a_redirected_post_becomes_a_get(server: Server, status: int) -> None:
    server.answers = [server.redirect("/b", status)]
    await server.ask(server.proxy(), method="POST", body="x")
    assert [request.method for request in server.seen] == ["POST", "GET"]


@pytest.mark.parametrize(
    "target",
    ["http://other.test/", "http://127.0.0.1/", "http://169.254.169.254/latest/", "file:///etc/passwd", "http://["],
)
async def test_a_redirect_elsewhere_is_refused(server: Server, target: str) -> None:
    server.answers = [server.redirect(target)]
    with pytest.raises(WorkerError) as refused:
        await server.ask(server.proxy())
    assert refused.value.param == "input.url"


async def test_a_redirect_to_a_name_of_a_private_address_is_refused(server: Server) -> None:
    names = Names([HERE], ["10.0.0.1"])
    server.answers = [server.redirect(f"http://two.test:{server.port}/")]
    with pytest.raises(WorkerError, match="not on the public Internet"):
        await server.ask(server.proxy(names, allowed=("two.test",)))
    assert names.asked == ["api.test", "two.test"]


async def test_redirects_end(server: Server) -> None:
    server.answers = [server.redirect("/again") for _ in range(9)]
    with pytest.raises(WorkerError, match="more than 5 redirects"):
        await server.ask(server.proxy())


@pytest.mark.parametrize("headers", [{"Host": "other.test"}, {"transfer-encoding": "chunked"}])
async def test_headers_of_the_connection_cannot_be_chosen(server: Server, headers: dict[str, str]) -> None:
    with pytest.raises(WorkerError, match="cannot be chosen"):
        await server.ask(server.proxy(), headers=headers)


@pytest.mark.parametrize("headers", [{"X": "a\r\nHost: b"}, {"X\r\nY": "a"}, {"X:": "a"}])
def test_headers_cannot_be_smuggled(server: Server, headers: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="pattern"):
        server.request("/", headers=headers)
