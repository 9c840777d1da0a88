"""A model that says what it was told to: whatever came before, each token has exactly one successor.

Its embeddings are the axes of a space as wide as the vocabulary, its layer adds nothing, and its output matrix names
the successor. So tool calls, reasoning and split characters come from the real engine, in milliseconds, for certain.
"""

from collections.abc import Iterable, Mapping, Sequence

import gguf
import numpy as np
import numpy.typing as npt
from gguf.constants import GGUFValueType as Type

from tests.gguf_files.tiny import Entry, Tensors, TinyModel, array, text, u32

ASSISTANT = "<|im_start|>assistant\n"
END = "<|im_end|>"
FILL_IN = {"pre": "<|fim_prefix|>", "suf": "<|fim_suffix|>", "mid": "<|fim_middle|>"}
CONTEXT, INNER, HEAD = 8192, 32, 32
CERTAIN = 40.0
"""The logit of the successor; all others have 0."""
CONTROL, USER_DEFINED, NORMAL = 3, 4, 1

TEMPLATE = r"""
{%- if tools %}
    {{- '<|im_start|>system\nCall these functions:\n<tools>' }}
    {%- for tool in tools %}{{- '\n' + (tool | tojson) }}{%- endfor %}
    {{- '\n</tools>\nas <tool_call>\n{"name": ..., "arguments": ...}\n</tool_call><|im_end|>\n' }}
{%- endif %}
{%- for message in messages %}
    {%- if message.role == 'tool' %}
        {{- '<|im_start|>user\n<tool_response>\n' + message.content + '\n</tool_response><|im_end|>\n' }}
    {%- elif message.role == 'assistant' %}
        {{- '<|im_start|>assistant\n' }}
        {%- if message.reasoning_content %}{{- '<think>\n' + message.reasoning_content + '\n</think>\n\n' }}{%- endif %}
        {%- if message.content %}{{- message.content }}{%- endif %}
        {%- for call in message.tool_calls or [] %}
            {{- '\n<tool_call>\n{"name": "' + call.function.name + '", "arguments": ' }}
            {{- call.function.arguments | tojson }}
            {{- '}\n</tool_call>' }}
        {%- endfor %}
        {{- '<|im_end|>\n' }}
    {%- else %}
        {{- '<|im_start|>' + message.role + '\n' + message.content + '<|im_end|>\n' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\n' }}
    {%- if enable_thinking is defined and enable_thinking is false %}{{- '<think>\n\n</think>\n\n' }}{%- endif %}
{%- endif %}
"""
"""As Qwen's: tools, reasoning, and a switch for it."""

Script = Sequence[str | bytes]
"""Tokens one after the other: text as one token each, or one byte of a character that is split."""


def scripted(
    answer: Script,
    *,
    others: Mapping[str, Script] | None = None,
    second: Mapping[str, str] | None = None,
    template: str = TEMPLATE,
) -> TinyModel:
    """A model that answers every chat with `answer`.

    Args:
        answer: What it says.
        others: What it says after other texts than a chat's, such as `FILL_IN["mid"]`.
        second: What it says after a token whose successor it may not say.
        template: Its chat template.
    """
    scripts = {ASSISTANT: answer, **(others or {})}
    vocabulary = _Vocabulary([piece for start, script in scripts.items() for piece in (start, *script)])
    output = _output(vocabulary, scripts, second or {})
    return TinyModel("llama", {**_entries(vocabulary), "tokenizer.chat_template": text(template)}, _tensors(output))


class _Vocabulary:
    """The 256 bytes, then a token for each text."""

    def __init__(self, pieces: Iterable[str | bytes]) -> None:
        self._bytes = gguf.bytes_to_unicode()
        known = [*self._bytes.values(), END, *FILL_IN.values()]
        self.tokens = list(dict.fromkeys([*known, *(piece for piece in pieces if isinstance(piece, str))]))
        self.kinds = [NORMAL] * 256 + [CONTROL] * 4 + [USER_DEFINED] * (len(self.tokens) - len(known))

    def number(self, piece: str | bytes) -> int:
        return self.tokens.index(self._bytes[piece[0]] if isinstance(piece, bytes) else piece)


def _output(
    vocabulary: _Vocabulary, scripts: Mapping[str, Script], second: Mapping[str, str]
) -> npt.NDArray[np.float32]:
    """The logit of each token after each."""
    successors: dict[str | bytes, str | bytes] = {}
    for start, script in scripts.items():
        for piece, successor in zip([start, *script], [*script, END], strict=True):
            assert successors.setdefault(piece, successor) == successor, f"{piece!r} would have two successors"
    count = len(vocabulary.tokens)
    output = np.zeros((count, _width(count)), np.float32)
    for logit, pairs in ((CERTAIN, successors), (CERTAIN / 2, second)):
        for piece, successor in pairs.items():
            output[vocabulary.number(successor), vocabulary.number(piece)] = logit
    return output


def _entries(vocabulary: _Vocabulary) -> dict[str, Entry]:
    count = len(vocabulary.tokens)
    numbers = {
        "block_count": 1,
        "context_length": CONTEXT,
        "embedding_length": _width(count),
        "feed_forward_length": INNER,
        "attention.head_count": 1,
        "attention.head_count_kv": 1,
        "attention.key_length": HEAD,
        "attention.value_length": HEAD,
        "rope.dimension_count": HEAD,
        "vocab_size": count,
    }
    return {
        "general.type": text("model"),
        "general.name": text("scripted"),
        **{f"llama.{key}": u32(value) for key, value in numbers.items()},
        "llama.attention.layer_norm_rms_epsilon": Entry(1e-5, Type.FLOAT32),
        "tokenizer.ggml.model": text("gpt2"),
        "tokenizer.ggml.pre": text("gpt-2"),
        "tokenizer.ggml.tokens": array(vocabulary.tokens, Type.STRING),
        "tokenizer.ggml.token_type": array(vocabulary.kinds, Type.INT32),
        "tokenizer.ggml.merges": array(["\u0100 \u0100"], Type.STRING),  # a list must have one; this one never applies
        "tokenizer.ggml.eos_token_id": u32(vocabulary.number(END)),
        "tokenizer.ggml.add_bos_token": Entry(value=False, type=Type.BOOL),
        **{f"tokenizer.ggml.fim_{key}_token_id": u32(vocabulary.number(piece)) for key, piece in FILL_IN.items()},
    }


def _tensors(output: npt.NDArray[np.float32]) -> Tensors:
    count, width = output.shape
    zeros = {
        "attn_q": (HEAD, width),
        "attn_k": (HEAD, width),
        "attn_v": (HEAD, width),
        "attn_output": (width, HEAD),
        "ffn_gate": (INNER, width),
        "ffn_up": (INNER, width),
        "ffn_down": (width, INNER),
    }
    ones = {"output_norm": (width,), "blk.0.attn_norm": (width,), "blk.0.ffn_norm": (width,)}
    return {
        "token_embd.weight": np.eye(count, width, dtype=np.float32),
        "output.weight": output / np.sqrt(np.float32(width)),  # the norm makes an axis sqrt(width) long
        **{f"{name}.weight": np.ones(shape, np.float32) for name, shape in ones.items()},
        **{f"blk.0.{name}.weight": np.zeros(shape, np.float32) for name, shape in zeros.items()},
    }


def _width(count: int) -> int:
    """An axis for each token."""
    return -(-count // 32) * 32
