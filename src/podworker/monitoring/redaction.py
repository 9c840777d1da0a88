"""Secrets out of texts that leave the worker: log lines, errors, metrics, traces.

Two things are masked: the values that this process knows to be secret, wherever they stand, and what looks like a
secret, such as a token of Hugging Face or the signature in a link. The first cannot be found in a text that was cut:
redact, then shorten.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote, unquote

if TYPE_CHECKING:
    from podworker.errors import WorkerError

    E = TypeVar("E", bound=WorkerError)

MASK = "********"
"""As `podworker config` shows secrets; written again here, for that module takes long to import."""
SHORTEST = 6
"""Characters. What is shorter stands in too many words to be masked in each."""
LONGEST = 4096
"""Characters of a secret that are looked for: a private key has about 3,200."""

_SECRET_PARTS = re.compile(
    r"(?:KEYS?|TOKEN|SECRETS?|PASSWORDS?|PASSWD|_PWD|PASSPHRASE|CREDENTIALS?)(?:_|$)", re.IGNORECASE
)
"""In the names of variables. PWD alone is the current folder."""
_PLACES = re.compile(r"_(?:FILE|PATH|DIR|FOLDER|URL|URI|ENDPOINT)$", re.IGNORECASE)
_PROMPTS = "warm_prompts"

_QUOTE = r"""\\*["']"""
_NAMES = r"signature|credential|token|secret|password|passwd|api[-_]?key|access[-_]?key(?:[-_]?id)?"
_SHAPES = rf"""
    (bearer\s+) [\w.~+/=-]{{6,}}
  | (authorization(?:{_QUOTE})?\s*[:=]\s*(?:{_QUOTE})?(?:(?:bearer|basic|digest|token)\s+)?+) [\w.~+/=-]{{6,}}
  | ((?:{_NAMES}|\bsig|[?&]key)=(?:{_QUOTE})?) [^\s&"'<>\\]+  # signed links, and others with a key in them
  | ((?:{_NAMES}){_QUOTE}\s*[:=]\s*{_QUOTE}) [^"'\\]+  # members of objects
  | (://) (?: [^\s/?\#"'<>]{{1,256}}  # user:password@host
            | [^\s/:@"'<>]{{0,256}}+:(?!\d{{1,5}}[/?\#])[^\s@"'<>]{{1,256}}+ ) (?=@)
  | \b(?: (?:hf|rpa)_[a-z0-9]{{16,}} | sk-[\w-]{{16,}} | gh[pousr]_[a-z0-9]{{20,}} | (?:akia|asia)[a-z0-9]{{16}}
        | eyj[\w-]{{10,}}\.[\w-]{{10,}}\.[\w-]* )
    """

_BEGINNINGS = (
    *("://", "bearer", "authorization", "hf_", "rpa_", "sk-", "akia", "asia", "eyj"),
    *("ghp_", "gho_", "ghu_", "ghs_", "ghr_"),
)
_NAMED = ("signature", "credential", "token", "secret", "passw", "key", "sig")
"""One of these stands in whatever `_SHAPES` finds; of the second, beside one of `=`, `"` and `'`. To look for texts is
forty times as fast as to search by the pattern, and most lines hold none."""


class Redactor:
    """Masks what it has learnt to be secret, and what looks like a secret."""

    def __init__(self) -> None:
        self._values: set[str] = set()
        self._known: re.Pattern[str] | None = None

    def learn(self, secrets: Iterable[str]) -> None:
        """Mask these from now on, as they are and as JSON, Python and URLs write them."""
        forms = {form[:LONGEST] for secret in secrets for form in _forms(secret) if len(form) >= SHORTEST}
        if forms <= self._values:
            return
        self._values |= forms
        # Where one begins with another, the shorter one would leave the rest.
        longest_first = sorted(self._values, key=len, reverse=True)
        self._known = re.compile("|".join(map(re.escape, longest_first)))

    def redact(self, text: str) -> str:
        """The text without secrets."""
        # Before the shapes: a part of a known secret may look like the end of one.
        if self._known is not None and any(value in text for value in self._values):
            text = self._known.sub(MASK, text)
        return _shapes().sub(_masked, text) if _may_hold_one(text.lower()) else text


_redactor = Redactor()
redact = _redactor.redact
"""A text without secrets: those that this process has learnt, and what looks like one."""
learn = _redactor.learn
"""Mask these, too, from now on."""


def shortened(text: str, characters: int) -> str:
    """The beginning of a text, without secrets, and without the beginning of one at its end. Cheap for long texts."""
    if len(text) <= characters:
        return redact(text)
    start = text[: characters + LONGEST]
    if len(start) < len(text):  # it may end in the middle of a secret, which is no longer known then
        start = redact(start)[:-LONGEST]
    return f"{redact(start)[:characters]}… ({len(text)} characters)"


def redacted(error: "E") -> "E":
    """The error itself, without secrets in what a client reads of it."""
    error.message = redact(error.message)
    error.args = (error.message, *error.args[1:])
    error.error_code, error.type = redact(error.error_code), redact(error.type)
    if error.param is not None:
        error.param = redact(error.param)
    return error


def plain(value: Any, depth: int = 8) -> Any:  # noqa: ANN401 - any value
    """A value as JSON can carry it, without secrets; what no JSON has becomes text."""
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return value if abs(value) < float("inf") else str(value)
    if isinstance(value, Mapping) and depth:
        return {redact(str(name)): plain(member, depth - 1) for name, member in value.items()}
    if isinstance(value, list | tuple) and depth:
        return [plain(member, depth - 1) for member in value]
    return redact(str(value))


def secrets_of(settings: Any) -> Iterator[str]:  # noqa: ANN401 - configuration.Settings, which takes long to import
    """The secret values among the settings. Of lists, such as API_KEYS, each item is one."""
    for name in type(settings).model_fields:
        value = getattr(settings, name)
        if name == _PROMPTS or not hasattr(value, "get_secret_value"):  # prompts are never logged; parts are no secrets
            continue
        secret: str = value.get_secret_value()
        yield secret
        yield from (item.strip() for item in secret.split(","))
        if "headers" in name:  # NAME=VALUE
            yield from (unquote(item.partition("=")[2]).strip() for item in secret.split(","))


def secrets_of_environment(environ: Mapping[str, str]) -> Iterator[str]:
    """The values whose names say that they are secret, RunPod's RUNPOD_SECRET_NAME among them."""
    for name, value in environ.items():
        if name.upper().startswith("RUNPOD_SECRET_") or (_SECRET_PARTS.search(name) and not _PLACES.search(name)):
            yield value
            yield from (item.strip() for item in value.split(",") if name.upper().endswith("KEYS"))


def _forms(secret: str) -> Iterator[str]:
    """A secret as it may be written; of one with several lines, each long line."""
    secret = secret.strip()
    yield from (secret, quote(secret, safe=""), quote(secret), json.dumps(secret)[1:-1], repr(secret)[1:-1])
    yield json.dumps(secret, ensure_ascii=False)[1:-1]
    if "\n" in secret:
        yield from (line for part in secret.splitlines() if len(line := part.strip()) >= 2 * SHORTEST)


@cache
def _shapes() -> re.Pattern[str]:
    """Compiled when first needed: that takes milliseconds, of which the cold start need not have all."""
    return re.compile(_SHAPES, re.IGNORECASE | re.VERBOSE)


def _may_hold_one(lower: str) -> bool:
    if any(beginning in lower for beginning in _BEGINNINGS):
        return True
    return ("=" in lower or '"' in lower or "'" in lower) and any(name in lower for name in _NAMED)


def _masked(found: re.Match[str]) -> str:
    kept = next((group for group in found.groups() if group is not None), "")
    return kept + MASK
