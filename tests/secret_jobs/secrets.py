"""Secrets that can be found again: whole, or any part of them that is long enough to matter."""

import random
from collections.abc import Iterable, Mapping

MARK = "Zq7xJv"
"""Stands at the start, in the middle and at the end of each secret, and nowhere else."""
CANARY = "kAnArY"
"""Stands in each prompt. Clients may read it; the log holds it only with LOG_CONTENT."""


class Secrets:
    """Makes them.

    Args:
        chance: Random numbers.
    """

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance

    def value(self, begin: str = "") -> str:
        """One secret, of letters and digits."""
        first, second = (f"{self._chance.getrandbits(48):012x}" for _ in "12")
        return f"{begin}{MARK}{first}{MARK}{second}{MARK}"

    def environment(self) -> dict[str, str]:
        """The settings and the variables of a worker: each of these values is to be found nowhere."""
        return {
            "API_KEYS": f"{self.value()}, {self.value('sk-')}",
            "HF_TOKEN": self.value("hf_"),
            "BUCKET_SECRET_ACCESS_KEY": f"{self.value()}/+=&{self.value()}",
            "RUNPOD_SECRET_SOAK": f'{self.value()} "with\\odd" characters {self.value()}',
            "DATABASE_PASSWORD": self.value(),
            "OTEL_EXPORTER_OTLP_HEADERS": f"Authorization=Bearer%20{self.value()},x-scope={self.value()}",
            "PRIVATE_KEY": f"-----BEGIN-----\n{self.value()}\n{self.value()}\n-----END-----",
        }

    def text(self) -> str:
        """What a client may send, or an exception may say: secrets that nobody knows, but that look like some."""
        link = f"https://host/x?X-Amz-Date=1&X-Amz-Signature={self.value()}&sig={self.value()}"
        return (
            f"{self.value('hf_')} and Bearer {self.value()} and {self.value('sk-')}, "
            f"postgres://me:{self.value()}@host/db "
            f'{link} {{"api_key": "{self.value()}", "password": "{self.value()}"}} token={self.value()}'
        )


class Search:
    """Looks for them.

    What else leaves a worker, such as metrics and traces, is searched by `add`, too.
    """

    def __init__(self) -> None:
        self.leaks: list[str] = []
        self.characters: dict[str, int] = {}
        """How much was searched, by what it was."""

    def add(self, where: str, text: str, *, marks: Iterable[str] = (MARK,)) -> None:
        """Search a text, and note each place where a mark stands in it, with a little of what is about it."""
        self.characters[where] = self.characters.get(where, 0) + len(text)
        for mark in marks:
            start = text.find(mark)
            while start >= 0:
                self.leaks.append(f"{where}: {text[max(0, start - 80) : start + 40]!r}")
                start = text.find(mark, start + 80)

    def add_all(self, texts: Mapping[str, str]) -> None:
        """Search several."""
        for where, text in texts.items():
            self.add(where, text)
