"""`.runpod/hub.json` and `.runpod/tests.json`, written from the settings and the presets.

Source of their form: RunPod's documentation, "Hub publishing guide". `hub_rules` checks it.
"""

import json
from collections.abc import Mapping
from typing import Any

from podworker.configuration import Settings
from podworker.configuration.declarations import Declaration, declarations
from podworker.deployment.disk import disk_gb
from podworker.deployment.images import DEFAULT_VARIANT, REPOSITORY, allowed_cuda
from podworker.deployment.presets import Preset, presets

TITLE = "podworker: llama.cpp for any GGUF model"
DESCRIPTION = (
    "Serves any GGUF language model with llama.cpp and the APIs of OpenAI and Anthropic: chat, tools, JSON schemas, "
    "images, embeddings, reranking, LoRA. Short cold starts, no lost jobs."
)
ICON = f"https://raw.githubusercontent.com/{REPOSITORY}/main/.runpod/icon.png"

SHOWN = ("model", "hf_token", "context_length", "slots")
"""Settings whose fields are open at once; the others are behind "Advanced"."""
OFFERED = (
    *SHOWN,
    *("model_name", "mmproj", "lora", "model_task", "draft_model", "speculative"),
    *("cache_type_k", "flash_attention", "gpu_layers", "gpu_memory_reserve_mb", "batch_size", "engine_restarts"),
    *("default_temperature", "default_top_p", "default_top_k", "default_min_p", "default_repeat_penalty"),
    *("default_max_tokens", "max_tokens_limit", "grammars", "image_urls", "warm_prompts"),
    *("model_store_max_gb", "offline", "hf_endpoint"),
    *("aws_access_key_id", "aws_secret_access_key", "aws_endpoint_url", "aws_region"),
    *("job_timeout_seconds", "drain_seconds", "api_keys", "queue_limit", "cors_origins"),
    *("bucket_endpoint_url", "bucket_access_key_id", "bucket_secret_access_key", "bucket_name"),
    *("log_level", "log_format", "otel_exporter_otlp_endpoint", "otel_exporter_otlp_headers", "traces"),
)
"""Settings that make sense on RunPod. Those that only help elsewhere would bury them."""

_SPELLING = {
    **{name: name.upper() for name in ("api", "aws", "cors", "gb", "gpu", "hf", "id", "mb", "otlp", "url")},
    "lora": "LoRA adapters",
    "mmproj": "projector (MMPROJ)",
    "otel": "OpenTelemetry",
    "urls": "URLs",
}

TEST_MODEL = "Qwen/Qwen2.5-0.5B-Instruct-GGUF:Q4_K_M"
"""Small: it is there in seconds."""
TEST_GPU = "NVIDIA GeForce RTX 4090"
_FIRST_TEST_MS = 900_000
"""The first test waits for the worker, and for its download."""
_TEST_MS = 120_000


def hub() -> dict[str, Any]:
    """What hub.json holds."""
    known = declarations(Settings)
    schemas: Mapping[str, Mapping[str, Any]] = Settings.model_json_schema()["properties"]
    default = presets()[0]
    return {
        "title": TITLE,
        "description": DESCRIPTION,
        "type": "serverless",
        "category": "language",
        "iconUrl": ICON,
        "config": {
            "runsOn": "GPU",
            # Room for any of the presets: one who chooses another one there does not come back to this field.
            "containerDiskInGb": max(disk_gb(preset.info.size) for preset in presets()),
            "gpuCount": 1,
            "gpuIds": ",".join(fit.pool.id for fit in default.fits()),
            "allowedCudaVersions": allowed_cuda(DEFAULT_VARIANT),
            "presets": [_preset(preset) for preset in presets()],
            "env": [
                {"key": known[name].variable, "input": _input(known[name], schemas[name], default)} for name in OFFERED
            ],
        },
    }


def tests() -> dict[str, Any]:
    """What tests.json holds: jobs that RunPod sends to a worker of each release."""
    question = [{"role": "user", "content": "What is the capital of France? Answer in one word."}]
    return {
        "tests": [
            {"name": "chat", "input": {"messages": question, "max_tokens": 16}, "timeout": _FIRST_TEST_MS},
            {
                "name": "openai_chat",
                "input": {
                    "openai_route": "/v1/chat/completions",
                    "openai_input": {"model": "any", "messages": question, "max_tokens": 16},
                },
                "timeout": _TEST_MS,
            },
            {"name": "completion", "input": {"prompt": "Once upon a time", "max_tokens": 16}, "timeout": _TEST_MS},
            {"name": "openai_models", "input": {"openai_route": "/v1/models"}, "timeout": _TEST_MS},
        ],
        "config": {
            "gpuTypeId": TEST_GPU,
            "gpuCount": 1,
            "env": [{"key": "MODEL", "value": TEST_MODEL}],
            "allowedCudaVersions": allowed_cuda(DEFAULT_VARIANT),
        },
    }


def files() -> dict[str, str]:
    """The files of `.runpod/`, by their names, as they are written."""
    return {
        name: json.dumps(content, indent=2, ensure_ascii=False) + "\n"
        for name, content in (("hub.json", hub()), ("tests.json", tests()))
    }


def _preset(preset: Preset) -> dict[str, Any]:
    least = min(fit.pool.memory_gb for fit in preset.fits())
    return {"name": f"{preset.name} ({least} GB GPU)", "defaults": {"MODEL": preset.model}}


def _input(declaration: Declaration, schema: Mapping[str, Any], default: Preset) -> dict[str, Any]:
    """The field of one setting."""
    (kind,) = [kind for kind in schema.get("anyOf", [schema]) if kind.get("type") != "null"]
    field: dict[str, Any] = {
        "name": _label(declaration.name),
        "type": _TYPES[kind["type"]],
        "description": declaration.description.replace("`", ""),
        "required": declaration.name == "model",
        "advanced": declaration.name not in SHOWN,
    }
    if declaration.name == "model":
        field["default"] = default.model
    elif declaration.default is not None:
        field["default"] = declaration.default
    if "enum" in kind:
        field["options"] = [{"label": str(value), "value": str(value)} for value in kind["enum"]]
    if kind["type"] == "boolean":
        field |= {"trueValue": "true", "falseValue": "false"}
    if field["type"] == "number":
        limits = {"min": kind.get("minimum", kind.get("exclusiveMinimum")), "max": kind.get("maximum")}
        field |= {name: limit for name, limit in limits.items() if limit is not None}
    return field


_TYPES = {"string": "string", "integer": "number", "number": "number", "boolean": "boolean"}


def _label(name: str) -> str:
    """A setting's name as a form shows it: `default_top_p` is "Default top p"."""
    words = [_SPELLING.get(word, word) for word in name.split("_")]
    text = " ".join(words)
    return text[0].upper() + text[1:]
