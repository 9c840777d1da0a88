"""What happens when the model does not fit into the memory that there really is."""

import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from podworker.configuration import Settings, load_settings
from podworker.errors import ModelLoadFailed
from podworker.inference.language_model import LanguageModel
from tests.inference.engines import OPTIONS, complete, process_of, running

MB = 10**6
CONTEXT = 20_480
"""A slot's cache for so many tokens takes 472 MB with the demo model, so two are chosen."""

LIMITED = """\
import os, resource, sys
if "podworker.inference.engine_main" in sys.orig_argv and "LIMITED" not in os.environ:
    resource.setrlimit(resource.RLIMIT_AS, ({limit}, {limit}))
    # llama.cpp checks each tensor in a thread of its own: with the usual stacks of 8 MB, 2 GB come and go.
    resource.setrlimit(resource.RLIMIT_STACK, (1 << 20, 1 << 20))
    os.execve(sys.executable, sys.orig_argv, dict(os.environ, LIMITED="1", MALLOC_ARENA_MAX="1"))
"""
NO_LIMIT = 1 << 40


@pytest.fixture
async def limit_engines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Gives every engine that is started from here so many bytes more than one that has hardly any context."""
    site = tmp_path / "sitecustomize.py"
    site.write_text(LIMITED.format(limit=NO_LIMIT))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    async with running(replace(OPTIONS, slots=1)) as engine:
        await engine.loaded()
        needed = process_of(engine).memory_info().vms

    def limit(extra: int) -> None:
        site.write_text(LIMITED.format(limit=needed + extra))

    return limit


def settings(tmp_path: Path, **given: int) -> Settings:
    return load_settings(threads=1, prompt_cache_mb=0, model_store=tmp_path, **given)


@asynccontextmanager
async def launched(values: Settings) -> AsyncIterator[LanguageModel]:
    handler = LanguageModel()
    handler.launch(values)
    try:
        yield handler
    finally:
        await handler.stop()


async def test_a_load_that_runs_out_of_memory_is_tried_once_more_with_less(
    tmp_path: Path, limit_engines: Callable[[int], None], caplog: pytest.LogCaptureFixture
) -> None:
    limit_engines(700 * MB)
    with caplog.at_level(logging.INFO, "podworker"):
        async with launched(settings(tmp_path, context_length=CONTEXT)) as handler:
            assert handler.concurrency == 2
            await handler.start()
            assert handler.concurrency == 1
            assert await complete(handler.engine)
    warnings = [record for record in caplog.records if record.levelno == logging.WARNING]
    (warning,) = [record.message for record in warnings if record.name != "podworker.engine"]
    assert "ran out of memory; it is tried once more with less" in warning
    plans = [record.message for record in caplog.records if record.message.startswith("Memory: ")]
    assert ["1 slot" in plan for plan in plans] == [False, True]


async def test_a_load_that_runs_out_of_memory_twice_is_given_up(
    tmp_path: Path, limit_engines: Callable[[int], None], caplog: pytest.LogCaptureFixture
) -> None:
    limit_engines(400 * MB)
    async with launched(settings(tmp_path, context_length=CONTEXT)) as handler:
        with pytest.raises(ModelLoadFailed, match=r"It ran out of memory. Set CONTEXT_LENGTH or SLOTS lower"):
            await handler.start()
    assert caplog.text.count("is tried once more") == 1


async def test_what_is_set_is_not_tried_with_less(
    tmp_path: Path, limit_engines: Callable[[int], None], caplog: pytest.LogCaptureFixture
) -> None:
    limit_engines(400 * MB)
    async with launched(settings(tmp_path, context_length=CONTEXT, slots=2)) as handler:
        with pytest.raises(ModelLoadFailed, match=r"It ran out of memory. Set CONTEXT_LENGTH or SLOTS lower"):
            await handler.start()
    assert "is tried once more" not in caplog.text
