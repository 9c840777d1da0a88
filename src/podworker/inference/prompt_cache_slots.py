"""What the engine is asked for warm prompts: tokens, and the states of its slots.

A slot continues from the tokens that its own prompt shares with a request; a slot whose prompt is pushed aside leaves
its state to llama.cpp's prompt cache in memory, from which any slot can take it (llama.cpp's `server-context.cpp`,
`get_available_slot`, and `server-task.cpp`, `server_prompt_cache`). That cache keeps equal states once, and who takes
one takes it away. So that all slots find a state at the same time, they are made to differ: by one token at their ends,
another one in each slot, which is dropped again when a request continues. (A recurrent model's state cannot be taken
back by one token: there llama.cpp goes back to a checkpoint that it made shortly before the end.)
"""

import asyncio
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import aiohttp

from podworker.errors import EngineError
from podworker.inference.engine_client import EngineClient
from podworker.inference.prompt_cache_prompts import ChatPrompt, PromptMessage, WarmPrompt

_CONTINUATIONS = ("A", "1", "é", " a", "\n")
"""What may follow a prompt: the tokens that all have in common are those that the tokenizer joins to nothing else."""


class EngineSlots:
    """The slots of a loaded engine.

    Each method raises EngineError where the engine refuses, or is gone.

    Args:
        client: Speaks to the engine.
    """

    def __init__(self, client: EngineClient) -> None:
        self._client = client
        self.folder = client.process.socket.parent
        """Where the engine saves states and looks for them: private, and gone when it ends."""

    async def build(self) -> str:
        """What the engine says of its own build."""
        return str((await self._ask("GET", "/props"))["build_info"])

    async def tokens(self, prompt: WarmPrompt) -> list[int]:
        """The tokens with which every request begins that begins with this prompt."""
        first, *others = await asyncio.gather(*map(self._tokenized, await self._continued(prompt)))
        for other in others:
            first = first[: _common_length(first, other)]
        if not first:
            raise EngineError("Requests with this prompt have no token in common.")
        return first

    async def prefill(self, tokens: Sequence[int], slot: int) -> None:
        """Let a slot compute these tokens, but for those that it has already."""
        body = {"prompt": list(tokens), "n_predict": 0, "cache_prompt": True, "id_slot": slot}
        await self._ask("POST", "/completion", body)

    async def save(self, slot: int, name: str) -> Path:
        """Save the state of a slot as a file in `folder`."""
        await self._ask("POST", f"/slots/{slot}?action=save", {"filename": name})
        return self.folder / name

    async def restore(self, slot: int, name: str, tokens: Sequence[int]) -> None:
        """Give a slot a state from a file in `folder`, which is known to have these tokens."""
        answer = await self._ask("POST", f"/slots/{slot}?action=restore", {"filename": name})
        if answer["n_restored"] != len(tokens):
            raise EngineError("The state has other tokens than its prompt.")

    async def set_apart(self, slots: Iterable[int], tokens: Sequence[int]) -> None:
        """Make the states of slots that all have these tokens differ.

        This also tells each slot the adapters in effect: it forgets its state when a request names others than it had.
        """
        await asyncio.gather(*(self.prefill([*tokens, slot], slot) for slot in slots))

    async def copy_to_prompt_cache(self) -> None:
        """Let the prompt cache have the states of all slots: it takes those of idle ones when any request begins."""
        await self._ask("POST", "/completion", {"prompt": [0], "n_predict": 0})

    async def _continued(self, prompt: WarmPrompt) -> list[str]:
        """The prompt with several continuations, as text."""
        if not isinstance(prompt, ChatPrompt):
            return [prompt.prompt + continuation for continuation in _CONTINUATIONS]
        if prompt.messages[-1].role == "user":  # an answer follows, and nothing else
            return [await self._rendered(prompt.template_body())]
        more = [PromptMessage(role="user", content=continuation) for continuation in _CONTINUATIONS]
        return await asyncio.gather(*(self._rendered(prompt.template_body(message)) for message in more))

    async def _rendered(self, body: dict[str, Any]) -> str:
        return str((await self._ask("POST", "/apply-template", body))["prompt"])

    async def _tokenized(self, text: str) -> list[int]:
        # As the engine does it with the prompt of a request.
        body = {"content": text, "add_special": True, "parse_special": True}
        tokens: list[int] = (await self._ask("POST", "/tokenize", body))["tokens"]
        return tokens

    async def _ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        try:
            async with await self._client.send(method, path, body) as response:
                answer: dict[str, Any] = await response.json()
        except aiohttp.ClientError as error:
            raise EngineError(f"The connection to the engine broke ({type(error).__name__}).") from error
        if not response.ok:
            # Not its message: that may quote the prompt.
            raise EngineError(f"The engine refused {path.partition('?')[0]}: {_reason(answer)}.")
        return answer


def _reason(answer: dict[str, Any]) -> str:
    error = answer.get("error", {})
    if error.get("type") == "exceed_context_size_error":
        return f"the prompt has {error.get('n_prompt_tokens')} tokens, and the context holds {error.get('n_ctx')}"
    return f"{error.get('type', 'unknown')} ({error.get('code', 'no code')})"


def _common_length(first: Sequence[int], second: Sequence[int]) -> int:
    return next(
        (n for n, (a, b) in enumerate(zip(first, second, strict=False)) if a != b), min(len(first), len(second))
    )
