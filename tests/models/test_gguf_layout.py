import struct
from pathlib import Path

import pytest

from podworker.errors import InvalidModelFile
from podworker.models.gguf_header import read_header
from podworker.models.gguf_layout import check_layout
from tests.gguf_files.fields import Field, fields_of
from tests.gguf_files.tiny import llama


@pytest.fixture
def sound(tmp_path: Path) -> bytes:
    return llama().write(tmp_path / "sound.gguf").read_bytes()


def refusal(path: Path, data: bytes) -> str:
    path.write_bytes(data)
    with pytest.raises(InvalidModelFile) as raised:
        check_layout(read_header(path))
    return raised.value.message


def changed(data: bytes, what: str, number: int, value: int) -> bytes:
    """The file with another value in the field of this kind with that number."""
    field: Field = [field for field in fields_of(data) if field.what == what][number]
    return data[: field.start] + struct.pack(f"<{field.code}", value) + data[field.end :]


def test_the_tensors_of_a_sound_file_fill_it(sound: bytes, tmp_path: Path) -> None:
    header = read_header(tmp_path / "sound.gguf")
    check_layout(header)
    assert header.data_start % 32 == 0
    assert header.data_start + sum(4 * 64 * (tensor.shape[1:] or (1,))[0] * tensor.shape[0] // 64
                                   for tensor in header.tensors) == len(sound)  # fmt: skip


@pytest.mark.parametrize("missing", [1, 32, 1000, 200_000])
def test_a_file_that_is_cut_off_says_how_much_is_missing(missing: int, sound: bytes, tmp_path: Path) -> None:
    message = refusal(tmp_path / "model.gguf", sound[:-missing])
    assert "is cut off: it has" in message
    assert f"({missing:,} bytes) are missing" in message


def test_what_comes_after_the_tensors_does_not_matter(sound: bytes, tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(sound + b"more")
    check_layout(read_header(path))


@pytest.mark.parametrize(
    ("what", "value", "sentence"),
    [
        ("offset", 0, "overlaps the one before it"),
        ("offset", 7, "is not aligned"),
        ("offset", 1 << 20, "its place is"),
        ("offset", (1 << 64) - 32, "its place is"),
        ("dimension", 0, "impossible shape"),
        ("dimension", 1 << 63, "impossible shape"),
        ("tensor type", 43, "has the type 43, which does not exist"),
        ("tensor type", 31, "Q4_0_4_4, which llama.cpp no longer reads"),
        ("tensor type", 12, "rows of 64 elements, which is not a multiple of 256"),
    ],
)
def test_impossible_tensors_are_refused(what: str, value: int, sentence: str, sound: bytes, tmp_path: Path) -> None:
    data = changed(sound, what, 1, value)
    assert sentence in refusal(tmp_path / "model.gguf", data)


def test_two_tensors_with_one_name_are_refused(tmp_path: Path) -> None:
    data = llama().write(tmp_path / "model.gguf").read_bytes().replace(b"attn_k.weight", b"attn_q.weight")
    assert "two tensors with the name 'blk.0.attn_q.weight'" in refusal(tmp_path / "model.gguf", data)
