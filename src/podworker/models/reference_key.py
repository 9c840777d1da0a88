"""What a store remembers a model by: equal for texts that mean the same, different for all others."""

import json
from urllib.parse import parse_qsl, urlsplit

from podworker.configuration import Settings, machine
from podworker.models.choice import Role
from podworker.models.reference import AUTO, ModelReference

_SIGNATURE_PREFIXES = ("x-amz-", "x-goog-", "x-oss-")
_SIGNATURES = {"access_token", "api_key", "apikey", "awsaccesskeyid", "expires", "googleaccessid", "key-pair-id"}
_SIGNATURES |= {"policy", "se", "sig", "signature", "sip", "sp", "spr", "sr", "st", "sv", "token"}
"""Parameters of an address that prove who asks (Amazon's, Google's, Azure's and others'), and choose no file."""


def reference_key(reference: ModelReference, role: Role, settings: Settings) -> str:
    """The key of a reference.

    Args:
        reference: The model.
        role: What it is for, which decides between the files of a repository.
        settings: The endpoint of the source; and for `:auto`, what decides on what fits.
    """
    parts: list[object] = [role, reference.kind, reference.text, reference.sha256]
    if reference.kind == "hub":
        # The hub compares names without capital letters.
        parts[2] = str(reference.repo).casefold()
        parts += [reference.revision, reference.quantization, reference.file]
    if reference.url:
        parts.append(_chosen_parameters(reference.url))
    if reference.kind == "s3":
        parts.append(settings.aws_endpoint_url)
    if reference.quantization == AUTO:
        memory = sum(gpu.total_bytes for gpu in machine.gpus()) or machine.memory_limit()
        parts += [memory, settings.context_length, settings.slots, settings.gpu_memory_reserve_mb, settings.main_gpu]
        parts += [settings.cache_type_k, settings.cache_type_v]
    return json.dumps(parts)


def _chosen_parameters(url: str) -> list[tuple[str, str]]:
    """The parameters of an address that may choose the file."""
    pairs = parse_qsl(urlsplit(url).query, keep_blank_values=True)
    return sorted(
        (name, value)
        for name, value in pairs
        if name.lower() not in _SIGNATURES and not name.lower().startswith(_SIGNATURE_PREFIXES)
    )
