import pytest

from podworker.configuration import load_settings
from podworker.errors import UnknownModel
from podworker.inference.model_names import Adapter, ModelNames, vary

NAMES = ModelNames("base", [Adapter("poet", 0.5), Adapter("clerk", 0.0)])


@pytest.mark.parametrize(
    ("name", "scales"),
    [
        (None, [(0, 0.5), (1, 0)]),
        ("base", [(0, 0.5), (1, 0)]),
        ("poet", [(0, 0.5)]),
        ("clerk", [(1, 1)]),  # it acts on nobody else, and on those who ask for it as trained
    ],
)
def test_a_name_chooses_one_adapter_or_all(name: str | None, scales: list[tuple[int, float]]) -> None:
    assert NAMES.scales(name, param="model") == [{"id": number, "scale": scale} for number, scale in scales]


@pytest.mark.parametrize("name", ["", "Poet", "poet.gguf", "gpt-4o"])
def test_any_other_name_is_refused_where_there_are_adapters(name: str) -> None:
    with pytest.raises(UnknownModel, match="allowed is one of base, poet, clerk") as caught:
        NAMES.scales(name, param="input.model")
    assert (caught.value.status, caught.value.error_code, caught.value.param) == (404, "model_not_found", "input.model")


@pytest.mark.parametrize("name", [None, "", "base", "gpt-4o"])
def test_any_name_is_taken_where_there_are_none(name: str | None) -> None:
    assert ModelNames("base").scales(name, param="model") == []


@pytest.mark.parametrize(
    ("scales", "expected"),
    [([], False), ([1.0], False), ([0.5], False), ([-1.0], False), ([0.0], True), ([1.0, 1.0], True), ([0, 0], True)],
)
def test_requests_differ_where_there_is_a_choice(scales: list[float], expected: bool) -> None:
    assert vary(scales) is expected


@pytest.mark.parametrize(
    ("lora", "names"),
    [
        (None, []),
        ("org/poet-lora", ["poet-lora"]),
        ("org/poet-lora:Q8_0@main:0.5", ["poet-lora"]),
        ("org/poet-lora/f16/poet.gguf", ["poet"]),
        ("/models/poet.gguf:0", ["poet"]),
        ("https://host/a/poet.gguf?key=secret", ["poet"]),
        ("s3://bucket/folder/poet.gguf", ["poet"]),
        ("a/poet, b/poet, /c/poet.gguf, d/poet-2", ["poet", "poet-2", "poet-3", "poet-2-2"]),
        ("a/base", ["base-2"]),
    ],
)
def test_an_adapter_is_named_by_the_end_of_its_reference(lora: str | None, names: list[str]) -> None:
    assert [adapter.name for adapter in ModelNames.of(load_settings(lora=lora), "base").adapters] == names


def test_scales_come_from_the_setting() -> None:
    names = ModelNames.of(load_settings(lora="a/poet:0.25,a/clerk,a/mute:0"), "base")
    assert [adapter.scale for adapter in names.adapters] == [0.25, 1, 0]


def test_the_list_of_models() -> None:
    assert NAMES.listed({"id": "file", "created": 5, "owned_by": "llamacpp", "meta": {"n_ctx": 64}}, created=9) == {
        "object": "list",
        "data": [
            {
                "id": "base",
                "object": "model",
                "created": 9,
                "owned_by": "podworker",
                "parent": None,
                "meta": {"n_ctx": 64},
            },
            {"id": "poet", "object": "model", "created": 9, "owned_by": "podworker", "parent": "base"},
            {"id": "clerk", "object": "model", "created": 9, "owned_by": "podworker", "parent": "base"},
        ],
    }
