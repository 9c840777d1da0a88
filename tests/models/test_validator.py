import shutil
from pathlib import Path

import pytest
from gguf.constants import GGUFValueType as Type

from podworker.errors import InvalidModelFile, ModelNotFound
from podworker.models.validator import validate
from tests.gguf_files.tiny import Entry, TinyModel, llama


def write_shards(folder: Path, model: TinyModel | None = None, name: str = "model") -> list[Path]:
    (model or llama()).write(folder / f"{name}.gguf", tensors_per_shard=8)
    return sorted(folder.glob(f"{name}-*.gguf"))


def refusal(path: Path) -> str:
    with pytest.raises(InvalidModelFile) as raised:
        validate(path)
    return raised.value.message


def test_all_shards_are_one_model(tmp_path: Path) -> None:
    shards = write_shards(tmp_path)
    whole = validate(llama().write(tmp_path / "whole.gguf"))
    info = validate(shards[0])
    assert info.files == tuple(shards)
    assert len(shards) == 3
    assert info.size == sum(shard.stat().st_size for shard in shards)
    assert (info.parameters, info.quantization, info.kv_cache) == (whole.parameters, whole.quantization, whole.kv_cache)


def test_missing_shards_are_named(tmp_path: Path) -> None:
    shards = write_shards(tmp_path)
    shards[1].unlink()
    assert "of its 3 parts, 1 are missing: model-00002-of-00003.gguf. Fetch" in refusal(shards[0])


def test_a_later_shard_is_not_the_model(tmp_path: Path) -> None:
    message = refusal(write_shards(tmp_path)[1])
    assert "is part 2 of a model in 3 parts. Name the first part" in message


def test_a_damaged_shard_is_named(tmp_path: Path) -> None:
    shards = write_shards(tmp_path)
    shards[2].write_bytes(shards[2].read_bytes()[:-100])
    message = refusal(shards[0])
    assert message.startswith(f"{shards[2]} is cut off")
    assert "(100 bytes) are missing" in message


def test_shards_in_the_wrong_order_are_refused(tmp_path: Path) -> None:
    shards = write_shards(tmp_path)
    shutil.copy(shards[1], shards[2])
    assert "is not part 3 of a model in 3 parts" in refusal(shards[0])


def test_shards_of_another_model_are_refused(tmp_path: Path) -> None:
    other = llama()
    other.tensors = dict(list(other.tensors.items())[:-1])
    shards = write_shards(tmp_path)
    shutil.copy(write_shards(tmp_path, other, "other")[2], shards[2])
    assert "other parts than those beside it: 20 tensors in all, not 19" in refusal(shards[0])


def test_shards_with_the_same_tensors_are_refused(tmp_path: Path) -> None:
    other = llama()
    other.tensors = {name.replace("blk.1.ffn_down", "blk.0.ffn_down"): data for name, data in other.tensors.items()
                     if name != "blk.0.ffn_down.weight"} | {"x": llama().tensors["output_norm.weight"]}  # fmt: skip
    shards = write_shards(tmp_path)
    shutil.copy(write_shards(tmp_path, other, "other")[2], shards[2])
    assert "has a tensor in two of its parts" in refusal(shards[0])


def test_renamed_shards_are_refused(tmp_path: Path) -> None:
    shards = write_shards(tmp_path)
    first = shards[0].rename(tmp_path / "model.gguf")
    assert "NAME-00001-of-00003.gguf" in refusal(first)


def test_a_shard_number_of_another_type_is_refused(tmp_path: Path) -> None:
    # llama.cpp aborts on it.
    shards = write_shards(tmp_path)
    data = shards[1].read_bytes()
    key = b"split.no"
    at = data.index(key) + len(key)
    shards[1].write_bytes(data[:at] + Type.INT16.to_bytes(4, "little") + data[at + 4 :])
    assert "is not part 2" in refusal(shards[0])


def test_no_architecture(tmp_path: Path) -> None:
    path = llama().write(tmp_path / "model.gguf")
    path.write_bytes(path.read_bytes().replace(b"general.architecture", b"general.architektur_"))
    assert "does not say which architecture" in refusal(path)


@pytest.mark.parametrize("name", ["missing.gguf", "folder"])
def test_what_is_no_file(name: str, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(ModelNotFound, match=r"does not exist|is a folder"):
        validate(tmp_path / name)


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    # /proc/self/mem is a file for `stat`, and reading its start is an I/O error: for root too.
    path = tmp_path / "model.gguf"
    path.symlink_to("/proc/self/mem")
    assert "cannot be read: Input/output error. Check its permissions, and the volume." in refusal(path)


@pytest.mark.parametrize(
    ("count", "sentence"),
    [(1000, "999 are missing: model-00002-of-01000.gguf"), (60_000, "claims to be the first of 60,000 parts")],
)
def test_long_lists_of_missing_shards_are_cut(count: int, sentence: str, tmp_path: Path) -> None:
    model = llama()
    model.entries |= {"split.no": Entry(0, Type.UINT16), "split.count": Entry(count, Type.UINT16)}
    path = model.write(tmp_path / f"model-00001-of-{count:05}.gguf")
    message = refusal(path)
    assert sentence in message
    assert len(message) < 600
