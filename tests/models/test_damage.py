import gzip
import io
import json
import pickle
import struct
import zipfile
from pathlib import Path

import pytest

from podworker.errors import InvalidModelFile
from podworker.models.validator import validate

POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:{}\nsize 4920734272\n".format("ab" * 32).encode()
PAGE = b"\n<!DOCTYPE html><html><head><title> 404 Not Found </title></head></html>"
SAFETENSORS = b'{"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}'


def checkpoint() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("archive/data.pkl", b"")
    return buffer.getvalue()


CASES = {
    "empty": (b"", "is empty"),
    "zeros": (bytes(5000), "holds only zeros (5.0 kB)"),
    "pointer": (POINTER, "Git LFS pointer; the model itself of 4.9 GB was never fetched"),
    "page": (PAGE, "web page with the title '404 Not Found'"),
    "untitled page": (b"<html><body>Sign in</body></html>", "it is a web page, perhaps"),
    "error": (
        json.dumps({"error": "Repository not found"}).encode(),
        "error message, which says 'Repository not found'",
    ),
    "json": (b'{"weight_map": {}}', "it is JSON"),
    "cut json": (b'{"weight_map": {"a": ', "it is JSON"),
    "deep json": (b"[" * 5000, "it is JSON"),
    "safetensors": (struct.pack("<Q", len(SAFETENSORS)) + SAFETENSORS + bytes(4), "safetensors file"),
    "checkpoint": (checkpoint(), "PyTorch checkpoint"),
    "pickle": (pickle.dumps({"weights": [1.0]}), "PyTorch checkpoint"),
    "old": (b"tjgg" + bytes(100) + b"x", "GGML format of 2023"),
    "gzip": (gzip.compress(b"GGUF"), "compressed"),
    "reversed": (b"FUGG" + bytes(100), "reverse order"),
    "first bytes": (b"GG", "ends after 2 bytes"),
    "noise": (bytes(range(200, 256)), "starts with b'"),
}


@pytest.mark.parametrize("case", CASES)
def test_the_error_says_what_the_file_is_and_what_to_do(case: str, tmp_path: Path) -> None:
    data, sentence = CASES[case]
    path = tmp_path / "model.gguf"
    path.write_bytes(data)
    with pytest.raises(InvalidModelFile) as raised:
        validate(path)
    message = raised.value.message
    assert message.startswith(f"{path} ")
    assert sentence in message
    assert message.endswith(".")
    assert raised.value.body()["code"] == "invalid_model_file"
