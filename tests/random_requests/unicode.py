"""Random Unicode, asked and answered: what comes in a stream is what comes at once, byte for byte."""

import argparse
import asyncio
import json
import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from podworker.inference.language_model import LanguageModel
from tests.acceptance.dev_server import SAME_EACH_TIME
from tests.gguf_files.demo import demo_model
from tests.gguf_files.scripted import scripted
from tests.random_requests.jobs import Ended, loaded, run_job
from tests.random_requests.texts import random_text

PROMPT_PIECES, ANSWER_PIECES = 8, 8
ANSWER_TOKENS = 400
DEMO_TOKENS = 8
"""Of an answer in the demo model's own words."""

Request = dict[str, Any]
Find = Callable[[Any], str]


def _openai_deltas(chunk: Mapping[str, Any]) -> str:
    return "".join(
        (choice.get("delta") or {}).get("content") or choice.get("text") or "" for choice in chunk["choices"]
    )


def _openai_whole(answer: Mapping[str, Any]) -> str:
    (choice,) = answer["choices"]
    return str(choice["message"]["content"] if "message" in choice else choice["text"])


def _anthropic_delta(event: Mapping[str, Any]) -> str:
    return str(event.get("delta", {}).get("text", "")) if event["type"] == "content_block_delta" else ""


def _anthropic_whole(answer: Mapping[str, Any]) -> str:
    return "".join(block["text"] for block in answer["content"])


def _response_delta(event: Mapping[str, Any]) -> str:
    return str(event["delta"]) if event["type"] == "response.output_text.delta" else ""


def _response_whole(answer: Mapping[str, Any]) -> str:
    return "".join(part["text"] for item in answer["output"] for part in item["content"])


def _messages(prompt: str) -> Request:
    return {"messages": [{"role": "user", "content": prompt}]}


def _through(route: str, body: Request) -> Request:
    return {"openai_route": route, "openai_input": body}


class Form:
    """A form of a request: how a prompt is put into it, and where its answer's text stands."""

    def __init__(
        self, ask: Callable[[str, Request], Request], delta: Find, whole: Find, *, grammar: bool = True
    ) -> None:
        self.ask = ask
        self.grammar = grammar
        """Whether its answer can be bound to a grammar."""
        self._delta = delta
        self._whole = whole

    def streamed(self, ended: Ended) -> str:
        return "".join(map(self._delta, _objects(ended.chunks)))

    def whole(self, ended: Ended) -> str:
        return self._whole(ended.result.output)


FORMS: Mapping[str, Form] = {
    "chat": Form(
        lambda prompt, more: _through("/v1/chat/completions", {**_messages(prompt), **more}),
        _openai_deltas,
        _openai_whole,
    ),
    "plain chat": Form(lambda prompt, more: {**_messages(prompt), **more}, _openai_deltas, _openai_whole),
    "completion": Form(
        lambda prompt, more: _through("/v1/completions", {"prompt": prompt, **more}), _openai_deltas, _openai_whole
    ),
    "plain prompt": Form(lambda prompt, more: {"prompt": prompt, **more}, _openai_deltas, _openai_whole),
    "responses": Form(
        lambda prompt, more: _through("/v1/responses", {"input": prompt, **more}), _response_delta, _response_whole
    ),
    "messages": Form(
        lambda prompt, more: _through("/v1/messages", {**_messages(prompt), **more}),
        _anthropic_delta,
        _anthropic_whole,
        grammar=False,
    ),
}


def _objects(chunks: list[Any]) -> Iterator[Any]:
    """The JSON values of a stream in either form: objects, or server-sent events as text."""
    for chunk in chunks:
        if not isinstance(chunk, str):
            yield chunk
            continue
        for event in chunk.removesuffix("\n\n").split("\n\n"):
            data = event.partition("data: ")[2]
            if data != "[DONE]":
                yield json.loads(data)


async def _both(model: LanguageModel, form: Form, prompt: str, more: Request) -> tuple[str, str]:
    """The text of one request's answer, whole and streamed."""
    whole = await run_job(model, form.ask(prompt, more))
    streamed = await run_job(model, form.ask(prompt, {**more, "stream": True}))
    for ended in (whole, streamed):
        assert ended.result.error is None, f"{ended.result.error!r} for {prompt!r}, {more!r}"
    return form.whole(whole), form.streamed(streamed)


def _answer(chance: random.Random) -> str:
    """A text to dictate. llama.cpp takes white space off the beginning of a chat's answer."""
    return "Ş" + random_text(chance, ANSWER_PIECES)


def _saying(text: str) -> str:
    """The grammar of that text and no other."""
    return "root ::= " + " ".join(f'"\\U{ord(character):08X}"' for character in text)


async def dictated(model: LanguageModel, seed: int) -> str:
    """One random prompt whose answer is a random text, said byte by byte: it must come out as it is.

    Returns:
        What is wrong; nothing where all is well.
    """
    chance = random.Random(seed)  # noqa: S311 - repeatable on purpose
    name = chance.choice([name for name, form in FORMS.items() if form.grammar])
    prompt, text = random_text(chance, PROMPT_PIECES), _answer(chance)
    grammar = _saying(text)
    stop = chance.choice(text) if chance.random() < 0.2 and name != "responses" else None
    more: Request = {"grammar": grammar, "max_tokens": ANSWER_TOKENS, "seed": 1, **SAME_EACH_TIME}
    if stop is not None:
        more["stop"] = [stop]
        text = text.partition(stop)[0]
    if name == "responses":
        more["max_output_tokens"] = more.pop("max_tokens")
    whole, streamed = await _both(model, FORMS[name], prompt, more)
    if whole == streamed == text:
        return ""
    return f"seed {seed}, {name}, prompt {prompt!r}, stop {stop!r}: {text!r} came as {whole!r}, streamed {streamed!r}"


async def cut(model: LanguageModel, seed: int) -> str:
    """One random text that is cut off after some bytes, perhaps in the middle of a character."""
    chance = random.Random(seed)  # noqa: S311 - repeatable on purpose
    name = chance.choice(["chat", "plain chat", "completion", "plain prompt"])
    # Not what cannot be told from a cut character and the space in its token: see `inference/whole_answers`.
    text = _answer(chance).replace("\ufffd", "").replace(" ", "")
    grammar = _saying(text)
    tokens = chance.randint(1, len(text.encode()))
    more: Request = {"grammar": grammar, "max_tokens": tokens, "seed": 1, **SAME_EACH_TIME}
    whole, streamed = await _both(model, FORMS[name], "Hello", more)
    kept = text.encode()[:tokens].decode(errors="ignore")
    if whole == streamed and whole.startswith(kept):
        return ""
    return f"seed {seed}, {name}: {text!r} cut to {tokens} bytes came as {whole!r}, streamed {streamed!r}"


async def free(model: LanguageModel, seed: int) -> str:
    """One random prompt, answered in the model's own words."""
    chance = random.Random(seed)  # noqa: S311 - repeatable on purpose
    name = chance.choice(list(FORMS))
    prompt = random_text(chance, PROMPT_PIECES)
    more: Request = {"max_tokens": DEMO_TOKENS, "temperature": 0}
    if FORMS[name].grammar:
        more |= {"seed": 1, **SAME_EACH_TIME}
    if name == "responses":
        more["max_output_tokens"] = more.pop("max_tokens")
    whole, streamed = await _both(model, FORMS[name], prompt, more)
    return "" if whole == streamed else f"seed {seed}, {name}, prompt {prompt!r}: {whole!r}, streamed {streamed!r}"


async def soak(prompts: int, first: int) -> list[str]:
    """All three, with the seeds from `first` on: what is wrong."""
    wrong: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        speller = scripted([]).write(Path(folder) / "speller.gguf")
        async with loaded(speller) as model:
            for seed in range(first, first + prompts):
                wrong += filter(None, [await dictated(model, seed), await cut(model, seed)])
    async with loaded(demo_model(), slots=1) as model:
        for seed in range(first, first + prompts):
            wrong += filter(None, [await free(model, seed)])
    return wrong


def main() -> None:
    """`scripts/soak unicode`."""
    parser = argparse.ArgumentParser(prog="scripts/soak unicode", description=__doc__)
    parser.add_argument("--prompts", type=int, default=1000)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    options = parser.parse_args()
    began = time.monotonic()
    wrong = asyncio.run(soak(options.prompts, options.first))
    for line in wrong:
        sys.stdout.write(f"WRONG {line}\n")
    seconds = time.monotonic() - began
    sys.stdout.write(f"{options.prompts} prompts of each kind in {seconds:.0f} s, {len(wrong)} wrong\n")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
