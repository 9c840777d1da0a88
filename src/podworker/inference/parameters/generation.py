"""What all routes that generate text share: how tokens are chosen, when to stop, what to tell."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, ConfigDict

from podworker.gateway.validation import Path
from podworker.inference.parameters.fields import INT32, Choice, Kind, LeftOut, Number, Refused, Text, Texts, Whole
from podworker.inference.parameters.grammars import Grammar, Schema
from podworker.inference.parameters.limits import Limits
from podworker.inference.parameters.route import RouteParameters

MAX_BIASES = 1024
MAX_WINDOW = 65_536
"""Tokens that a penalty looks back at. Measured: a window of 1e9 tokens holds the engine up for 8 seconds."""
MAX_BREAKERS = 16
"""The engine looks for each in its whole vocabulary. Measured: 0.03 s for each with 49,000 tokens."""
MAX_INFILL_TOP_K = 1000
"""Measured: the sampler `infill` never ends with all 49,000 tokens, and takes a millisecond with 1,000."""
MAX_TOP = 20
"""Likely tokens told for each token: OpenAI's limit. Measured: 100,000 hold the engine up for 3 seconds."""

FEW_TOKENS = range(1, MAX_INFILL_TOP_K + 1)

Unit = Annotated[float, Number(0, 1)]
Penalty = Annotated[float, Number(-2, 2)]
Tokens = Annotated[int, Whole(1, INT32, limit="max_tokens")]
Flag = Annotated[bool, Choice((True, False))]
Count = Annotated[int, Whole(0, INT32)]
Window = Annotated[int, Whole(0, MAX_WINDOW)]

_SAMPLERS = (
    "dry",
    "top_k",
    "top_p",
    "top_n_sigma",
    "typ_p",
    "min_p",
    "temperature",
    "xtc",
    "infill",
    "penalties",
    "adaptive_p",
)
_SAMPLER_LETTERS = "dkpsymtxiea"  # common/sampling.cpp, common_sampler_type_to_chr


@dataclass(frozen=True)
class Samplers(Kind):
    """The order of samplers: a list of names, or llama.cpp's letters. The engine skips names that it does not know."""

    def allowed(self, limits: Limits) -> str:
        """The names, in words."""
        del limits
        return f"a list of {', '.join(_SAMPLERS)}, or text of the letters {_SAMPLER_LETTERS}, each at most once"

    def allows(self, value: Any, limits: Limits) -> bool:  # noqa: ANN401 - any JSON value
        """Whether all are known, and none is there twice."""
        del limits
        if isinstance(value, list):
            known: Sequence[str] = _SAMPLERS
            value = [_SAMPLER_ALIASES.get(name, name) if isinstance(name, str) else name for name in value]
        elif isinstance(value, str):
            known = _SAMPLER_LETTERS
        else:
            return False
        return len(value) <= len(known) and all(value.count(name) == 1 and name in known for name in value)


_SAMPLER_ALIASES = {
    **{name.replace("_", mark): name for name in _SAMPLERS for mark in ("-", "")},
    "nucleus": "top_p",
    "temp": "temperature",
    "typ": "typ_p",
    "typical_p": "typ_p",
}
"""Other spellings (common/sampling.cpp, common_sampler_types_from_names), and the parameter's own name."""


def order_of_samplers(samplers: list[str] | str | None) -> list[str]:
    """The samplers by their names."""
    if isinstance(samplers, str):
        return [dict(zip(_SAMPLER_LETTERS, _SAMPLERS, strict=True))[letter] for letter in samplers]
    return [_SAMPLER_ALIASES.get(name, name) for name in samplers or ()]


@dataclass(frozen=True)
class LogitBias(Kind):
    """OpenAI's object of token numbers, or llama.cpp's list of pairs, with texts as tokens and false for never."""

    def allowed(self, limits: Limits) -> str:
        """The two forms, in words."""
        del limits
        return f"an object or a list of pairs, of at most {MAX_BIASES} tokens with a number from -100 to 100 or false"

    def allows(self, value: Any, limits: Limits) -> bool:  # noqa: ANN401 - any JSON value
        """Whether each token has a bias."""
        if not isinstance(value, dict | list) or len(value) > MAX_BIASES:
            return False
        pairs = list(value.items()) if isinstance(value, dict) else value
        return all(self._is_pair(pair, limits) for pair in pairs)

    def _is_pair(self, pair: Any, limits: Limits) -> bool:  # noqa: ANN401 - any JSON value
        if not isinstance(pair, list | tuple) or len(pair) != 2:
            return False
        token, bias = pair
        is_token = Whole(0, INT32).allows(token, limits) or Text(128, least=1).allows(token, limits)
        return is_token and (bias is False or Number(-100, 100).allows(bias, limits))


class StreamOptions(BaseModel):
    """`stream_options`."""

    model_config = ConfigDict(strict=True, extra="ignore")

    include_usage: Flag | None = None


class Sampling(RouteParameters):
    """How tokens are chosen. The ranges are OpenAI's, and llama.cpp's for what OpenAI does not have."""

    temperature: Annotated[float, Number(0, 2)] | None = None
    top_p: Unit | None = None
    top_k: Annotated[int, Whole(-1, INT32)] | None = None
    min_p: Unit | None = None
    typical_p: Unit | None = None
    top_n_sigma: Annotated[float, Number(-1, 100)] | None = None
    xtc_probability: Unit | None = None
    xtc_threshold: Unit | None = None
    dynatemp_range: Annotated[float, Number(0, 2)] | None = None
    dynatemp_exponent: Annotated[float, Number(0, 10)] | None = None
    repeat_penalty: Annotated[float, Number(0.01, 100)] | None = None
    repeat_last_n: Window | None = None
    frequency_penalty: Penalty | None = None
    presence_penalty: Penalty | None = None
    dry_multiplier: Annotated[float, Number(0, 100)] | None = None
    dry_base: Annotated[float, Number(1, 100)] | None = None
    dry_allowed_length: Window | None = None
    dry_penalty_last_n: Window | None = None
    dry_sequence_breakers: Annotated[list[str], Texts(MAX_BREAKERS, 40, least=1)] | None = None
    mirostat: Annotated[int, Whole(0, 2)] | None = None
    mirostat_tau: Annotated[float, Number(0, 100)] | None = None
    mirostat_eta: Unit | None = None
    adaptive_target: Annotated[float, Number(-1, 1)] | None = None
    adaptive_decay: Annotated[float, Number(0, 0.99)] | None = None
    samplers: Annotated[list[str] | str, Samplers()] | None = None
    min_keep: Annotated[int, Whole(0, MAX_WINDOW)] | None = None
    seed: Annotated[int, Whole(-(2**63), 2**63 - 1)] | None = None
    logit_bias: Annotated[dict[str, Any] | list[Any], LogitBias()] | None = None
    ignore_eos: Flag | None = None

    def faults(self, body: Mapping[str, Any], limits: Limits) -> Iterator[tuple[Path, str]]:
        """A sampler that compares all tokens with each other."""
        yield from super().faults(body, limits)
        order = order_of_samplers(self.samplers)
        if "infill" in order and ("top_k" not in order[: order.index("infill")] or self.top_k not in FEW_TOKENS):
            top_k = f"top_k before it, and top_k from 1 to {MAX_INFILL_TOP_K}"
            yield ("samplers",), f"got infill, which needs {top_k}"


class Generation(Sampling):
    """What all routes of llama.cpp's own making take beside the sampling."""

    same: ClassVar[Sequence[Sequence[str]]] = (
        ("n_predict", "max_tokens", "max_completion_tokens"),
        ("n_cmpl", "n"),
    )
    tokens_name: ClassVar[str | None] = "n_predict"

    n_predict: Annotated[int, Whole(-1, INT32, limit="max_tokens")] | None = None
    max_tokens: Tokens | None = None
    max_completion_tokens: Tokens | None = None
    n: Annotated[int, Whole(1, 128, limit="n")] | None = None
    n_cmpl: Annotated[int, Whole(1, 128, limit="n")] | None = None
    stop: Annotated[str | list[str], Texts(64, 1024, single=True)] | None = None
    grammar: Annotated[str, Grammar()] | None = None
    json_schema: Annotated[dict[str, Any], Schema()] | None = None
    stream: Flag | None = None
    stream_options: StreamOptions | None = None
    cache_prompt: Flag | None = None
    timings_per_token: Flag | None = None
    return_progress: Flag | None = None
    return_tokens: Flag | None = None
    sse_ping_interval: Annotated[int, Whole(1, 86_400)] | None = None
    post_sampling_probs: Flag | None = None
    response_fields: Annotated[list[str], Texts(64, 256)] | None = None
    t_max_predict_ms: Annotated[int, Whole(-1, 86_400_000)] | None = None
    n_indent: Count | None = None
    n_keep: Annotated[int, Whole(-1, INT32)] | None = None
    n_discard: Count | None = None
    n_cache_reuse: Count | None = None
    reasoning_budget_tokens: Annotated[int, Whole(-1, INT32)] | None = None
    reasoning_budget_message: Annotated[str, Text(4096)] | None = None
    backend_sampling: Flag | None = None

    user: Annotated[Any, LeftOut()] = None
    id_slot: Annotated[Any, Refused("the worker chooses the slot", unless=(-1,))] = None
    lora: Annotated[Any, Refused("choose an adapter by its name in model")] = None
    verbose: Annotated[Any, Refused("it is for finding faults in the engine", unless=(False,))] = None
    grammar_lazy: Annotated[Any, Refused("the chat template decides it", unless=(False,))] = None
    grammar_triggers: Annotated[Any, Refused("the chat template decides it", unless=([],))] = None
    grammar_type: Annotated[Any, Refused("the chat template decides it")] = None
    preserved_tokens: Annotated[Any, Refused("the chat template decides it", unless=([],))] = None
    reasoning_control: Annotated[Any, Refused("there is no route to control it by", unless=(False,))] = None

    def for_engine(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Without llama.cpp's -1, which means that nobody has given a number of tokens."""
        engine_body = super().for_engine(body)
        if self.tokens_name and engine_body.get(self.tokens_name) == -1:
            del engine_body[self.tokens_name]
        return engine_body
