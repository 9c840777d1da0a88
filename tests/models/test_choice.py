import logging

import pytest

from podworker.errors import InvalidModelReference, ModelNotFound
from podworker.models.choice import HubFile, Role, choose, quantization_of
from podworker.models.reference import parse_reference

GB = 1_000_000_000


def files(*paths: str) -> list[HubFile]:
    """Files that grow by one gigabyte each."""
    return [HubFile(path, number * GB, None) for number, path in enumerate(paths, start=1)]


USUAL = files("README.md", "m-Q2_K.gguf", "m-IQ4_XS.gguf", "m-Q4_K_M.gguf", "m-Q8_0.gguf", "m-F16.gguf")


def chosen(reference: str, there: list[HubFile], role: Role = Role.MODEL, room: int | None = None) -> list[str]:
    found = choose(parse_reference(reference), there, role=role, room=room)
    return [file.path for file in found.files]


@pytest.mark.parametrize(
    ("path", "quantization"),
    [
        ("Llama-3.2-1B-Instruct-Q4_K_M.gguf", "Q4_K_M"),
        ("model.Q5_K_S.gguf", "Q5_K_S"),
        ("model-q8_0.gguf", "Q8_0"),
        ("gpt-oss-20b-mxfp4.gguf", "MXFP4"),
        ("m-UD-Q2_K_XL.gguf", "UD-Q2_K_XL"),
        ("m-IQ3_XXS.gguf", "IQ3_XXS"),
        ("m-TQ1_0.gguf", "TQ1_0"),
        ("m-Q4_0_4_8.gguf", "Q4_0_4_8"),
        ("m-fp16.gguf", "F16"),
        ("m-BF16.gguf", "BF16"),
        ("Q8_0/m-00001-of-00002.gguf", "Q8_0"),
        ("m.gguf", None),
        ("Q4-tuned.gguf", None),
    ],
)
def test_quantizations_are_read_from_names(path: str, quantization: str | None) -> None:
    assert quantization_of(path) == quantization


@pytest.mark.parametrize(
    ("reference", "path"),
    [
        ("org/repo", "m-Q4_K_M.gguf"),
        ("org/repo:q8_0", "m-Q8_0.gguf"),
        ("org/repo:fp16", "m-F16.gguf"),
        ("org/repo/m-Q2_K.gguf", "m-Q2_K.gguf"),
    ],
)
def test_one_is_taken(reference: str, path: str) -> None:
    assert chosen(reference, USUAL) == [path]


def test_the_log_says_which(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    chosen("org/repo", USUAL)
    assert "org/repo has 5 quantizations: taking Q4_K_M (4.0 GB)" in caplog.text


@pytest.mark.parametrize(
    ("there", "path"),
    [
        (files("m-Q2_K.gguf", "m-IQ4_XS.gguf", "m-Q8_0.gguf"), "m-IQ4_XS.gguf"),
        (files("m-Q2_K.gguf", "m-Q5_K_M.gguf", "m-F16.gguf"), "m-Q5_K_M.gguf"),
        (files("m-F16.gguf", "m-Q8_0.gguf"), "m-Q8_0.gguf"),
        (files("only.gguf", "mmproj-only-F16.gguf", "only.imatrix.gguf"), "only.gguf"),
        (files("eagle3-m-Q4_K_M.gguf", "dflash-m-Q4_K_M.gguf", "m-Q8_0.gguf"), "m-Q8_0.gguf"),
    ],
)
def test_else_the_nearest_usual_one(there: list[HubFile], path: str) -> None:
    assert chosen("org/repo", there) == [path]


def test_unsloth_names_count_for_their_quantization() -> None:
    assert chosen("org/repo:Q2_K_XL", files("m-UD-Q2_K_XL.gguf", "m-Q2_K.gguf")) == ["m-UD-Q2_K_XL.gguf"]


def test_shards_are_one_model() -> None:
    shards = [f"Q4_K_M/m-Q4_K_M-0000{number}-of-00003.gguf" for number in (1, 2, 3)]
    there = files(shards[2], shards[0], "m-Q8_0-00001-of-00002.gguf", shards[1])  # one of Q8_0 is missing
    assert chosen("org/repo", there) == shards
    assert chosen(f"org/repo/{shards[1]}", there) == shards


def test_projectors() -> None:
    there = files("m-Q4_K_M.gguf", "mmproj-m-Q8_0.gguf", "mmproj-m-F16.gguf", "mmproj-m-F32.gguf")
    assert chosen("org/repo", there, Role.PROJECTOR) == ["mmproj-m-F16.gguf"]
    assert chosen("org/repo:f32", there, Role.PROJECTOR) == ["mmproj-m-F32.gguf"]
    with pytest.raises(ModelNotFound, match="holds no projector"):
        chosen("org/repo", there[:1], Role.PROJECTOR)


@pytest.mark.parametrize(("room", "path"), [(4.5, "m-Q4_K_M.gguf"), (100, "m-F16.gguf"), (3, "m-IQ4_XS.gguf")])
def test_auto_takes_the_largest_that_fits(room: float, path: str) -> None:
    assert chosen("org/repo:auto", USUAL, room=int(room * GB)) == [path]


def test_auto_where_none_fits_or_nothing_is_known() -> None:
    with pytest.raises(ModelNotFound, match=r"none fits the 1\.0 GB .*CONTEXT_LENGTH"):
        chosen("org/repo:auto", USUAL, room=GB)
    with pytest.raises(InvalidModelReference, match="memory of the GPU is not known"):
        chosen("org/repo:auto", USUAL)


def test_what_is_there_is_listed_with_sizes() -> None:
    with pytest.raises(ModelNotFound) as caught:
        chosen("org/repo:Q5_K_M", USUAL)
    assert "no quantization Q5_K_M" in caught.value.message
    assert "\n  Q8_0           5.0 GB  m-Q8_0.gguf" in caught.value.message
    with pytest.raises(ModelNotFound, match=r"no file x\.gguf"):
        chosen("org/repo/x.gguf", USUAL)


def test_several_that_fit_are_listed() -> None:
    with pytest.raises(InvalidModelReference, match=r"may mean 2 files.*org/repo/a-Q4_K_M\.gguf") as caught:
        chosen("org/repo", files("a-Q4_K_M.gguf", "b-Q4_K_M.gguf"))
    assert "2.0 GB  b-Q4_K_M.gguf" in caught.value.message


def test_a_repository_without_models_lists_its_files() -> None:
    with pytest.raises(ModelNotFound, match=r"no model in GGUF format.*\n +1\.0 GB  model\.safetensors"):
        chosen("org/repo", files("model.safetensors"))
    with pytest.raises(ModelNotFound, match="It is empty"):
        chosen("org/repo", [])
