import json
import os
from pathlib import Path

import pytest

from podworker.configuration import load_settings
from podworker.configuration.machine import Gpu
from podworker.doctor.check import Facts, Finding, Verdict
from podworker.doctor.engine import build, engine
from podworker.doctor.gpu import gpu

OLD_DRIVER, DRIVER = "515.1", "570.1"


def card(capability: str, driver: str = DRIVER) -> Gpu:
    return Gpu("NVIDIA GPU", 24 * 10**9, 22 * 10**9, driver, capability)


def described(folder: Path, cuda: str = "11.8.0", *architectures: str) -> Path:
    text = json.dumps({"cuda": cuda, "architectures": architectures or ["75-real", "89-real", "89-virtual"]})
    (folder / "engine-build.json").write_text(text)
    return folder / "llama-server"


def judged(binary: Path | None, *gpus: Gpu) -> Finding:
    return build(Facts(settings=load_settings(engine_binary=binary), gpus=list(gpus)), 10)


def test_code_for_this_gpu(tmp_path: Path) -> None:
    finding = judged(described(tmp_path), card("8.9"))
    assert finding == Finding(Verdict.OK, "CUDA 11.8.0, for compute capability 7.5 to 8.9.")


def test_no_gpu_for_an_engine_of_cuda(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    finding = judged(described(tmp_path))
    assert finding.verdict is Verdict.WARNING
    assert "--gpus all" in (finding.advice or "")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert judged(described(tmp_path)).verdict is Verdict.OK, "that was meant"


def test_no_code_for_this_gpu(tmp_path: Path) -> None:
    assert judged(described(tmp_path), card("9.0")).verdict is Verdict.WARNING
    finding = judged(described(tmp_path, "11.8.0", "75-real"), card("9.0"))
    assert finding.verdict is Verdict.PROBLEM
    assert finding.advice == "Use podworker's image cuda12.8."


def test_an_old_driver(tmp_path: Path) -> None:
    binary = described(tmp_path, "12.8.1")
    assert judged(binary, card("8.9")).verdict is Verdict.OK
    finding = judged(binary, card("8.9", OLD_DRIVER))
    assert finding.verdict is Verdict.WARNING
    assert OLD_DRIVER in finding.found


def test_what_tells_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert judged(None, card("8.9")).verdict is Verdict.SKIPPED
    assert judged(tmp_path / "llama-server").verdict is Verdict.SKIPPED
    (tmp_path / "build.json").write_text("{}")
    monkeypatch.setenv("PODWORKER_ENGINE_BUILD", str(tmp_path / "build.json"))
    finding = judged(None, card("8.9"))
    assert finding.verdict is Verdict.WARNING
    assert "build.json cannot be read" in finding.found


def started(binary: Path | None = None, seconds: float = 60) -> Finding:
    return engine(Facts(settings=load_settings(engine_binary=binary)), seconds)


def program(folder: Path, text: str) -> Path:
    path = folder / "llama-server"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def test_the_built_in_engine() -> None:
    finding = started()
    assert finding.verdict is Verdict.OK
    assert "The built-in engine, version 2" in finding.found


def test_an_engine_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hunter2")
    finding = started(
        program(tmp_path, 'echo "noise $HF_TOKEN"; echo "version: 1234 (abcdef)" >&2; test "$1" = --version')
    )
    assert finding.verdict is Verdict.OK
    assert finding.found.endswith("version 1234 (abcdef).")
    failing = started(program(tmp_path, 'echo "libcuda.so.1: no such file, $HF_TOKEN" >&2; exit 127'))
    assert failing.verdict is Verdict.PROBLEM
    assert "ended with exit code 127: libcuda.so.1: no such file," in failing.found
    assert "hunter2" not in str(failing)


def test_a_program_without_its_library(tmp_path: Path) -> None:
    words = "libgomp.so.1: cannot open shared object file: No such file or directory"
    finding = started(program(tmp_path, f'echo "$0: error while loading shared libraries: {words}" >&2; exit 127'))
    assert finding.verdict is Verdict.PROBLEM
    assert words in finding.found
    assert finding.advice is not None
    assert "apt-get install libgomp1" in finding.advice


def test_a_program_for_another_cpu(tmp_path: Path) -> None:
    finding = started(program(tmp_path, "kill -ILL $$"))
    assert finding.verdict is Verdict.PROBLEM
    assert "SIGILL" in finding.found


def test_a_program_that_hangs_is_ended(tmp_path: Path) -> None:
    finding = started(program(tmp_path, f"echo $$ > {tmp_path / 'pid'}; exec sleep 600"), seconds=2)
    assert finding.verdict is Verdict.PROBLEM
    assert "within 2 s" in finding.found
    if (tmp_path / "pid").exists() and (pid := (tmp_path / "pid").read_text()):
        with pytest.raises(ProcessLookupError):
            os.kill(int(pid), 0)


def test_no_program(tmp_path: Path) -> None:
    finding = started(tmp_path / "llama-server")
    assert finding.verdict is Verdict.PROBLEM
    assert "No such file" in finding.found
    assert finding.advice is not None
    assert "ENGINE_BINARY" in finding.advice


def test_gpus_here_are_judged(tmp_path: Path) -> None:
    facts = Facts(settings=load_settings(engine_binary=described(tmp_path)))
    assert gpu(facts, 60).verdict in Verdict
    assert build(facts, 60).verdict is not Verdict.SKIPPED
