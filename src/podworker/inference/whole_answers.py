"""Whole answers, mended where llama.cpp says something else than it does in a stream of the same tokens.

- An answer can be cut off in the middle of a character of several bytes. A stream holds back the token that begins it,
  and a whole answer ends with U+FFFD. In most vocabularies a token can be a space and the first bytes of a character, so
  a space before goes, too. What cannot be told apart: U+FFFD as the model's last word, and a space of its own token.
- A chat's answer may be nothing but white space. A stream leaves it out, as both do with white space before a word.
"""

from collections.abc import MutableMapping
from typing import Any

CUT_CHARACTER = "\ufffd"
WHITE_SPACE = " \t\n\v\f\r"  # C's isspace

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
        _mend(answer["content"][-1], "text", "thinking")
    if answer.get("object") == "response":  # the engine does not say there whether it was cut off
        for item in answer["output"][-1:]:
            _mend((item.get("content") or [{}])[-1], "text")
    if answer.get("stop_type") == "limit":  # llama.cpp's own
        _mend(answer, "content")
    return answer


def _mend_choice(choice: Answer) -> None:
    message = choice.get("message")
    if choice.get("finish_reason") == "length":
        _mend(choice if message is None else message, "text", "content", "reasoning_content")
    if message is not None and message.get("content") and not message["content"].strip(WHITE_SPACE):
        message["content"] = ""


def _mend(part: Answer, *names: str) -> None:
    """Take the cut character off the text that came last: the first of these that there is."""
    for name in names:
        if text := part.get(name):
            if text.endswith(CUT_CHARACTER):
                part[name] = text.removesuffix(CUT_CHARACTER).removesuffix(" ")
            return
