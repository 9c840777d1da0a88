"""A deployment from start to end: what is wanted, what is there, what differs, and the request that changes it."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from podworker.configuration import Settings
from podworker.deployment.differences import Changes, creation, update
from podworker.deployment.endpoint import Body, endpoint_body
from podworker.deployment.environment import Environment
from podworker.deployment.gpu_pools import POOLS, Pool, pools_of_catalog
from podworker.deployment.hardware import choose_hardware
from podworker.deployment.model_size import model_to_serve
from podworker.deployment.rest_api import RestApi
from podworker.errors import InvalidSettings
from podworker.models.metadata import ModelInfo
from podworker.models.reference import parse_reference


@dataclass(frozen=True)
class Deployment:
    """What is to be done with an endpoint, or was.

    Attributes:
        name: Of the endpoint.
        action: What there is to do.
        changes: What differs.
        notes: What the user should know: one sentence each.
        endpoint: As RunPod describes it; None: it is not there, or nobody was asked.
        applied: Whether it was done.
    """

    name: str
    action: Literal["create", "update", "none"]
    changes: Changes
    notes: tuple[str, ...]
    endpoint: Mapping[str, Any] | None = None
    applied: bool = False


class Deployer:
    """Makes RunPod's endpoint what the settings say. What reads the model's header is done when it is constructed.

    Args:
        settings: All of them.
        environment: The workers' variables.

    Raises:
        StartupError: The model's header cannot be read, and the settings do not say what to run on.
    """

    def __init__(self, settings: Settings, environment: Environment) -> None:
        self._settings, self._environment = settings, environment
        self._model, self._model_note = model_to_serve(settings)

    async def compare(self, api: RestApi | None) -> Deployment:
        """Find out what there is to do; nothing is changed.

        Args:
            api: RunPod. None: nobody is asked, as if there were no endpoint of this name.

        Raises:
            InvalidSettings: The settings contradict each other, the model or what RunPod has.
            DeploymentFailed: RunPod cannot be asked, or cannot change what differs.
        """
        pools = pools_of_catalog(await api.gpus()) if api else POOLS
        body, notes = await asyncio.to_thread(self._wanted, pools)  # it reads this machine's memory and package
        current = None
        if api:
            notes += await _check_volumes(api, body)
            current = await api.find(body["name"])
        if current is None:
            return Deployment(body["name"], "create", creation(body), tuple(notes))
        found = update(current, body)
        return Deployment(body["name"], "update" if found.body else "none", found, tuple(notes), current)

    async def apply(self, api: RestApi, deployment: Deployment) -> Deployment:
        """Do it.

        Raises:
            DeploymentFailed: RunPod did not.
        """
        if deployment.action == "none":
            return deployment
        if deployment.endpoint is None:
            made = await api.create(deployment.changes.body)
        else:
            made = await api.update(deployment.endpoint["id"], deployment.changes.body)
        return replace(deployment, endpoint=made, applied=True)

    def _wanted(self, pools: Sequence[Pool]) -> tuple[Body, list[str]]:
        settings = self._settings
        if not settings.deploy_name:
            raise InvalidSettings("Which endpoint? Name it: podworker deploy my-endpoint; or set DEPLOY_NAME.")
        hardware = choose_hardware(settings, self._model, pools)
        body = endpoint_body(
            settings,
            name=settings.deploy_name,
            hardware=hardware,
            environment=self._environment,
            model_bytes=_size(self._model, settings),
        )
        notes = (
            self._model_note,
            _path_note(settings),
            *hardware.notes,
            _beside_note(settings),
            *self._environment.notes,
        )
        return body, [note for note in notes if note]


def _path_note(settings: Settings) -> str | None:
    if settings.model and parse_reference(settings.model).kind == "path":
        return f"MODEL is a path: {settings.model} must be in the image, or on the network volume (/runpod-volume)."
    return None


def _beside_note(settings: Settings) -> str | None:
    beside = [name for name in ("mmproj", "lora", "draft_model") if getattr(settings, name)]
    if not beside or settings.deploy_gpus or settings.deploy_cpu:
        return None
    return f"{', '.join(beside).upper()} takes GPU memory, too, which is not counted here: with it, less context fits."


def _size(model: ModelInfo | None, settings: Settings) -> int | None:
    if model is not None:
        return model.size
    return None if settings.model else 0


async def _check_volumes(api: RestApi, body: Body) -> list[str]:
    """Network volumes are there, and where the workers may be."""
    allowed = body.get("dataCenterIds") or []
    centers: list[str] = []
    for volume_id in body.get("networkVolumes", []):
        center = str((await api.volume(volume_id)).get("dataCenter"))
        if center in centers:
            raise InvalidSettings(f"DEPLOY_VOLUMES names two volumes in {center}: one for each data centre is allowed.")
        if allowed and center not in allowed:
            raise InvalidSettings(
                f"The network volume {volume_id} is in {center}, which is not in DEPLOY_DATA_CENTERS. Add it there, or "
                "unset DEPLOY_DATA_CENTERS."
            )
        centers.append(center)
    return [f"Workers run where the network volumes are: {', '.join(centers)}."] if centers else []
