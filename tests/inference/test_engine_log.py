import logging

import pytest

from podworker.inference.engine_log import EngineLog
from podworker.monitoring import content

CONTENT = "SWORDFISH"


@pytest.fixture(autouse=True)
def _everything(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "podworker")


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.message for record in caplog.records if record.levelno == logging.WARNING]


def test_while_it_loads_its_errors_and_odd_warnings_are_warnings(caplog: pytest.LogCaptureFixture) -> None:
    log = EngineLog()
    for line in (
        "0.00.020.608 I srv  init: using 2 threads",
        "0.00.020.608 W load: control-looking token: 2 '</s>' was not control-type; its type is changed",
        "0.00.020.608 W llama_context: n_ctx_seq (512) < n_ctx_train (8192) -- the full capacity will not be utilized",
        "0.00.020.608 W srv init: chat template supports preserving reasoning, it is enabled by default",
        "0.00.020.608 W warning: failed to mlock 1234-byte buffer",
        "0.00.020.608 E gguf_init_from_reader: no tensors",
        "0.00.020.608 E llama_model_load: error loading model",
    ):
        log.add(line)
    assert warnings(caplog) == [
        "warning: failed to mlock 1234-byte buffer",
        "gguf_init_from_reader: no tensors",
        "llama_model_load: error loading model",
    ]
    assert len(caplog.records) == 7
    assert log.reason == "gguf_init_from_reader: no tensors", "the cause, not its consequence"
    assert not log.memory_words


@pytest.mark.parametrize(
    "line", ["terminate called: std::bad_alloc", "0.00.020.608 E alloc: cudaMalloc failed: out of memory"]
)
def test_want_of_memory_while_it_loads(line: str) -> None:
    log = EngineLog()
    log.add(line)
    assert log.memory_words
    log.forget_load()
    assert not log.memory_words
    assert log.reason is None


@pytest.mark.parametrize(
    "words",
    [
        "ImportError: {}: cannot open shared object file: No such file or directory",
        "/opt/llama-server: error while loading shared libraries: {}: cannot open shared object file: No such file or"
        " directory",
    ],
)
def test_a_missing_library_is_told_with_its_package(words: str) -> None:
    log = EngineLog()
    log.add("Traceback (most recent call last):")
    log.add(words.format("libgomp.so.1"))
    assert log.reason is not None
    assert "needs libgomp.so.1" in log.reason
    assert "apt-get install libgomp1" in log.reason
    log.add(words.format("libother.so.3"))
    assert log.reason == words.format("libother.so.3"), "nobody knows which package that is"


SERVED = (
    "parse: error parsing grammar: unexpected end of input",
    f'root ::= {CONTENT} "a',
    "0.02.031.223 E failed to parse grammar",
    f'0.02.036.445 W srv    operator(): got exception: {{"error":{{"message":"Invalid pattern ^({CONTENT}$"}}}}',
    f"0.02.036.445 E srv    send_error: task id = 12, error: {CONTENT}",
    "0.02.031.397 W srv          stop: cancel task, id_task = 12",
    f"terminate with {CONTENT}",
)
"""What requests make the engine say."""


def test_what_requests_make_it_say_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    log = EngineLog()
    log.forget_load()
    for line in SERVED:
        log.add(line)
    assert caplog.messages == []
    assert log.reason is None


def test_with_log_content_it_is_logged_for_debugging(caplog: pytest.LogCaptureFixture) -> None:
    log = EngineLog()
    log.forget_load()
    content.allow(True)
    try:
        for line in SERVED:
            log.add(line)
    finally:
        content.allow(False)
    assert len(caplog.messages) == len(SERVED)
    assert warnings(caplog) == []


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("0.02.1 E decode: failed to find a memory slot for batch of size 512", False),
        ("0.02.1 E llama_decode: failed to decode, ret = -3", False),
        ("0.02.1 E ggml_cuda_compute_forward: MUL_MAT failed", False),
        ("/src/ggml/src/ggml.c:123: GGML_ASSERT(a > b) failed", True),
        ("CUDA error: an illegal memory access was encountered", True),
        ("terminate called after throwing an instance of 'std::bad_alloc'", True),
    ],
)
def test_what_the_computing_code_says_is_a_warning(line: str, reason: bool, caplog: pytest.LogCaptureFixture) -> None:
    log = EngineLog()
    log.forget_load()
    log.add(line)
    text = line.removeprefix("0.02.1 E ")
    assert warnings(caplog) == [text]
    assert log.reason == (text if reason else None)
