"""What `podworker models` draws."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table

from podworker.models.integrity import Condition
from podworker.models.inventory import Entry
from podworker.models.metadata import ModelInfo
from podworker.models.sizes import duration_text, size_text
from podworker.models.uses import Activity

_USED = {Activity.BUSY: "in use", Activity.UNKNOWN: "perhaps in use"}
_CONDITIONS = {
    Condition.UNTOUCHED: "",
    Condition.CHANGED: "changed since: will be verified",
    Condition.DAMAGED: "damaged: will be fetched again",
}


def listing(entries: Sequence[Entry], roots: Sequence[Path]) -> RenderableType:
    """The stored models, with their sizes and last uses."""
    where = "\n".join(f"Store: {root}" for root in roots)
    if not entries:
        return f"{where}\nIt is empty. To fill it: podworker models pull MODEL"
    table = Table("Model", "Size", "Quantization", "Last use", "", box=None, pad_edge=False)
    table.columns[1].justify = "right"
    for entry in entries:
        size = size_text(entry.model.record.size)
        name = "\n".join([*entry.references, f"[dim]{entry.name}[/dim]"])
        table.add_row(name, size, entry.quantization or "-", _last_use(entry), _CONDITIONS[entry.condition])
    total = size_text(sum(entry.model.record.size for entry in entries))
    return Group(table, f"\n{where}\n{len(entries)} {'model' if len(entries) == 1 else 'models'}, {total}")


def _last_use(entry: Entry) -> str:
    if entry.activity in _USED:
        return _USED[entry.activity]
    return f"{duration_text(max(0, time.time() - entry.last_use))} ago" if entry.last_use else "-"


def facts(info: ModelInfo) -> dict[str, Any]:
    """What a model's file says about it, for programs."""
    return {
        "files": [str(path) for path in info.files],
        "size": info.size,
        "kind": info.kind,
        "name": info.name,
        "architecture": info.architecture,
        "parameters": info.parameters,
        "quantization": info.quantization,
        "layers": info.layers,
        "context_length": info.context_length,
        "embedding_length": info.embedding_length,
        "vocabulary": info.vocabulary,
        "chat_template": info.chat_template,
        "kv_cache_bytes_per_token": info.kv_cache.bytes_per_token,
    }


def fact_table(info: ModelInfo) -> RenderableType:
    """The same, for people."""
    all_facts = facts(info)
    shown = {
        **all_facts,
        "files": "\n".join(all_facts["files"]),
        "size": size_text(info.size),
        "parameters": f"{info.parameters:,}",
        "vocabulary": f"{info.vocabulary:,} tokens",
        "context_length": f"{info.context_length:,} tokens" if info.context_length else None,
        "chat_template": "yes" if info.chat_template else "no: it cannot chat",
        "kv_cache_bytes_per_token": size_text(info.kv_cache.bytes_per_token),
    }
    table = Table(box=None, show_header=False, pad_edge=False)
    for name, value in shown.items():
        table.add_row(_LABELS.get(name, name.replace("_", " ").capitalize()), "-" if value is None else str(value))
    return table


_LABELS = {"kv_cache_bytes_per_token": "KV cache per token"}
