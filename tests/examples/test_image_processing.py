import base64
import io
import struct
import zlib
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest
from PIL import Image

from podworker.errors import WorkerError
from podworker.testing import endpoint, run_job
from tests.examples.example import EXAMPLES, handler_module, inputs


@pytest.fixture
def example() -> Iterator[ModuleType]:
    with handler_module("image_processing") as module:
        yield module


def encoded(image: Image.Image, format: str = "PNG", **options: Image.Exif | bytes) -> str:  # noqa: A002
    file = io.BytesIO()
    image.save(file, format, **options)
    return base64.b64encode(file.getvalue()).decode()


def decoded(answer: dict[str, Any]) -> Image.Image:
    image = Image.open(io.BytesIO(base64.b64decode(answer["image"])))
    image.load()
    assert (image.width, image.height) == (answer["width"], answer["height"])
    assert image.format == answer["format"].upper()
    return image


def test_through_the_emulator() -> None:
    with endpoint(EXAMPLES / "image_processing" / "handler.py") as worker:
        answer = worker.run(inputs("image_processing")["test_input"])
        assert decoded(answer).size == (32, 24)
        assert [decoded(small).size for small in answer["thumbnails"]] == [(16, 12)]
        with pytest.raises(WorkerError, match="allowed is") as refused:
            worker.run({"image": "AAAA", "format": "exe"})
        assert refused.value.param == "input.format"


@pytest.mark.parametrize("format", ["jpeg", "png", "webp"])
def test_formats(example: ModuleType, format: str) -> None:  # noqa: A002
    image = Image.new("RGBA", (8, 8), (255, 0, 0, 0))
    answer = decoded(run_job(example.handler, {"image": "data:image/png;base64," + encoded(image), "format": format}))

    assert ("A" in answer.getbands()) == (format != "jpeg")


@pytest.mark.parametrize("wanted", [{}, {"width": 64, "height": 64}, {"width": 64, "height": 64, "fit": "cover"}])
def test_16_bits_of_grey(example: ModuleType, wanted: dict[str, Any]) -> None:
    grey = Image.linear_gradient("L").convert("I").point(lambda value: value * 257).convert("I;16")
    answer = run_job(example.handler, {"image": encoded(grey), "format": "png", "thumbnails": [16], **wanted})
    for image in (decoded(answer), decoded(answer["thumbnails"][0])):
        middle = image.convert("L").getpixel((image.width // 2, image.height // 2))
        assert isinstance(middle, int)
        assert abs(middle - 128) < 16


def test_a_palette_is_resized_smoothly(example: ModuleType) -> None:
    stripes = Image.new("1", (64, 64))
    stripes.paste(1, (0, 0, 32, 64))
    answer = decoded(run_job(example.handler, {"image": encoded(stripes.convert("P")), "width": 3, "format": "png"}))
    middle = answer.convert("L").getpixel((1, 1))
    assert isinstance(middle, int)
    assert 64 < middle < 192, "half of it was white"


def test_what_is_transparent_becomes_white_in_jpeg(example: ModuleType) -> None:
    image = Image.new("RGBA", (8, 8), (255, 0, 0, 0))
    pixel = decoded(run_job(example.handler, {"image": encoded(image)})).getpixel((4, 4))

    assert isinstance(pixel, tuple)
    assert min(pixel) > 250


@pytest.mark.parametrize(
    ("wanted", "size"),
    [
        ({}, (40, 20)),
        ({"width": 20}, (20, 10)),
        ({"height": 10}, (20, 10)),
        ({"width": 10, "height": 10}, (10, 5)),
        ({"width": 10, "height": 10, "fit": "cover"}, (10, 10)),
        ({"width": 10, "height": 15, "fit": "stretch"}, (10, 15)),
        ({"width": 1}, (1, 1)),
    ],
)
def test_sizes(example: ModuleType, wanted: dict[str, Any], size: tuple[int, int]) -> None:
    assert decoded(run_job(example.handler, {"image": encoded(Image.new("L", (40, 20))), **wanted})).size == size


def test_a_thin_image_keeps_a_pixel(example: ModuleType) -> None:
    job = {"image": encoded(Image.new("L", (8000, 1))), "width": 10, "height": 10}
    assert decoded(run_job(example.handler, job)).size == (10, 1)


def test_base64_may_be_broken_into_lines(example: ModuleType) -> None:
    image = encoded(Image.new("L", (40, 20)))
    lines = "\r\n".join(image[begin : begin + 76] for begin in range(0, len(image), 76))
    assert decoded(run_job(example.handler, {"image": f"{lines}\n"})).size == (40, 20)


@pytest.mark.parametrize(("format", "longest"), [("webp", 16_383), ("jpeg", 65_500)])
def test_what_a_format_cannot_hold_is_refused(example: ModuleType, format: str, longest: int) -> None:  # noqa: A002
    with pytest.raises(WorkerError, match=f"{format} cannot hold") as refused:
        run_job(example.handler, {"image": encoded(Image.new("L", (longest + 1, 1))), "format": format})
    assert refused.value.param == "input.format"


def test_a_photo_is_turned_upright(example: ModuleType) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # it was taken with the camera on its side
    answer = run_job(example.handler, {"image": encoded(Image.new("RGB", (40, 20)), "JPEG", exif=exif)})

    assert decoded(answer).size == (20, 40)
    assert 0x0112 not in decoded(answer).getexif()


def test_quality(example: ModuleType) -> None:
    image = encoded(Image.effect_noise((64, 64), 100))
    small, large = (run_job(example.handler, {"image": image, "quality": quality})["image"] for quality in (10, 95))
    assert len(small) < len(large)


def bomb(width: int, height: int) -> str:
    """A PNG that claims to be so large."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    return base64.b64encode(b"\x89PNG\r\n\x1a\n" + body).decode()


@pytest.mark.parametrize("size", [(8_000, 5_001), (30_000, 30_000), (2_000_000_000, 2)])
def test_decompression_bombs_are_refused(example: ModuleType, size: tuple[int, int]) -> None:
    with pytest.raises(WorkerError, match="more than 40,000,000 pixels") as refused:
        run_job(example.handler, {"image": bomb(*size)})
    assert (refused.value.error_code, refused.value.param) == ("invalid_input", "input.image")


@pytest.mark.parametrize(
    "wanted",
    [
        {"width": 8192},
        {"width": 8192, "height": 8192, "fit": "stretch"},
        {"width": 8192, "height": 8192, "fit": "cover"},
    ],
)
def test_a_result_may_not_be_a_bomb_either(example: ModuleType, wanted: dict[str, Any]) -> None:
    with pytest.raises(WorkerError, match="more than 40,000,000 pixels"):
        run_job(example.handler, {"image": encoded(Image.new("L", (2, 4000))), **wanted})


def with_broken_exif() -> str:
    """A photo whose metadata has text where a number belongs (0x0117, StripByteCounts)."""
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x010E] = "text"
    broken = exif.tobytes().replace(struct.pack(">HH", 0x010E, 2), struct.pack(">HH", 0x0117, 2))
    assert broken != exif.tobytes()
    return encoded(Image.new("RGB", (8, 8)), "JPEG", exif=broken)


@pytest.mark.parametrize(
    ("image", "fault"),
    [
        ("not base64!", "is not base64"),
        (base64.b64encode(b"%PDF-1.7 this is none").decode(), "no whole image of a known kind"),
        (base64.b64encode(b"<svg xmlns='http://www.w3.org/2000/svg'/>").decode(), "no whole image of a known kind"),
        (encoded(Image.new("RGB", (8, 8)), "TIFF"), "no whole image of a known kind"),
        (with_broken_exif(), "no whole image of a known kind"),
        (encoded(Image.effect_noise((64, 64), 50), "JPEG")[:800], "no whole image of a known kind"),
    ],
)
def test_what_is_no_image_is_refused(example: ModuleType, image: str, fault: str) -> None:
    with pytest.raises(WorkerError, match=fault) as refused:
        run_job(example.handler, {"image": image})
    assert refused.value.param == "input.image"


@pytest.mark.parametrize(
    ("wanted", "param"),
    [
        ({"fit": "cover", "width": 8}, "input.fit"),
        ({"thumbnails": [0]}, "input.thumbnails"),
        ({"width": 0}, "input.width"),
    ],
)
def test_wrong_wishes_are_refused(example: ModuleType, wanted: dict[str, Any], param: str) -> None:
    with pytest.raises(WorkerError) as refused:
        run_job(example.handler, {"image": encoded(Image.new("L", (8, 8))), **wanted})
    assert refused.value.param == param
