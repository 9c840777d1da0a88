import random
import struct

import pytest

from podworker.models.gguf_strings import BeyondBuffer, skip_strings, split_strings


def written(strings: list[bytes]) -> bytes:
    return b"".join(struct.pack("<Q", len(string)) + string for string in strings)


def strings_of_all_lengths(count: int) -> list[bytes]:
    chance = random.Random(1)  # noqa: S311 - repeatable on purpose
    # NUL bytes and long strings too: they look like lengths, and end the fast way.
    return [chance.choice((b"a", b"\0", b"\xff")) * chance.choice((0, 1, 3, 7, 8, 63, 64, 300)) for _ in range(count)]


@pytest.mark.parametrize("count", [0, 1, 255, 256, 257, 2000])
def test_walks_to_the_end_of_the_array(count: int) -> None:
    strings = strings_of_all_lengths(count)
    buffer = b"before" + written(strings) + b"behind"
    assert skip_strings(buffer, 6, count) == len(buffer) - 6
    assert [string[8:] for string in split_strings(buffer[6:-6], count)] == strings


def test_short_strings_are_walked_over_in_blocks() -> None:
    strings = [b"token"] * 5000
    assert skip_strings(written(strings), 0, 5000) == 5000 * 13


@pytest.mark.parametrize("length", [6, 1 << 31, (1 << 63) - 1, 1 << 63, (1 << 64) - 1])
@pytest.mark.parametrize("more", [0, 1, 1 << 60])
def test_an_array_beyond_the_buffer_is_refused(length: int, more: int) -> None:
    buffer = written([b"token"] * 300) + struct.pack("<Q", length) + b"token"
    with pytest.raises(BeyondBuffer):
        skip_strings(buffer, 0, 301 + more)
