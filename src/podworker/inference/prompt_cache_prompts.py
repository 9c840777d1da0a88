"""What `WARM_PROMPTS` names: the beginnings that many requests share, such as a long system prompt."""

import json
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from podworker.configuration import Settings
from podworker.errors import InvalidSettings

_FORM = (
    "Write a JSON list of prompts, or the path of a file that holds one. A prompt is a text, or an object such as "
    '{"messages": [{"role": "system", "content": "..."}], "tools": [...]}.'
)


class _Form(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, hide_input_in_errors=True)


class TextPart(_Form):
    """A part of a message. Images are not among them: their state cannot be told by the prompt's text."""

    type: Literal["text"]
    text: str


class PromptMessage(_Form):
    """One message, as requests have it."""

    role: str = Field(min_length=1)
    content: str | list[TextPart]


class TextPrompt(_Form):
    """The beginning of a text, as `/v1/completions` continues it."""

    prompt: str = Field(min_length=1)


class ChatPrompt(_Form):
    """The beginning of a chat. What its template also reads must be as in the requests: the tools, above all."""

    messages: list[PromptMessage] = Field(min_length=1)
    tools: list[dict[str, Any]] | None = None
    chat_template_kwargs: dict[str, Any] | None = None

    def template_body(self, *more: PromptMessage) -> dict[str, Any]:
        """What the engine's `/apply-template` takes to render the messages, and `more` behind them."""
        body = self.model_dump(exclude_none=True)
        return {**body, "messages": [message.model_dump() for message in (*self.messages, *more)]}


WarmPrompt = TextPrompt | ChatPrompt

_LIST = TypeAdapter(list[Any])


def read_warm_prompts(settings: Settings) -> tuple[WarmPrompt, ...]:
    """The prompts of the setting WARM_PROMPTS, each of them once.

    Raises:
        InvalidSettings: It cannot be read; the message names the place, and quotes nothing of a prompt.
    """
    if settings.warm_prompts is None:
        return ()
    value = settings.warm_prompts.get_secret_value().strip()  # a text in TOML may begin on a line of its own
    text = value if value.startswith("[") else _contents(Path(value))
    try:
        items = _LIST.validate_python(json.loads(text))
    except json.JSONDecodeError as error:
        raise _invalid(f"is not JSON (line {error.lineno}, column {error.colno}: {error.msg})") from None
    except ValidationError:
        raise _invalid("is not a list") from None
    prompts = [_prompt(number, item) for number, item in enumerate(items)]
    return tuple(prompt for number, prompt in enumerate(prompts) if prompt not in prompts[:number])


def _contents(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise _invalid("is neither a JSON list nor the path of a file that exists") from None
    except OSError as error:
        raise _invalid(f"names a file that cannot be read ({error.strerror})") from None
    except (UnicodeDecodeError, ValueError):  # no UTF-8; or a path that no file system takes
        raise _invalid("names no file of UTF-8 text") from None


def _prompt(number: int, item: object) -> WarmPrompt:
    form = ChatPrompt if isinstance(item, dict) and "messages" in item else TextPrompt
    try:
        return form.model_validate({"prompt": item} if isinstance(item, str) else item)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        place = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in (number, *first["loc"]))
        raise _invalid(f"is wrong at {place.lstrip('.')}: {first['msg']}") from None


def _invalid(problem: str) -> InvalidSettings:
    return InvalidSettings(f"WARM_PROMPTS {problem}. {_FORM}", param="WARM_PROMPTS")
