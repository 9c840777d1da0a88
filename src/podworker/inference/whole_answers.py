"""Whole answers, mended where llama.cpp says something else than it does in a stream of the same tokens.

- An answer can be cut off in the middle of a character of several bytes. A stream holds back the token that begins it.
  A whole answer has U+FFFD in its place, or, where a chat template was parsed, nothing; and it keeps the space that a
  token can begin with in most vocabularies. It is not known which tokens there were, so this goes by the likeliest: the
  space goes before a U+FFFD and behind a letter that is not ASCII. Nothing else of an answer depends on it.
- A chat's answer may be nothing but white space. A stream leaves it out, as both do with white space before a word.
"""

import re
from collections.abc import MutableMapping
from typing import Any

_CUT = re.compile(r" ?\ufffd\Z")
_CUT_IN_CHAT = re.compile(rf"{_CUT.pattern}|(?<=[^\x00-\x7f]) \Z")
_WHITE_SPACE = " \t\n\v\f\r"  # C's isspace

Answer = MutableMapping[str, Any]


def as_streamed(answer: Any) -> Any:  # noqa: ANN401 - any JSON value
    """The answer with the texts that its stream would have had; the same object, of any route."""
    if isinstance(answer, list):  # llama.cpp's own, with several answers
        return [as_streamed(one) for one in answer]
    if not isinstance(answer, dict):
        return answer
    for choice in answer.get("choices") or ():
        _mend_choice(choice)
    if answer.get("stop_reason") == "max_tokens" and answer["content"]:  # Anthropic's
        _mend(answer["content"][-1], _CUT_IN_CHAT, "text", "thinking")
    if answer.get("object") == "response":  # the engine does not say there whether it was cut off
        for item in answer["output"][-1:]:
            _mend((item.get("content") or [{}])[-1], _CUT_IN_CHAT, "text")
    if answer.get("stop_type") == "limit":  # llama.cpp's own
        _mend(answer, _CUT, "content")
    return answer


def _mend_choice(choice: Answer) -> None:
    message = choice.get("message")
    if choice.get("finish_reason") == "length":
        if message is None:
            _mend(choice, _CUT, "text")
        else:
            _mend(message, _CUT_IN_CHAT, "content", "reasoning_content")
    if message is not None and message.get("content") and not message["content"].strip(_WHITE_SPACE):
        message["content"] = ""


def _mend(part: Answer, cut: re.Pattern[str], *names: str) -> None:
    """Take the cut character off the text that came last: the first of these that there is."""
    for name in names:
        if text := part.get(name):
            part[name] = cut.sub("", text)
            return
