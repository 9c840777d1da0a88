import os
import random
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import gguf
import pytest
from gguf.constants import GGUFValueType as Type

from podworker.errors import InvalidModelFile
from podworker.models.gguf_header import Array, Header, Tensor, read_header, read_strings
from podworker.models.gguf_types import TENSOR_TYPES, ValueType
from tests.cost import cost
from tests.gguf_files.demo import demo_model
from tests.gguf_files.fields import fields_of
from tests.gguf_files.tiny import FAMILIES, Entry, array, llama, text


def refusal(path: Path, data: bytes | None = None) -> str:
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(InvalidModelFile) as raised:
        read_header(path)
    return raised.value.message


@pytest.fixture
def sound(tmp_path: Path) -> bytes:
    return llama().write(tmp_path / "sound.gguf").read_bytes()


def llama_cpp_metadata(path: Path) -> tuple[dict[str, Any], list[Tensor]]:
    """The same, as llama.cpp's own reader reads it."""
    reader = gguf.GGUFReader(path)
    entries = {key: field.contents() for key, field in reader.fields.items() if not key.startswith("GGUF.")}
    start = int(reader.data_offset)
    tensors = [
        Tensor(tensor.name, tuple(map(int, tensor.shape)), int(tensor.tensor_type), int(tensor.data_offset) - start)
        for tensor in reader.tensors
    ]
    return entries, tensors


def our_metadata(header: Header) -> dict[str, Any]:
    entries: dict[str, Any] = {}
    for key, value in header.metadata.items():
        if not isinstance(value, Array):
            entries[key] = list(value) if isinstance(value, tuple) else value
        elif value.element is ValueType.STRING:
            entries[key] = [raw[8:].decode() for raw in read_strings(header.path, value)]
        else:
            entries[key] = value.count
    return entries


@pytest.mark.parametrize("family", FAMILIES)
def test_reads_what_the_reader_of_llama_cpp_reads(family: str, tmp_path: Path) -> None:
    model = FAMILIES[family]()
    model.entries["x.array"] = array([1, -2, 3], Type.INT64)
    model.entries["x.empty"] = text("")
    model.entries["x.float"] = Entry(0.1, Type.FLOAT64)
    path = model.write(tmp_path / "model.gguf")
    header = read_header(path)
    entries, tensors = llama_cpp_metadata(path)
    assert our_metadata(header) == entries
    assert header.tensors == tensors
    assert header.file_size == path.stat().st_size


def test_reads_the_demo_model() -> None:
    header = read_header(demo_model())
    tokens, merges = header.metadata["tokenizer.ggml.tokens"], header.metadata["tokenizer.ggml.merges"]
    assert isinstance(tokens, Array)
    assert isinstance(merges, Array)
    assert (header.version, len(header.tensors), tokens.count, merges.count) == (3, 272, 49_152, 48_900)
    assert read_strings(header.path, tokens)[1][8:] == b"<|im_start|>"
    assert header.tensors[0] == Tensor("token_embd.weight", (576, 49_152), 8, 0)
    assert header.data_start % 32 == 0


def test_knows_the_tensor_types_of_llama_cpp() -> None:
    for kind, (block, size) in gguf.GGML_QUANT_SIZES.items():
        if kind.name == "Q8_1":  # which no file has; the package gives the size that it had in 2023
            continue
        assert TENSOR_TYPES[kind] == (kind.name, block, size)


def large_vocabulary(path: Path, tokens: int) -> Path:
    """A vocabulary as large as Qwen's: 150,000 tokens and as many merges."""
    chance = random.Random(3)  # noqa: S311 - repeatable on purpose
    letters = "abcdefghijklmnopqrstuvwxyzĠ"
    words = [f"{''.join(chance.choices(letters, k=chance.randint(1, 8)))}{number}" for number in range(tokens)]
    model = llama()
    model.entries["tokenizer.ggml.tokens"] = array(words, Type.STRING)
    model.entries["tokenizer.ggml.token_type"] = array([1] * tokens, Type.INT32)
    model.entries["tokenizer.ggml.merges"] = array([f"{word[:3]} {word[3:]}" for word in words], Type.STRING)
    return model.write(path)


def test_a_vocabulary_of_150_000_tokens_holds_nobody_up(tmp_path: Path) -> None:
    path = large_vocabulary(tmp_path / "large.gguf", 150_000)
    assert cost(lambda: read_header(path), 0.8) < 0.8  # 0.4
    tokens = read_header(path).metadata["tokenizer.ggml.tokens"]
    assert isinstance(tokens, Array)
    assert tokens.count == 150_000


def test_a_header_longer_than_the_first_read_is_read_in_full(sound: bytes, tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    version, tensors, entries = struct.unpack_from("<IQQ", sound, 4)
    long_entry = struct.pack("<Q8sIIQ", 8, b"x.longer", 9, 4, 3 << 20) + bytes(12 << 20)
    path.write_bytes(b"GGUF" + struct.pack("<IQQ", version, tensors, entries + 1) + long_entry + sound[24:])
    header = read_header(path)
    assert header.metadata["x.longer"] == Array(ValueType.UINT32, 3 << 20, 56, 56 + (12 << 20))
    assert len(header.tensors) == tensors


def test_a_header_that_ends_too_early_is_cut_off_wherever_it_ends(sound: bytes, tmp_path: Path) -> None:
    end = fields_of(sound)[-1].end
    for size in (*range(4, 200), *range(200, end, 37), end - 1):
        assert "is cut off: it ends after" in refusal(tmp_path / "model.gguf", sound[:size]), size


@pytest.mark.parametrize(
    ("version", "sentence"),
    [(1, "no longer reads"), (0x03000000, "big-endian"), (4, "version 4"), (0, "big-endian")],
)
def test_other_versions_are_refused(version: int, sentence: str, sound: bytes, tmp_path: Path) -> None:
    data = sound[:4] + struct.pack("<I", version) + sound[8:]
    assert sentence in refusal(tmp_path / "model.gguf", data)


@pytest.mark.parametrize(
    ("what", "value", "sentence"),
    [
        ("count", 1 << 63, "tensors"),
        ("length", 1 << 60, "claims to have 1,152,921,504,606,846,976 bytes"),
        ("type", 13, "has the type 13, which does not exist"),
    ],
)
def test_hostile_numbers_are_named(what: str, value: int, sentence: str, sound: bytes, tmp_path: Path) -> None:
    field = next(field for field in fields_of(sound) if field.what == what)
    data = bytearray(sound)
    struct.pack_into(f"<{field.code}", data, field.start, value)
    assert sentence in refusal(tmp_path / "model.gguf", bytes(data))


@pytest.mark.parametrize(
    ("entry", "sentence"),
    [
        (struct.pack("<Q3sIII", 3, b"x.y", 9, 9, 4), "array of arrays"),
        (struct.pack("<Q3sIIQ", 3, b"x.y", 9, 8, 1 << 40), "claims to have 1,099,511,627,776 texts"),
        (struct.pack("<Q3sIIQ", 3, b"x.y", 9, 12, 1 << 40), "claims to have 1,099,511,627,776 elements"),
        (struct.pack("<Q3sIB", 3, b"x.y", 7, 2), "neither true nor false"),
        (struct.pack("<Q3sII", 3, b"x\xff\xfe", 4, 0), "is not text"),
        (struct.pack("<QII", 0, 4, 0), "has no name"),
        (struct.pack("<Q3sII", 3, b"x.y", 4, 0) * 2, "is there twice"),
        (struct.pack("<Q17sII", 17, b"general.alignment", 4, 24), "not a power of two"),
        (struct.pack("<Q17sIQ", 17, b"general.alignment", 10, 32), "not a power of two"),
    ],
)
def test_impossible_entries_are_refused(entry: bytes, sentence: str, tmp_path: Path) -> None:
    data = b"GGUF" + struct.pack("<IQQ", 3, 0, 2 if "twice" in sentence else 1) + entry + bytes(100)
    assert sentence in refusal(tmp_path / "model.gguf", data)


def test_too_many_dimensions_are_refused(tmp_path: Path) -> None:
    data = b"GGUF" + struct.pack("<IQQQ1sI", 3, 1, 0, 1, b"t", 5) + bytes(100)
    assert "5 dimensions" in refusal(tmp_path / "model.gguf", data)


def hostile_files(folder: Path) -> dict[str, Path]:
    """Files that are large, or claim to be, and keep their promises just long enough."""
    start = b"GGUF" + struct.pack("<IQQ", 3, 0, 1 << 14)
    strings = struct.pack("<QsIIQ", 1, b"a", 9, 8, 1 << 20) + (struct.pack("<Q", 50) + b"x" * 50) * (1 << 20)
    entries = b"".join(struct.pack("<Q9sIQ", 9, b"%09d" % number, 8, 900) + b"y" * 900 for number in range(16_000))
    tensors = b"".join(struct.pack("<Q5sIQIQ", 5, b"%05d" % number, 1, 1, 0, 32 * number) for number in range(1 << 15))
    files = {
        "strings": start + strings,
        "empty strings": start + struct.pack("<QsIIQ", 1, b"a", 9, 8, 1 << 21),
        "entries": start + entries,
        "numbers": start + struct.pack("<QsIIQ", 1, b"a", 9, 10, (1 << 23) - 10),
        "tensors": b"GGUF" + struct.pack("<IQQ", 3, 1 << 15, 0) + tensors,
        "vocabulary": _vocabulary(1 << 19, 24),
        "too large a vocabulary": _vocabulary((1 << 19) + 1, 6),
    }
    for name, data in files.items():
        path = folder / name
        path.write_bytes(data)
        os.truncate(path, 1 << 30)  # sparse: the rest is zeros, which are valid lengths
    return {name: folder / name for name in files}


def _vocabulary(tokens: int, length: int) -> bytes:
    """All that is needed to make the validator read the tokens, which differ until the last."""
    texts = (b"%0*d" % (length, number) for number in (*range(tokens - 1), 0))
    keys = {b"general.architecture": b"llama", b"tokenizer.ggml.tokens": None}
    data = b"GGUF" + struct.pack("<IQQ", 3, 0, len(keys))
    for key, value in keys.items():
        kind = struct.pack("<IIQ", 9, 8, tokens) if value is None else struct.pack("<IQ", 8, len(value)) + value
        data += struct.pack("<Q", len(key)) + key + kind
    return data + b"".join(struct.pack("<Q", length) + text for text in texts)


VALIDATE = """
import sys
from pathlib import Path
from podworker.errors import InvalidModelFile
from podworker.models.validator import validate
from tests.cost import cost

def refuse():
    try:
        validate(Path(sys.argv[1]))
    except InvalidModelFile:
        return
    raise AssertionError

price = cost(refuse, 20)
memory = next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(price, memory)
"""


def test_hostile_files_cost_neither_time_nor_memory(tmp_path: Path) -> None:
    for name, path in hostile_files(tmp_path).items():
        command = [sys.executable, "-c", VALIDATE, str(path)]
        done = subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True, text=True, check=True)
        price, kilobytes = done.stdout.split()
        assert float(price) < 20, name  # at most 6, which is a third of a second
        assert float(kilobytes) * 1024 < 200 << 20, name
