from collections.abc import Mapping
from dataclasses import replace
from operator import attrgetter
from pathlib import Path

import pytest
import xllamacpp

from podworker.configuration import machine
from podworker.inference.engine_main import common_params
from podworker.inference.engine_options import (
    DEFAULT_ENVIRONMENT,
    OPTIONS,
    EngineOptions,
    arguments,
    attributes,
    compile_cache,
    environment,
)
from podworker.inference.model_kind import ModelKind, Pooling

OPTIONS_SET = EngineOptions(
    model=Path("/models/a.gguf"),
    alias="a",
    context_length=4096,
    slots=3,
    batch_size=2048,
    gpu_layers=999,
    threads=2,
    prompt_cache_mb=512,
)
SOCKET = Path("/run/engine.sock")


def flags(options: EngineOptions = OPTIONS_SET) -> list[str]:
    return arguments(options, socket=SOCKET)


def value_of(flag: str, options: EngineOptions = OPTIONS_SET) -> str:
    words = flags(options)
    return words[words.index(flag) + 1]


def test_attributes() -> None:
    assert attributes(OPTIONS_SET, socket=SOCKET, api_key="secret") == {
        "model.path": "/models/a.gguf",
        "model_alias": ["a"],
        "hostnames": ["/run/engine.sock"],
        "api_keys": ["secret"],
        "slot_save_path": "/run/",
        "n_parallel": 3,
        "n_ctx": 3 * 4096,
        "kv_unified": False,
        "n_batch": 2048,
        "n_ubatch": 512,
        "n_gpu_layers": 999,
        "cache_type_k": "f16",
        "cache_type_v": "f16",
        "flash_attn_type": "auto",
        "cpuparams.n_threads": 2,
        "cpuparams_batch.n_threads": 2,
        "cache_ram_mib": 512,
        "verbosity": 2,
        "fit_params": False,
        "check_tensors": True,
        "ui": False,
        "endpoint_slots": True,
        "endpoint_props": False,
        "ui_mcp_proxy": False,
        "models_autoload": False,
        "offline": True,
    }


def test_the_engine_has_every_attribute() -> None:
    """An attribute that a new xllamacpp no longer has would be set without any effect."""
    parameters = xllamacpp.CommonParams()
    kinds = {
        "model_alias": set,
        "cache_type_k": xllamacpp.ggml_type,
        "cache_type_v": xllamacpp.ggml_type,
        "flash_attn_type": xllamacpp.llama_flash_attn_type,
        "split_mode": xllamacpp.llama_split_mode,
        "tensor_split": list,
    }
    options = replace(OPTIONS_SET, main_gpu=1, tensor_split=(3, 1))
    for path, value in attributes(options, socket=SOCKET, api_key="secret").items():
        present = attrgetter(path)(parameters)
        assert isinstance(present, kinds.get(path, type(value))), f"{path} is {present!r}"


def test_arguments() -> None:
    assert flags() == [
        *("--host", "/run/engine.sock", "--alias", "a", "--slot-save-path", "/run"),
        *("--model", "/models/a.gguf", "--parallel", "3"),
        *("--ctx-size", "12288", "--no-kv-unified"),
        *("--batch-size", "2048", "--ubatch-size", "512", "--n-gpu-layers", "999"),
        *("--cache-type-k", "f16", "--cache-type-v", "f16", "--flash-attn", "auto"),
        *("--threads", "2", "--threads-batch", "2", "--cache-ram", "512", "--log-verbosity", "2"),
        *("--fit", "off", "--check-tensors", "--slots", "--no-ui", "--offline"),
    ]


def test_several_gpus() -> None:
    assert value_of("--tensor-split", replace(OPTIONS_SET, tensor_split=(24.0, 9.0))) == "24,9"
    one = replace(OPTIONS_SET, main_gpu=1)
    assert (value_of("--split-mode", one), value_of("--main-gpu", one)) == ("none", "1")
    assert not {"--split-mode", "--main-gpu", "--tensor-split"} & set(flags())


def test_the_files_beside_the_model() -> None:
    options = replace(OPTIONS_SET, projector=Path("/p.gguf"), draft=Path("/d.gguf"), adapters=((Path("/l.gguf"), 0.5),))
    table = attributes(options, socket=SOCKET, api_key="secret")

    assert table["mmproj.path"] == value_of("--mmproj", options) == "/p.gguf"
    assert table["speculative.draft.mparams.path"] == value_of("--model-draft", options) == "/d.gguf"
    assert table["lora_adapters"] == [("/l.gguf", 0.5)]
    assert value_of("--lora-scaled", options) == "/l.gguf:0.5"


ALL_SET = replace(
    OPTIONS_SET,
    projector=Path("/p.gguf"),
    draft=Path("/d.gguf"),
    draft_tokens=5,
    draft_tokens_min=1,
    draft_p_min=0.5,
    ngrams=True,
)


@pytest.mark.parametrize("options", [OPTIONS_SET, ALL_SET])
def test_both_forms_have_the_same_values(options: EngineOptions) -> None:
    table = attributes(options, socket=SOCKET, api_key="secret")
    for option in OPTIONS:
        value = option.value(options)
        assert table.get(option.attribute) == value
        if value is None:
            assert not set(option.flags) & set(flags(options))
            continue
        if not isinstance(value, bool):
            (flag,) = option.flags
            assert value_of(flag, options) == str(value)
    assert len({option.attribute for option in OPTIONS}) == len(OPTIONS)


def test_the_engine_takes_what_is_drafted() -> None:
    speculative = common_params(xllamacpp, attributes(ALL_SET, socket=SOCKET, api_key="secret")).speculative
    names = {"NGRAM_SIMPLE", "DRAFT_SIMPLE"}

    assert {kind.name.removeprefix("COMMON_SPECULATIVE_TYPE_") for kind in speculative.types} == names
    assert (speculative.draft.n_max, speculative.draft.n_min, speculative.draft.p_min) == (5, 1, 0.5)
    assert (speculative.ngram_simple.size_n, speculative.ngram_simple.size_m) == (5, 5)


@pytest.mark.parametrize(
    ("options", "types", "ngram_tokens", "draft_tokens"),
    [
        (OPTIONS_SET, None, None, None),
        (replace(OPTIONS_SET, draft_tokens=5), None, None, None),
        (replace(OPTIONS_SET, ngrams=True), "ngram-simple", 16, None),
        (replace(OPTIONS_SET, ngrams=True, draft_tokens=5), "ngram-simple", 5, None),
        (replace(OPTIONS_SET, draft=Path("/d.gguf")), "draft-simple", None, None),
        (ALL_SET, "ngram-simple,draft-simple", 5, 5),
    ],
)
def test_speculation(
    options: EngineOptions, types: str | None, ngram_tokens: int | None, draft_tokens: int | None
) -> None:
    table = attributes(options, socket=SOCKET, api_key="secret")
    assert table.get("speculative.types") == types
    assert table.get("speculative.ngram_simple.size_m") == ngram_tokens
    assert table.get("speculative.draft.n_max") == draft_tokens


@pytest.mark.parametrize(("batch_size", "micro_batch"), [(32, "32"), (512, "512"), (4096, "512")])
def test_a_micro_batch_is_no_larger_than_a_batch(batch_size: int, micro_batch: str) -> None:
    assert value_of("--ubatch-size", replace(OPTIONS_SET, batch_size=batch_size)) == micro_batch


@pytest.mark.parametrize(("verbose", "verbosity"), [(False, "2"), (True, "3")])
def test_verbosity(verbose: bool, verbosity: str) -> None:
    assert value_of("--log-verbosity", replace(OPTIONS_SET, verbose=verbose)) == verbosity


def test_the_key_is_no_argument() -> None:
    """Everybody can read the arguments of a process."""
    assert "--api-key" not in flags()
    assert environment({}, api_key="secret")["LLAMA_API_KEY"] == "secret"


@pytest.mark.parametrize(
    ("inherited", "kept"),
    [
        ({"PATH": "/bin", "CUDA_VISIBLE_DEVICES": "0"}, {"PATH": "/bin", "CUDA_VISIBLE_DEVICES": "0"}),
        ({"RUNPOD_AI_API_KEY": "s", "HF_TOKEN": "s", "AWS_SECRET": "s", "DB_PASSWORD": "s", "my_api_key": "s"}, {}),
        ({"LLAMA_ARG_CTX_SIZE": "1", "LLAMA_ARG_HOST": "localhost", "LLAMA_SERVER_SLOTS_DEBUG": "1"}, {}),
        ({"LLAMA_API_KEY": "another"}, {}),
        ({"GOMP_SPINCOUNT": "5"}, {"GOMP_SPINCOUNT": "5"}),
        ({"TOKENIZERS_PARALLELISM": "false", "KEYBOARD": "de"}, {"TOKENIZERS_PARALLELISM": "false", "KEYBOARD": "de"}),
    ],
)
def test_the_environment_has_no_secrets_of_others(inherited: Mapping[str, str], kept: Mapping[str, str]) -> None:
    own = {**DEFAULT_ENVIRONMENT, **compile_cache(inherited), "LLAMA_API_KEY": "secret"}
    assert environment(inherited, api_key="secret") == {**own, **kept}


def test_what_the_driver_compiles_is_kept_beside_the_models() -> None:
    own = environment({"HOME": "/home/me"}, api_key="secret")
    assert own["CUDA_CACHE_PATH"] == str(machine.volume(environ={"HOME": "/home/me"}) / "podworker-cuda-cache")
    assert int(own["CUDA_CACHE_MAXSIZE"]) > 1 << 30
    assert environment({"CUDA_CACHE_PATH": "/other"}, api_key="secret")["CUDA_CACHE_PATH"] == "/other"


@pytest.mark.parametrize(
    ("kind", "batch", "words"),
    [
        (ModelKind(frozenset(), Pooling.RANK, whole=True), (4096, 4096), ["--embeddings", "--pooling", "rank"]),
        (ModelKind(frozenset(), Pooling.LAST), (2048, 512), ["--embeddings", "--pooling", "last"]),
    ],
)
def test_a_model_that_makes_vectors(kind: ModelKind, batch: tuple[int, int], words: list[str]) -> None:
    """One that reads a text in one go needs a batch as large as the context."""
    options = replace(OPTIONS_SET, kind=kind)
    table = attributes(options, socket=SOCKET, api_key="secret")
    assert (table["embedding"], table["pooling_type"]) == (True, kind.pooling)
    assert (table["n_batch"], table["n_ubatch"]) == batch
    assert " ".join(words) in " ".join(flags(options))


@pytest.mark.parametrize(
    ("scales", "cached"), [((), True), ((0.5,), True), ((0.0,), False), ((1.0, 1.0), False), ((1.0, 0.0), False)]
)
def test_nothing_is_cached_by_itself_where_adapters_vary(scales: tuple[float, ...], cached: bool) -> None:
    options = replace(
        OPTIONS_SET, adapters=tuple((Path(f"/{number}.gguf"), scale) for number, scale in enumerate(scales))
    )
    table = attributes(options, socket=SOCKET, api_key="secret")
    assert (table["cache_ram_mib"], table.get("cache_prompt", True)) == ((512, True) if cached else (0, False))
    assert ("--no-cache-prompt" not in flags(options)) is cached
    assert value_of("--cache-ram", options) == ("512" if cached else "0")
