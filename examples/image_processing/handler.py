"""Images: turned upright, resized, made into thumbnails, and written in another format."""

import base64
import binascii
import io
import struct
import warnings
from typing import Any, Literal

from PIL import Image, ImageOps
from pydantic import BaseModel, Field

import podworker

MAX_PIXELS = 40_000_000
"""A file of a few kilobytes can claim to be an image of gigabytes: it is refused before a pixel is decoded."""
READ = ("JPEG", "PNG", "WEBP", "GIF")

Image.MAX_IMAGE_PIXELS = MAX_PIXELS
warnings.simplefilter("error", Image.DecompressionBombWarning)  # Pillow only warns up to twice the limit


class Input(BaseModel):
    """What a job may ask for."""

    image: str = Field(min_length=1, max_length=14_000_000, description="The file in base64, or a data: URL of it")
    width: int | None = Field(None, ge=1, le=8192, description="In pixels; without height the shape is kept")
    height: int | None = Field(None, ge=1, le=8192)
    fit: Literal["inside", "cover", "stretch"] = Field("inside", description="cover: fill width and height, and crop")
    thumbnails: list[int] = Field([], max_length=5, description="Longest sides of small copies, in pixels")
    format: Literal["jpeg", "png", "webp"] = "jpeg"
    quality: int = Field(85, ge=1, le=95, description="Of jpeg and webp")


def handler(input: Input) -> dict[str, Any]:
    """Answer one job."""
    if input.fit != "inside" and not (input.width and input.height):
        raise podworker.InvalidInput(f"fit {input.fit} needs width and height.", param="input.fit")
    if not all(1 <= side <= 1024 for side in input.thumbnails):
        raise podworker.InvalidInput("A thumbnail has from 1 to 1024 pixels.", param="input.thumbnails")
    image = upright(input.image)
    thumbnails = []
    for side in input.thumbnails:
        small = image.copy()
        small.thumbnail((side, side))
        thumbnails.append(written(small, input))
    return {**written(resized(image, input), input), "thumbnails": thumbnails}


def upright(text: str) -> Image.Image:
    """The image in a base64 text, the way up that its camera says; of an animation the first frame."""
    if text.startswith("data:"):
        text = text.partition(",")[2]
    try:
        data = base64.b64decode("".join(text.split()), validate=True)  # many tools break it into lines
        with Image.open(io.BytesIO(data), formats=READ) as image:
            return plain(ImageOps.exif_transpose(image))  # this decodes it
    except binascii.Error:
        raise podworker.InvalidInput("The image is not base64.", param="input.image") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        message = f"The image has more than {MAX_PIXELS:,} pixels. Send a smaller one."
        raise podworker.InvalidInput(message, param="input.image") from None
    except (
        OSError,
        SyntaxError,
        ValueError,
        struct.error,
    ):  # what Pillow raises for what it cannot read, or not to the end
        message = f"This is no whole image of a known kind. Send one of {', '.join(READ)}."
        raise podworker.InvalidInput(message, param="input.image") from None


def plain(image: Image.Image) -> Image.Image:
    """The image in full colours: with a palette it would be resized coarsely, with 16 bits of grey not at all."""
    if image.mode.startswith("I"):
        image = image.point(lambda grey: grey / 256).convert("L")
        image.info.pop("transparency", None)
    return image.convert("RGBA" if image.has_transparency_data else "RGB")


def resized(image: Image.Image, input: Input) -> Image.Image:
    """The image in the size that is asked for."""
    if input.width is None and input.height is None:
        return image
    size = wanted_size(image, input)
    if size[0] * size[1] > MAX_PIXELS:
        raise podworker.InvalidInput(f"The result would have more than {MAX_PIXELS:,} pixels.", param="input")
    return ImageOps.fit(image, size) if input.fit == "cover" else image.resize(size)


def wanted_size(image: Image.Image, input: Input) -> tuple[int, int]:
    """Width and height of the result."""
    if input.width and input.height and input.fit != "inside":
        return input.width, input.height
    wanted = ((input.width, image.width), (input.height, image.height))
    scale = min(side / own for side, own in wanted if side)
    return max(1, round(image.width * scale)), max(1, round(image.height * scale))


def written(image: Image.Image, input: Input) -> dict[str, Any]:
    """The image as a file in base64."""
    if image.mode == "RGBA" and input.format == "jpeg":  # which knows no transparency: white shines through
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
    file = io.BytesIO()
    try:
        image.save(file, input.format, quality=input.quality, optimize=True)
    except (OSError, ValueError):  # each format has its longest side
        message = f"{input.format} cannot hold {image.width:,} x {image.height:,} pixels. Ask for a smaller result."
        raise podworker.InvalidInput(message, param="input.format") from None
    return {
        "image": base64.b64encode(file.getvalue()).decode(),
        "format": input.format,
        "width": image.width,
        "height": image.height,
    }


if __name__ == "__main__":
    podworker.serve(handler, concurrency=2)
