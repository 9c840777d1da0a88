"""What is wrong with a model file, told in a sentence: the error, and what a file is that is no GGUF file."""

import json
import re
from pathlib import Path

from podworker.errors import InvalidModelFile
from podworker.models.sizes import size_text

_LFS_SIZE = re.compile(rb"^size (\d+)$", re.MULTILINE)


def damaged(path: Path, what: str, *, advice: str = "Fetch it again, or take another file") -> InvalidModelFile:
    """The error for a file that `what`, such as "is cut off: …". Without a full stop, as `advice`."""
    return InvalidModelFile(f"{path} {what}. {advice}.")


def not_gguf(path: Path, head: bytes, size: int) -> InvalidModelFile:
    """The error for a file that does not start like a GGUF file.

    Args:
        path: The file.
        head: Its first bytes, a thousand or more if it has so many.
        size: Its size in bytes.
    """
    if size == 0:
        return damaged(path, "is empty (0 bytes)")
    if not head.strip(b"\0"):
        return damaged(path, f"holds only zeros ({size_text(size)}): its download never wrote the data")
    what, advice = _kind(head, size)
    return damaged(path, f"is not a GGUF file: {what}", advice=advice)


_AGAIN = "Fetch it again, or take another file"
_CONVERT = "Take the GGUF version of this model: most have one, often in a repository whose name ends with -GGUF"

_CHECKPOINT = ("it is a PyTorch checkpoint or an archive, which llama.cpp cannot load", _CONVERT)
_OLD_FORMAT = ("it has the GGML format of 2023, which llama.cpp no longer reads", _CONVERT)
_COMPRESSED = ("it is compressed", "Unpack it first")

_MAGICS: dict[bytes, tuple[str, str]] = {
    b"PK\x03\x04": _CHECKPOINT,
    b"ggml": _OLD_FORMAT,
    b"lmgg": _OLD_FORMAT,
    b"tjgg": _OLD_FORMAT,
    b"fmgg": _OLD_FORMAT,
    b"algg": _OLD_FORMAT,
    b"FUGG": ("its bytes are in reverse order", _AGAIN),
    b"\x1f\x8b": _COMPRESSED,
    b"\x28\xb5\x2f\xfd": _COMPRESSED,
    b"BZh": _COMPRESSED,
    b"\xfd7zXZ": _COMPRESSED,
}
"""How other files begin. llama.cpp's old formats stored their magic numbers (`ggml`, `ggjt`, …) backwards."""


def _kind(head: bytes, size: int) -> tuple[str, str]:
    """What the file is instead, and what to do."""
    text = head[:1000].lstrip(b"\xef\xbb\xbf \t\r\n")
    if text.startswith(b"version https://git-lfs.github.com/"):
        return _lfs_pointer(head)
    if text[:100].lower().startswith((b"<!doctype", b"<html", b"<head", b"<?xml")):
        return _page(text)
    if text.startswith((b"{", b"[")):
        return _json(text)
    return _binary(head, size)


def _binary(head: bytes, size: int) -> tuple[str, str]:
    if _is_safetensors(head):
        return "it is a safetensors file, which llama.cpp cannot load", _CONVERT
    if _is_pickle(head):
        return _CHECKPOINT
    known = next((what for magic, what in _MAGICS.items() if head.startswith(magic)), None)
    if known:
        return known
    if b"GGUF".startswith(head):
        return f"it ends after {size} bytes", _AGAIN
    return f"it starts with {head[:4]!r} instead of b'GGUF'", _AGAIN


def _lfs_pointer(head: bytes) -> tuple[str, str]:
    found = _LFS_SIZE.search(head[:1000])
    size = f" of {size_text(int(found[1]))}" if found and len(found[1]) < 20 else ""
    return (
        f"it is a Git LFS pointer; the model itself{size} was never fetched",
        "Run `git lfs pull` where it was cloned, or name the repository instead of the file",
    )


def _page(text: bytes) -> tuple[str, str]:
    title = re.search(rb"<title[^>]*>\s*(.*?)\s*</title>", text, re.IGNORECASE | re.DOTALL)
    called = f" with the title {title[1].decode(errors='replace')!r}" if title else ""
    return (
        f"it is a web page{called}, perhaps an error or a login page",
        "Take the download link of the file itself: on Hugging Face it has /resolve/ in it, not /blob/",
    )


def _json(text: bytes) -> tuple[str, str]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):  # cut, or nested without end
        value = None
    if isinstance(value, dict) and isinstance(value.get("error"), str):
        return f"it is a server's error message, which says {value['error'][:200]!r}", _AGAIN
    return (
        f"it is JSON, perhaps an error message or an index, and begins {text[:100].decode(errors='replace')!r}",
        _AGAIN,
    )


def _is_safetensors(head: bytes) -> bool:
    """A length (8 bytes), then that much JSON: source, the safetensors format."""
    return len(head) > 9 and head[8:9] == b"{" and 2 <= int.from_bytes(head[:8], "little") <= 100_000_000


def _is_pickle(head: bytes) -> bool:
    """The opcode PROTO, with a version that exists."""
    return len(head) > 1 and head[0] == 0x80 and 2 <= head[1] <= 5
