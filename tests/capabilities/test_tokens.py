"""Tokens counted, texts cut into them and put together, templates and gaps filled in."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from podworker.errors import InvalidInput
from tests.capabilities.serving import (
    CHAT,
    COUNT_TOKENS,
    DETOKENIZE,
    INFILL,
    MESSAGES,
    TEMPLATE,
    TOKENIZE,
    Served,
    serving,
)
from tests.gguf_files.tiny import llama

pytestmark = pytest.mark.asyncio(loop_scope="module")

USER = [{"role": "user", "content": "Merhaba dünya 🌍"}]


@pytest.mark.parametrize(
    "text",
    [
        "Hello, world!",
        "İstanbul'da çay ☕",
        "مرحبا بالعالم",
        "e\u0301 \u200d 👩\u200d👩\u200d👧",
        "\U0001d518\U0001d52b\U0001d526",
        " \n\t ",
        "\x01\x7f",
    ],
)
async def test_a_text_is_its_tokens(demo: Served, text: str) -> None:
    tokens = (await demo.ask(TOKENIZE, content=text))["tokens"]

    assert tokens
    assert (await demo.ask(DETOKENIZE, tokens=tokens))["content"] == text


@settings(max_examples=40, deadline=None, database=None)
@given(st.text(min_size=1, max_size=40))
async def test_a_random_text_is_its_tokens(talker: Served, text: str) -> None:
    """Its vocabulary has every byte; the demo model's has not those of characters that are no text."""
    tokens = (await talker.ask(TOKENIZE, content=text))["tokens"]

    assert (await talker.ask(DETOKENIZE, tokens=tokens))["content"] == text


async def test_the_pieces(demo: Served) -> None:
    """Those that are no whole character are lists of bytes."""
    tokens = (await demo.ask(TOKENIZE, content="Hi 🦄", with_pieces=True))["tokens"]

    pieces = [token["piece"] for token in tokens]
    assert b"".join(piece.encode() if isinstance(piece, str) else bytes(piece) for piece in pieces).decode() == "Hi 🦄"


async def test_a_template_makes_a_prompt(demo: Served) -> None:
    prompt = (await demo.ask(TEMPLATE, messages=USER))["prompt"]

    assert "Merhaba dünya 🌍<|im_end|>" in prompt
    assert prompt.endswith("<|im_start|>assistant\n")


async def test_the_count_is_what_a_message_uses(demo: Served) -> None:
    count = await demo.ask(COUNT_TOKENS, messages=USER, system="Be kind.")

    answer = await demo.ask(MESSAGES, messages=USER, system="Be kind.", max_tokens=1)

    assert count == {"input_tokens": answer["usage"]["input_tokens"]}
    chat = await demo.ask(CHAT, messages=[{"role": "system", "content": "Be kind."}, *USER], max_tokens=1)
    assert chat["usage"]["prompt_tokens"] == count["input_tokens"]


async def test_a_gap_is_filled(talker: Served) -> None:
    answer = await talker.ask(INFILL, input_prefix="def add(a, b):\n    ", input_suffix="\n", temperature=0)

    assert answer["content"] == "return a + b"


async def test_a_gap_is_filled_in_a_stream(talker: Served) -> None:
    events = await talker.stream(INFILL, input_prefix="def add(a, b):\n    ", input_suffix="\n", temperature=0)

    assert "".join(data["content"] for _, data in events if data != "[DONE]") == "return a + b"


async def test_a_model_that_fills_no_gaps_says_so(tmp_path: Path) -> None:
    async with serving(llama().write(tmp_path / "tiny.gguf"), context_length=256) as served:
        with pytest.raises(InvalidInput, match="gap"):
            await served.ask(INFILL, input_prefix="a", input_suffix="b")
