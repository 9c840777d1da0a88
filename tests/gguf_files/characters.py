"""Scripted models with a character."""

from tests.gguf_files.scripted import END, FILL_IN, Script, scripted
from tests.gguf_files.tiny import TinyModel

NO_THOUGHT = "<think>\n\n</think>\n\n"
"""What the template puts before an answer without reasoning."""
SUNNY: Script = ["It is", " sunny ", b"\xf0", b"\x9f", b"\x98", b"\x80", " in ", "İz", "mir", "."]
"""An emoji comes in four tokens."""
CALL, NAME = "\n<tool_call>\n", '{"name": "'


def talker() -> TinyModel:
    """It thinks, then calls two functions. Where it may not think, it says `SUNNY`; a gap in code it fills."""
    thinking = ["<think>\n", "They want ", "the weather.", "\n</think>\n\n"]
    calls = [
        CALL,
        '{"name": "get_weather", ',
        '"arguments": {"city": "Ankara"}}',
        "\n</tool_call>",
        '\n<tool_call>\n{"name": "get_weather", "arguments": {"city": ',
        '"İzmir"}}',
        "\n</tool_call>\n",
    ]
    others: dict[str, Script] = {NO_THOUGHT: SUNNY, FILL_IN["mid"]: ["return ", "a + b"]}
    return scripted([*thinking, "Let me look.", *calls], others=others)


def reluctant() -> TinyModel:
    """It calls a function only if it must, and another one than it would like to if it must."""
    rest = ['", "arguments": {"city": "Ankara"}}', "\n</tool_call>\n"]
    return scripted(
        ["Hello, ", "friend."],
        others={CALL: [NAME, "get_weather", *rest], "get_population": rest},
        second={"friend.": CALL, NAME: "get_population"},
    )


def storyteller() -> TinyModel:
    """It never ends, unless it is told to: it says the same words again and again."""
    words = ["\n\nOnce ", "upon ", "a ", "time, "]
    model = scripted(words)
    numbers = {token: number for number, token in enumerate(model.entries["tokenizer.ggml.tokens"].value)}
    output = model.tensors["output.weight"]
    first, last, end = (numbers[token] for token in (words[0], words[-1], END))
    output[first, last], output[end, last] = output[end, last], 0
    return model
