"""Held against what the engine itself says that it allocates: an update of llama.cpp that changes it shows here."""

import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from subprocess import PIPE

import pytest

from podworker.configuration import load_settings
from podworker.inference.engine_options import EngineOptions, attributes
from podworker.inference.memory_placement import Demand, Shape, place
from podworker.inference.model_kind import model_kind
from podworker.models.memory_budget import Budget
from podworker.models.validator import validate
from tests.gguf_files.demo import demo_model
from tests.gguf_files.tiny import windowed
from tests.inference.engines import OPTIONS

MIB = 1 << 20
PLENTY = Budget((), 1 << 40, 1 << 40)


@pytest.mark.parametrize(
    ("model", "slots", "context", "type_k", "type_v", "flash_attention"),
    [
        ("demo", 3, 300, "f16", "f16", "auto"),
        ("demo", 1, 2048, "q8_0", "q8_0", "auto"),
        ("demo", 2, 1024, "f32", "bf16", "off"),
        ("windowed", 3, 300, "f16", "f16", "auto"),
        ("windowed", 2, 1024, "f32", "bf16", "off"),
    ],
)
def test_the_sizes_are_the_engines_own(  # noqa: PLR0917 - a row of the table
    tmp_path: Path,
    model: str,
    slots: int,
    context: int,
    type_k: str,
    type_v: str,
    flash_attention: str,
) -> None:
    path = demo_model() if model == "demo" else windowed().write(tmp_path / "model.gguf")
    info = validate(path)
    options = replace(
        OPTIONS,
        model=path,
        slots=slots,
        context_length=context,
        cache_type_k=type_k,
        cache_type_v=type_v,
        flash_attention=flash_attention,
    )
    log = load(options, tmp_path / "engine.sock")

    demand = Demand(model=info, micro_batch=options.batch_size, flash_attention=flash_attention != "off")
    shape = Shape(gpu_layers=0, context_length=context, slots=slots, cache_type_k=type_k, cache_type_v=type_v)
    placement = place(demand, shape, PLENTY)
    assert placement is not None
    assert placement.cache == pytest.approx(told(log, "KV"), abs=MIB // 50)
    compute = told(log, "compute")
    assert compute <= placement.main.buffers <= 1.5 * compute + MIB


def test_a_model_that_writes_and_makes_embeddings_has_scores_for_a_whole_batch(tmp_path: Path) -> None:
    info = validate(demo_model())
    kind = model_kind(load_settings(model_task="embed"), info)
    log = load(replace(OPTIONS, kind=kind), tmp_path / "engine.sock")
    shape = Shape(gpu_layers=0, context_length=OPTIONS.context_length, slots=OPTIONS.slots)
    placement = place(Demand(model=info, micro_batch=OPTIONS.batch_size, scores_all=True), shape, PLENTY)
    assert placement is not None
    compute = told(log, "compute")
    assert compute > OPTIONS.batch_size * 49_152 * 4
    assert compute <= placement.main.buffers <= 1.3 * compute + MIB


LOAD = """\
import json, sys, xllamacpp
from podworker.inference.engine_main import common_params
server = xllamacpp.Server(common_params(xllamacpp, json.loads(sys.argv[1])))
sys.stdin.read()
"""
LAST = "compute buffer size"


def load(options: EngineOptions, socket: Path) -> str:
    """Load a model in a process of its own; what the engine says of it at its most talkative."""
    table = {**attributes(options, socket=socket, api_key="key"), "verbosity": 5}
    lines = []
    with subprocess.Popen(
        [sys.executable, "-c", LOAD, json.dumps(table)], stdin=PIPE, stderr=PIPE, text=True
    ) as engine:
        assert engine.stderr is not None
        for line in engine.stderr:
            lines.append(line)
            if LAST in line:
                break
        engine.kill()
    return "".join(lines)


def told(log: str, what: str) -> float:
    """Bytes of all buffers of a kind."""
    sizes = re.findall(rf"{what} buffer size = +([\d.]+) MiB", log)
    assert sizes
    return sum(float(size) for size in sizes) * MIB
