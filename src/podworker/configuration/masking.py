"""What of a setting's value may be shown: never a secret, nor a part or the length of one."""

import json
import re
from pathlib import Path

from pydantic import SecretStr

from podworker.configuration.declarations import Declaration

MASK = "********"
_LONGEST = 100

# In an address that should hold no password at all, everything before the last "@" may be one, and so may what stands
# where a port should. Elsewhere ("hf://organisation/model@revision") only what RFC 3986 calls user information is.
_BEFORE_LAST_AT = re.compile(r"^((?:[a-z][a-z0-9+.-]*:)?//)?.*@", re.IGNORECASE | re.DOTALL)
_ODD_PORT = re.compile(r":(?!//)(?!\d+(?:[/?#]|$))[^/?#]+")
_USER_INFORMATION = re.compile(r"(?<=://)[^/?#]*@")
_QUERY = re.compile(r"(?<=[?#]).+", re.DOTALL)


def shown(value: object, declaration: Declaration) -> object:
    """The value as it may be printed: a JSON value in which secrets are masked."""
    if declaration.secret and value is not None:
        return MASK
    if isinstance(value, str | Path):
        return _shown_text(str(value), address=declaration.address)
    if isinstance(value, SecretStr):
        return MASK
    return value


def quoted(value: object, declaration: Declaration) -> str:
    """A given value, valid or not, as an error message may quote it: one short line."""
    if isinstance(value, dict):
        return "a table"
    if isinstance(value, list | tuple):
        return "a list"
    if declaration.secret:
        kind = "an empty text" if value == "" else "a text" if isinstance(value, str) else "not a text"
        return f"{MASK} ({kind})"
    text = json.dumps(shown(value, declaration), ensure_ascii=False, default=str)
    # A path may hold bytes that are no UTF-8; they arrive as lone surrogates, which no stream prints.
    text = text.encode("utf-8", "backslashreplace").decode()
    return text if len(text) <= _LONGEST else text[:_LONGEST] + "..."


def _shown_text(text: str, *, address: bool) -> str:
    if address:
        text = _BEFORE_LAST_AT.sub(rf"\1{MASK}@", text)
        text = _ODD_PORT.sub(f":{MASK}", text)
    elif "://" not in text:
        return text
    return _QUERY.sub(MASK, _USER_INFORMATION.sub(f"{MASK}@", text))
