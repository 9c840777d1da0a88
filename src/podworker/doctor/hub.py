"""Whether the Hugging Face hub answers, and takes the token."""

from typing import TYPE_CHECKING

from podworker.configuration import Settings
from podworker.doctor.check import Facts, Finding, ok, problem, skipped, warning
from podworker.errors import StartupError
from podworker.models.model_set import find_models
from podworker.models.reference import ModelReference, parse_adapters, parse_reference

if TYPE_CHECKING:
    import httpx2

_TOKEN_PAGE = "Settings, Access Tokens"  # noqa: S105 - the name of a page


def hub(facts: Facts, seconds: float) -> Finding:
    """Ask for nothing but an answer, then who the token belongs to."""
    settings = facts.settings
    assert settings is not None  # noqa: S101 - see Check.needs_settings
    if settings.offline:
        return skipped("OFFLINE is set: the hub is not asked.")
    # A second of imports, which only those who ask the hub pay.
    import httpx2  # noqa: PLC0415
    from huggingface_hub import get_session  # noqa: PLC0415
    from huggingface_hub.errors import OfflineModeIsEnabled  # noqa: PLC0415

    from podworker.models.hub import access_token  # noqa: PLC0415

    timeout = seconds / 3
    client = get_session()
    try:
        status = client.head(settings.hf_endpoint, timeout=timeout).status_code
        if status >= 500:
            return _unreachable(settings, f"answers {status}")
        token = access_token(settings)
        if token is None:
            return ok(f"{settings.hf_endpoint} answers. There is no token: private and gated models cannot be read.")
        headers = {"Authorization": f"Bearer {token}"}
        answer = client.get(f"{settings.hf_endpoint}/api/whoami-v2", headers=headers, timeout=timeout)
    except (httpx2.TransportError, OfflineModeIsEnabled) as error:
        return _unreachable(settings, f"cannot be reached ({type(error).__name__})")
    return _judged(settings, answer)


def _judged(settings: Settings, answer: "httpx2.Response") -> Finding:
    source = "HF_TOKEN" if settings.hf_token else "the token that `hf auth login` keeps"
    if answer.status_code == 200:
        return ok(f"{settings.hf_endpoint} answers, and takes {source}{_owner(answer)}.")
    found = f"{settings.hf_endpoint} does not take {source} ({answer.status_code})."
    if answer.status_code == 401:
        # With a token that is wrong, even public models are refused.
        finding = problem if _is_needed(settings) else warning
        return finding(
            found, f"Create a new one at {settings.hf_endpoint} ({_TOKEN_PAGE}) and set HF_TOKEN, or unset it."
        )
    return warning(
        f"{settings.hf_endpoint} answers, but does not say whether {source} is valid ({answer.status_code}).",
        "It allows this question only a few times a minute: try again. A mirror may not know it at all.",
    )


def _owner(answer: "httpx2.Response") -> str:
    try:
        name = answer.json()["name"]
    except (ValueError, KeyError, TypeError):
        return ""
    return f" of {name}" if isinstance(name, str) else ""


def _unreachable(settings: Settings, how: str) -> Finding:
    found = f"{settings.hf_endpoint} {how}"
    if not _is_needed(settings):
        unchecked = " HF_TOKEN was not checked." if settings.hf_token else ""
        return ok(f"{found}; nothing that is set has to be fetched from it.{unchecked}")
    return problem(
        f"{found}.",
        "Check HF_ENDPOINT, the network, and HTTPS_PROXY if there is one. Without a network, put the model on the "
        "volume and set OFFLINE.",
    )


def _is_needed(settings: Settings) -> bool:
    """Whether something that is set comes from the hub, and is not here yet."""
    try:
        if not any(reference.kind == "hub" for reference in _references(settings)):
            return False
        models = find_models(settings)
    except StartupError:  # the check of the model tells it
        return False
    if models is None:
        return True
    models.release()
    return False


def _references(settings: Settings) -> list[ModelReference]:
    named = {"MODEL": settings.model, "MMPROJ": settings.mmproj, "DRAFT_MODEL": settings.draft_model}
    found = [parse_reference(text, setting=name) for name, text in named.items() if text]
    return found + [adapter.reference for adapter in (parse_adapters(settings.lora) if settings.lora else ())]
