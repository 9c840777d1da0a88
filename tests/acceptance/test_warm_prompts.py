"""WARM_PROMPTS from the setting to a job's answer, with whole workers that share a volume."""

import json
import os
from pathlib import Path
from typing import Any

from podworker.monitoring import phases
from tests.gguf_files.scripted import scripted
from tests.worker_process import worker

BUILT_IN = ["-m", "podworker", "serve", "--builtin"]
SYSTEM = {"role": "system", "content": "You guard the gate. " * 20}
SMALL = {"SLOTS": "2", "CONTEXT_LENGTH": "1024", "THREADS": "1", "PROMPT_CACHE_MB": "64"}


async def test_the_next_worker_restores_what_the_first_computed(tmp_path: Path) -> None:
    volume = tmp_path / "volume"
    settings = {
        **SMALL,
        "MODEL": str(scripted(["Good day."]).write(tmp_path / "model.gguf")),
        "WARM_PROMPTS": json.dumps([{"messages": [SYSTEM]}]),
        "WARM_PROMPTS_FOLDER": str(volume),
        "LOG_LEVEL": "debug",
    }
    for words in ("Warm prompts: 0 of 1 restored, 1 computed", "Warm prompts: 1 of 1 restored"):
        async with worker(tmp_path, BUILT_IN, **settings) as subject:
            await subject.ready()
            job = await subject.run({"messages": [SYSTEM, {"role": "user", "content": "Hello"}]})
            answer: Any = await subject.until(job, "COMPLETED")
            subject.process.terminate()
            assert await subject.exit_code() == 0

        (cold_start,) = [report for line in subject.output.splitlines() if (report := phases.parse(line))]
        assert phases.WARM_UP in cold_start.spans
        assert words in subject.output
        assert "guard the gate" not in subject.output
        assert answer["output"]["usage"]["prompt_tokens_details"]["cached_tokens"] > 400
    assert sorted(path.suffix for path in volume.iterdir()) == [".json", ".state"]


async def test_a_worker_can_be_stopped_while_it_computes_a_prompt(tmp_path: Path) -> None:
    long = json.dumps(["word " * 3000])
    settings = {
        **SMALL,
        "CONTEXT_LENGTH": "4096",
        "WARM_PROMPTS": long,
        "WARM_PROMPTS_FOLDER": str(tmp_path / "volume"),
    }
    async with worker(tmp_path, BUILT_IN, **settings, LOG_LEVEL="debug") as subject:
        await subject.printed("Warm prompts:")
        subject.process.terminate()

        assert await subject.exit_code() == 0
        assert "Cold start:" not in subject.output
    assert os.listdir(tmp_path) == []
