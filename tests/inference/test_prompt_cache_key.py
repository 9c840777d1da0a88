from dataclasses import fields, replace
from pathlib import Path

import pytest

from podworker.inference.engine_options import EngineOptions
from podworker.inference.prompt_cache_key import file_identity, state_key, state_shape
from tests.gguf_files.tiny import llama

BIG = 3_000_000


@pytest.fixture
def options(tmp_path: Path) -> EngineOptions:
    model = llama().write(tmp_path / "tiny.gguf")
    return EngineOptions(
        model=model,
        alias="a",
        context_length=512,
        slots=2,
        batch_size=512,
        gpu_layers=0,
        threads=1,
        prompt_cache_mb=8,
    )


def test_a_key_tells_tokens_and_shapes_apart() -> None:
    keys = {state_key(shape, tokens) for shape in "ab" for tokens in ([1], [1, 2], [12], [])}
    assert len(keys) == 8


def test_the_same_options_have_the_same_shape(options: EngineOptions) -> None:
    assert state_shape(options, "b1") == state_shape(replace(options), "b1")


@pytest.mark.parametrize("name", ["alias", "threads", "prompt_cache_mb", "batch_size", "verbose"])
def test_what_does_not_shape_a_state(options: EngineOptions, name: str) -> None:
    other = replace(options, **{name: 2 if name != "verbose" else True})  # type: ignore[arg-type]
    assert state_shape(other, "b1") == state_shape(options, "b1")


@pytest.mark.parametrize("name", ["context_length", "slots", "gpu_layers"])
def test_what_shapes_a_state(options: EngineOptions, name: str) -> None:
    assert state_shape(replace(options, **{name: 5}), "b1") != state_shape(options, "b1")  # type: ignore[arg-type]


def test_another_engine_has_another_shape(options: EngineOptions, tmp_path: Path) -> None:
    program = tmp_path / "llama-server"
    program.write_bytes(b"1")
    shapes = {
        state_shape(options, "b1"),
        state_shape(options, "b2"),
        state_shape(replace(options, binary=program), "b1"),
    }
    program.write_bytes(b"2")
    assert len(shapes | {state_shape(replace(options, binary=program), "b1")}) == 4


def test_each_file_counts_by_what_it_holds_not_by_its_path(options: EngineOptions, tmp_path: Path) -> None:
    moved = llama().write(tmp_path / "moved.gguf")
    assert state_shape(replace(options, model=moved), "b1") == state_shape(options, "b1")

    moved.write_bytes(moved.read_bytes()[:-4] + b"\0\0\0\1")
    shapes = {
        state_shape(each, "b1")
        for each in (
            options,
            replace(options, model=moved),
            replace(options, projector=moved),
            replace(options, draft=moved),
            replace(options, adapters=((moved, 1.0),)),
            replace(options, adapters=((moved, 0.5),)),
        )
    }
    assert len(shapes) == 6


def test_every_shard_counts(options: EngineOptions, tmp_path: Path) -> None:
    llama().write(tmp_path / "shards.gguf", tensors_per_shard=8)
    first, second, *_ = sorted(tmp_path.glob("shards-*.gguf"))
    sharded = replace(options, model=first)
    before = state_shape(sharded, "b1")
    second.write_bytes(second.read_bytes()[:-4] + b"\0\0\0\1")
    assert state_shape(sharded, "b1") != before


@pytest.mark.parametrize("size", [0, 1, 16 * 1024, 16 * 1024 + 1, BIG])
def test_a_file_is_told_by_its_size_its_first_and_its_last_byte(tmp_path: Path, size: int) -> None:
    file = tmp_path / "file"
    contents = [b"\0" * size, b"\0" * (size + 1)]
    if size:
        contents += [b"\1" + b"\0" * (size - 1), b"\0" * (size - 1) + b"\2"]
    identities = set()
    for content in contents:
        file.write_bytes(content)
        identities.add(file_identity(file))
    assert len(identities) == len(contents)


def test_options_that_do_not_shape_a_state_are_options() -> None:
    from podworker.inference import prompt_cache_key  # noqa: PLC0415 - its private tables

    named = prompt_cache_key._NO_MATTER | prompt_cache_key._FILES
    assert named <= {field.name for field in fields(EngineOptions)}
