from pathlib import Path
from typing import Any

import pytest

from podworker.errors import InvalidModelReference
from podworker.models.reference import AUTO, parse_adapters, parse_reference, shard_names, without_shard_number

SHA = "a" * 64


@pytest.fixture(autouse=True)
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        ("org/repo", {"repo": "org/repo"}),
        (" org/repo-1.5_x-GGUF\n", {"repo": "org/repo-1.5_x-GGUF"}),
        ("org/repo:Q4_K_M", {"repo": "org/repo", "quantization": "Q4_K_M"}),
        ("org/repo:q4_k_m", {"repo": "org/repo", "quantization": "Q4_K_M"}),
        ("org/repo:ud-q4_k_xl", {"repo": "org/repo", "quantization": "UD-Q4_K_XL"}),
        ("org/repo:auto", {"repo": "org/repo", "quantization": AUTO}),
        ("org/repo:latest", {"repo": "org/repo", "quantization": None}),
        ("org/repo@v1.0", {"repo": "org/repo", "revision": "v1.0"}),
        ("org/repo:Q8_0@refs/pr/3", {"repo": "org/repo", "quantization": "Q8_0", "revision": "refs/pr/3"}),
        ("org/repo@main:Q8_0", {"repo": "org/repo", "quantization": "Q8_0", "revision": "main"}),
        ("org/repo/m.gguf", {"repo": "org/repo", "file": "m.gguf"}),
        ("org/repo/a/b/m.GGUF@dev", {"repo": "org/repo", "file": "a/b/m.GGUF", "revision": "dev"}),
        ("hf://org/repo:Q6_K", {"repo": "org/repo", "quantization": "Q6_K"}),
        ("hf.co/org/repo:Q6_K", {"repo": "org/repo", "quantization": "Q6_K"}),
        ("https://huggingface.co/org/repo", {"repo": "org/repo"}),
        ("https://huggingface.co/org/repo/", {"repo": "org/repo"}),
        ("https://huggingface.co/org/repo/tree/main", {"repo": "org/repo", "revision": "main"}),
        (
            "https://huggingface.co/org/repo/resolve/main/a/m.gguf?download=true",
            {"repo": "org/repo", "file": "a/m.gguf", "revision": "main"},
        ),
        (
            "https://huggingface.co/org/repo/blob/refs/pr/2/m.gguf",
            {"repo": "org/repo", "file": "m.gguf", "revision": "refs/pr/2"},
        ),
    ],
)
def test_repositories(text: str, fields: dict[str, Any]) -> None:
    reference = parse_reference(text)
    assert reference.kind == "hub"
    for name in ("repo", "file", "quantization", "revision"):
        assert getattr(reference, name) == fields.get(name)
    assert parse_reference(reference.text).repo == reference.repo


@pytest.mark.parametrize(
    ("text", "shown", "sha256"),
    [
        ("https://host/a/m.gguf", "https://host/a/m.gguf", None),
        ("https://host:81/m.gguf?X-Signature=secret", "https://host:81/m.gguf", None),
        ("https://me:secret@host/m.gguf", "https://host/m.gguf", None),
        (f"http://host/m.gguf#sha256={SHA.upper()}", "http://host/m.gguf", SHA),
    ],
)
def test_addresses(text: str, shown: str, sha256: str | None) -> None:
    reference = parse_reference(text)
    assert (reference.kind, reference.text, reference.sha256) == ("url", shown, sha256)
    assert "secret" not in repr(reference)


def test_buckets() -> None:
    reference = parse_reference("s3://bucket/a/b#1.gguf")
    assert (reference.kind, reference.bucket, reference.key) == ("s3", "bucket", "a/b#1.gguf")
    assert parse_reference(f"s3://bucket/m.gguf#sha256={SHA}").sha256 == SHA


@pytest.mark.parametrize("text", ["/models/m.gguf", "./m", "../m.gguf", "m.gguf", "models/m.gguf", "~/m.gguf"])
def test_paths(text: str) -> None:
    assert parse_reference(text).path == Path(text).expanduser()


def test_a_file_that_is_there_wins() -> None:
    Path("org/repo").mkdir(parents=True)
    Path("org/repo/m.gguf").touch()
    assert parse_reference("org/repo/m.gguf").kind == "path"
    assert parse_reference("org/repo").kind == "hub"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "none of the forms"),
        ("llama", "none of the forms"),
        ("org/repo/folder", "does not end with .gguf"),
        ("org/repo/m.gguf:Q4_K_M", "both a file and the quantization Q4_K_M"),
        ("org/repo:Q4_0@main:Q5_0", "two quantizations"),
        ("org/repo:", "none of the forms"),
        ("org/repo@", "none of the forms"),
        ("ftp://host/m.gguf", "scheme"),
        ("https:///m.gguf", "no host"),
        ("https://host/", "names no file"),
        ("https://host:port/m.gguf", "not a valid address"),
        ("https://host/m.gguf#md5=1", "64 hexadecimal digits"),
        (f"https://host/m-00001-of-00002.gguf#sha256={SHA}", "several files"),
        ("s3://bucket", "a bucket and a file"),
        ("s3://bucket/folder/", "a bucket and a file"),
    ],
)
def test_refused(text: str, reason: str) -> None:
    with pytest.raises(InvalidModelReference, match=reason) as caught:
        parse_reference(text, setting="DRAFT_MODEL")
    assert caught.value.message.startswith("DRAFT_MODEL is ")
    assert "organisation/repository:Q4_K_M" in caught.value.message


def test_secrets_are_not_in_messages() -> None:
    with pytest.raises(InvalidModelReference) as caught:
        parse_reference("https://me:secret@host/?key=secret")
    assert "secret" not in caught.value.message


def test_adapters() -> None:
    adapters = parse_adapters("org/repo:0.5, /lora.gguf, https://host:8080/a.gguf:-1, org/repo:Q8_0:2")
    assert [(adapter.reference.kind, adapter.scale) for adapter in adapters] == [
        ("hub", 0.5),
        ("path", 1.0),
        ("url", -1.0),
        ("hub", 2.0),
    ]
    assert adapters[3].reference.quantization == "Q8_0"
    assert adapters[2].reference.url == "https://host:8080/a.gguf"


def test_shards() -> None:
    names = ["a/m-00001-of-00003.gguf", "a/m-00002-of-00003.gguf", "a/m-00003-of-00003.gguf"]
    assert shard_names(names[1]) == names
    assert {without_shard_number(name) for name in names} == {"a/m.gguf"}
    for odd in ("m.gguf", "m-00004-of-00003.gguf", "m-00001-of-99999.gguf"):
        assert shard_names(odd) == [odd]
