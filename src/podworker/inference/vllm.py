"""The input of RunPod's vLLM worker in podworker's words, so that its users can move over.

Its fields are those of the worker-vllm project and of vLLM's `SamplingParams`. What llama.cpp has under another name is
renamed, what asks for nothing is dropped, and what llama.cpp cannot do is refused. docs/migration.md has the table.
"""

import json
from collections.abc import Mapping
from typing import Any

from podworker.gateway.validation import Path, refusal, shown
from podworker.inference.parameters.json_values import unspeakable

SAMPLING = "sampling_params"

WITHOUT_EFFECT = frozenset({
    "use_openai_format",  # answers always have OpenAI's form
    "batch_size",
    "max_batch_size",
    "min_batch_size",
    "batch_size_growth_factor",  # chunks gather while the one before is on its way
    "length_penalty",
    "early_stopping",  # of beam search
    "spaces_between_special_tokens",
    "guided_decoding_backend",
    "guided_whitespace_pattern",
    "output_kind",
})  # fmt: skip

RENAMED: Mapping[str, str] = {"repetition_penalty": "repeat_penalty"}

IMPOSSIBLE: Mapping[str, tuple[tuple[Any, ...], str]] = {
    "use_beam_search": ((False,), "llama.cpp has no beam search"),
    "min_tokens": ((0,), "llama.cpp knows no least number of tokens"),
    "stop_token_ids": (([],), "llama.cpp stops at texts: send them as stop"),
    "include_stop_str_in_output": ((False,), "llama.cpp leaves the text at which it stops out of the answer"),
    "skip_special_tokens": ((True,), "special tokens are left out of the answer"),
    "detokenize": ((True,), "answers are text"),
    "prompt_logprobs": ((), "llama.cpp tells no log-probabilities of the prompt"),
    "truncate_prompt_tokens": ((), "podworker cuts no prompts: a prompt that is too long is an error"),
    "bad_words": (([],), "llama.cpp can keep single tokens out, by logit_bias"),
    "allowed_token_ids": ((), "describe the answer by a grammar"),
    "logits_processors": (([],), "a request cannot bring code"),
    "extra_args": (({},), "they are for extensions of vLLM"),
}
"""What llama.cpp cannot do, the values that do not ask for it, and what to say."""

NO_REGEX = "llama.cpp takes no regular expression for a whole answer: write it as a grammar"

GUIDES = ("json", "json_object", "choice", "grammar", "regex")
"""The ways to guide an answer: `guided_json` …, or `json` … in `guided_decoding` or `structured_outputs`."""


def from_vllm(body: Mapping[str, Any], *, prefix: str = "input") -> dict[str, Any]:
    """Translate a request in the form of RunPod's vLLM worker.

    Args:
        body: `prompt` or `messages`, with vLLM's fields beside it or in `sampling_params`.
        prefix: Stands before the names of fields in errors.

    Returns:
        The same request with podworker's fields beside `prompt` or `messages`. What is none of vLLM's is as it was.

    Raises:
        InvalidInput: It asks for what llama.cpp cannot do, or says two things at once; the message names each field.
    """
    if found := unspeakable(body):  # before values are compared, which is done by recursion
        raise refusal(dict([found]), prefix=prefix)
    return _Translation(body, prefix).result()


class _Translation:
    """One request on its way."""

    def __init__(self, body: Mapping[str, Any], prefix: str) -> None:
        self._given = body
        self._prefix = prefix
        self._body: dict[str, Any] = {}
        self._faults: dict[Path, str] = {}

    def result(self) -> dict[str, Any]:
        """The translated body."""
        sampling = self._object(self._given, (), SAMPLING)
        for name, value in self._given.items():
            if name not in {SAMPLING, "apply_chat_template"}:
                self._translate((), name, value)
        self._apply_chat_template()
        for name, value in sampling.items():
            self._translate((SAMPLING,), name, value)
        if self._faults:
            raise refusal(self._faults, prefix=self._prefix)
        return self._body

    def _translate(self, where: Path, name: str, value: Any) -> None:  # noqa: ANN401 - any JSON value
        path = (*where, name)
        if name in WITHOUT_EFFECT or (value is None and name in IMPOSSIBLE):
            return
        if name in IMPOSSIBLE:
            allowed, why = IMPOSSIBLE[name]
            if not any(value is free or value == free for free in allowed):
                self._faults[path] = f"is not possible here: {why}"
        elif name == "best_of":
            self._best_of(path, value)
        elif name == "logprobs" and where:
            self._logprobs(path, value)
        elif name in {"guided_decoding", "structured_outputs"}:
            guides = self._object({name: value}, where, name)
            for guide in GUIDES:
                self._guide((*path, guide), guide, guides.get(guide))
        elif name.startswith("guided_") and name.removeprefix("guided_") in GUIDES:
            self._guide(path, name.removeprefix("guided_"), value)
        else:
            self._put(path, RENAMED.get(name, name), value)

    def _put(self, path: Path, name: str, value: Any) -> None:  # noqa: ANN401 - any JSON value
        """Set a field of the result, unless another one has said something else."""
        if self._body.get(name) not in (None, value):
            self._faults[path] = f"got {shown(value)}, but {name} is {shown(self._body[name])} already: send one"
        elif value is not None or name not in self._body:
            self._body[name] = value

    def _object(self, holder: Mapping[str, Any], where: Path, name: str) -> Mapping[str, Any]:
        value = holder.get(name)
        if isinstance(value, dict):
            return value
        if value is not None:
            self._faults[*where, name] = f"got {shown(value)}, allowed is an object"
        return {}

    def _apply_chat_template(self) -> None:
        """A prompt becomes the only message of a chat."""
        apply = self._given.get("apply_chat_template")
        if apply not in (None, True, False):
            self._faults["apply_chat_template",] = f"got {shown(apply)}, allowed is true or false"
        elif apply and isinstance(self._body.get("prompt"), str) and "messages" not in self._body:
            self._body["messages"] = [{"role": "user", "content": self._body.pop("prompt")}]

    def _best_of(self, path: Path, value: Any) -> None:  # noqa: ANN401 - any JSON value
        sampling = self._given.get(SAMPLING)
        n = sampling.get("n") if len(path) > 1 and isinstance(sampling, dict) else self._given.get("n")
        if value not in (None, n or 1):
            self._faults[path] = "is not possible here: llama.cpp does not choose among answers; send n"

    def _logprobs(self, path: Path, value: Any) -> None:  # noqa: ANN401 - any JSON value
        """One number in vLLM; in OpenAI's chats a yes and a number."""
        if "messages" not in self._body or value is None:
            self._put(path, "logprobs", value)
            return
        self._put(path, "logprobs", True)
        self._put(path, "top_logprobs", value)

    def _guide(self, path: Path, kind: str, value: Any) -> None:  # noqa: ANN401 - any JSON value
        """One way to guide the answer."""
        if value is None or value is False:
            return
        if kind == "json":
            self._put(path, "json_schema", self._schema(path, value))
        elif kind == "json_object":
            self._put(path, "json_schema", {"type": "object"})
        elif kind == "choice" and isinstance(value, list) and value and all(isinstance(word, str) for word in value):
            self._put(path, "grammar", f"root ::= {' | '.join(map(_quoted, value))}")
        elif kind == "choice":
            self._faults[path] = f"got {shown(value)}, allowed is a list of texts"
        elif kind == "grammar" and isinstance(value, str) and "::=" in value:
            self._put(path, "grammar", value)
        elif kind == "grammar":
            self._faults[path] = "is not possible here: llama.cpp takes grammars in its form GBNF, with ::="
        else:
            self._faults[path] = f"is not possible here: {NO_REGEX}"

    def _schema(self, path: Path, value: Any) -> Any:  # noqa: ANN401 - any JSON value
        """A schema, which vLLM also takes as text."""
        if not isinstance(value, str):
            return value
        try:
            return json.loads(value)
        except (ValueError, RecursionError):
            self._faults[path] = f"got {shown(value)}, allowed is a JSON schema"
            return None


def _quoted(word: str) -> str:
    """A text as grammars have it."""
    escapes = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"}
    return '"' + "".join(escapes.get(character, character) for character in word) + '"'
