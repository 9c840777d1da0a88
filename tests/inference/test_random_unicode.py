"""A few of the texts of `scripts/soak unicode`."""

from pathlib import Path

from tests.gguf_files.demo import demo_model
from tests.gguf_files.scripted import scripted
from tests.random_requests.jobs import loaded
from tests.random_requests.unicode import cut, dictated, free


async def test_streams_say_what_whole_answers_say(tmp_path: Path) -> None:
    async with loaded(scripted([]).write(tmp_path / "speller.gguf")) as model:
        for seed in range(30):
            assert await dictated(model, seed) == ""
            assert await cut(model, seed) == ""


async def test_the_demo_models_do_too() -> None:
    async with loaded(demo_model(), slots=1) as model:
        for seed in range(2):
            assert await free(model, seed) == ""
