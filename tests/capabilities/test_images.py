import base64
import struct
import zlib
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from podworker.errors import InvalidInput
from tests.capabilities.serving import CHAT, MESSAGES, RESPONSES, Served, serving
from tests.gguf_files.demo import demo_model
from tests.gguf_files.projector import projector

pytestmark = pytest.mark.asyncio(loop_scope="module")

RED, BLUE = (255, 0, 0), (0, 0, 255)
IMAGE_TOKENS = 16


def png(colour: tuple[int, int, int], side: int = 8) -> str:
    """A square of one colour, in base64."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    pixels = zlib.compress((b"\0" + bytes(colour) * side) * side)
    head = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
    return base64.b64encode(data).decode()


def question(url: str) -> list[dict[str, Any]]:
    parts = [{"type": "text", "text": "What is this?"}, {"type": "image_url", "image_url": {"url": url}}]
    return [{"role": "user", "content": parts}]


def data_url(colour: tuple[int, int, int]) -> str:
    return f"data:image/png;base64,{png(colour)}"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def seeing(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Served]:
    """The demo model with eyes. What they tell it is random, but not the same for all images."""
    path = projector(576).write(tmp_path_factory.mktemp("projector") / "mmproj.gguf")
    async with serving(demo_model(), mmproj=str(path)) as served:
        yield served


async def look(served: Served, colour: tuple[int, int, int]) -> dict[str, Any]:
    return await served.ask(CHAT, messages=question(data_url(colour)), temperature=0, max_tokens=4)


async def test_the_image_reaches_the_model(seeing: Served) -> None:
    red, blue, again = [await look(seeing, colour) for colour in (RED, BLUE, RED)]

    blind = await seeing.ask(CHAT, messages=[{"role": "user", "content": "What is this?"}], max_tokens=1)
    assert red["usage"]["prompt_tokens"] >= blind["usage"]["prompt_tokens"] + IMAGE_TOKENS
    texts = [answer["choices"][0]["message"]["content"] for answer in (red, blue, again)]
    assert texts[0] != texts[1]
    assert texts[0] == texts[2]


async def test_anthropics_form(seeing: Served) -> None:
    source = {"type": "base64", "media_type": "image/png", "data": png(RED)}
    content = [{"type": "text", "text": "What is this?"}, {"type": "image", "source": source}]

    answer = await seeing.ask(MESSAGES, messages=[{"role": "user", "content": content}], max_tokens=4, temperature=0)

    assert answer["content"][0]["text"] == (await look(seeing, RED))["choices"][0]["message"]["content"]


async def test_the_form_of_responses(seeing: Served) -> None:
    content = [{"type": "input_text", "text": "What is this?"}, {"type": "input_image", "image_url": data_url(RED)}]

    answer = await seeing.ask(
        RESPONSES, input=[{"role": "user", "content": content}], max_output_tokens=4, temperature=0
    )

    text = answer["output"][0]["content"][0]["text"]
    assert text == (await look(seeing, RED))["choices"][0]["message"]["content"]


@pytest.mark.parametrize(
    "url",
    [
        "data:image/png;base64,%%%%",
        "data:image/png;base64,aGVsbG8=",  # no image
        "data:image/png;base64,",
        "data:image/png",
        f"data:image/png;base64,{png(RED)[:-40]}",
    ],
)
async def test_what_is_no_image(seeing: Served, url: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        await seeing.ask(CHAT, messages=question(url), max_tokens=1)

    assert "messages" in str(caught.value.param)


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/a.png", "file:///etc/passwd", "/etc/passwd", "etc/passwd"])
async def test_nothing_is_fetched(seeing: Served, url: str) -> None:
    with pytest.raises(InvalidInput, match="data:"):
        await seeing.ask(CHAT, messages=question(url), max_tokens=1)


async def test_a_model_without_eyes_says_so(demo: Served) -> None:
    with pytest.raises(InvalidInput, match="MMPROJ"):
        await demo.ask(CHAT, messages=question(data_url(RED)), max_tokens=1)
