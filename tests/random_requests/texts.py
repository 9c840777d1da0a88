# ruff: noqa: RUF001 - characters that look like others are here on purpose
"""Random texts of what breaks text handling: characters of several code points, of several bytes, and unseen ones."""

import random
import sys
from collections.abc import Sequence

PIECES: Sequence[Sequence[str]] = (
    ("😀", "🎉", "🫠", "❤️", "1️⃣", "☎︎", "🇹🇷", "🇺🇳", "🏴󠁧󠁢󠁳󠁣󠁴󠁿"),
    ("👩‍👩‍👧‍👦", "🏳️‍🌈", "👩🏽‍🚀", "🧑🏿‍❤️‍💋‍🧑🏻", "🐻‍❄️"),
    ("ığüşöç", "İI ıi", "Iğdır'ın ışığı", "ŞĞÇÖÜ"),
    ("السلام عليكم", "مَرْحَبًا", "ﷺ", "لا", "١٢٣", "שָׁלוֹם", "ﬁ"),
    ("e\u0301", "Z͑ͫ̓ͪ̂ͫ̽͏̴̙̤̞͉͚̯̞̠͍A̴̵̜̰͔ͫ͗͢", "ȧ̱̈", "क्षि", "நி", "각", "각", "ไม่"),
    ("漢字かな", "한국어", "𠮷野家", "龘", "，。", "ｱ"),
    ("𝒜𝔅", "𐌰𐌱", "𒀀", "𝄞", "\U0010fffd", "\U000f0000"),
    ("\x01", "\x07", "\b", "\x1b[31m", "\x7f", "\x80", "\x9f", "\t", "\r", "\r\n", "\n\n", "\v", "\f"),
    (
        "\u200b",
        "\u200e",
        "\u202e",
        "\u2028",
        "\u2029",
        "\ufeff",
        "\ufffd",
        "\ufffe",
        "\uffff",
        "\xad",
        "\xa0",
        "\u3000",
    ),
    (
        "data: ",
        "\n\ndata: [DONE]\n\n",
        "<|im_end|>",
        "<think>",
        '"}',
        "\\u0000",
        "\\",
        "'",
        "{{",
        "%}",
        "[INST]",
        "\\n",
    ),
    ("a", "Hello", " ", "  ", "\n", "0", ".", "the end"),
)
"""By kind: emoji, emoji of several, Turkish, right to left, combining, East Asian, beyond 16 bits, control, invisible,
what means something to a protocol or a template, and plain."""


def random_text(chance: random.Random, pieces: int) -> str:
    """That many pieces of all kinds, some of them any character at all. It is never blank."""
    chosen = [_piece(chance) for _ in range(chance.randint(1, pieces))]
    return "".join(chosen) if "".join(chosen).strip() else "İ"


def _piece(chance: random.Random) -> str:
    if chance.random() < 0.2:
        return _any_character(chance)
    return chance.choice(chance.choice(PIECES))


def _any_character(chance: random.Random) -> str:
    """Any that can be in a text: surrogates cannot."""
    code = chance.choice([chance.randrange(1, 0x800), chance.randrange(0x800, 0xD800)])
    return chr(chance.choice([code, chance.randrange(0xE000, 0x10000), chance.randrange(0x10000, sys.maxunicode + 1)]))
