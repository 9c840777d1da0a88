"""A deployment from start to end: what is wanted, what is there, what differs, and the request that changes it."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from podworker.configuration import Settings
from podworker.deployment.differences import Changes, creation, update
from podworker.deployment.endpoint import Body, endpoint_body
from podworker.deployment.environment import Environment
from podworker.deployment.gpu_pools import POOLS, Pool, pools_of_catalog
from podworker.deployment.hardware import choose_hardware
from podworker.deployment.model_size import models_to_serve
from podworker.deployment.rest_api import RestApi
from podworker.errors import InvalidSettings
from podworker.models.model_set import ModelSet
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
        tell: Called with a sentence before the network is used.

    Raises:
        StartupError: The model's header cannot be read, and the settings do not say what to run on.
    """

    def __init__(self, settings: Settings, environment: Environment, tell: Callable[[str], None]) -> None:
        self._settings, self._environment, self._tell = settings, environment, tell
        self._models, self._model_notes = models_to_serve(settings, tell)

    async def compare(self, api: RestApi | None) -> Deployment:
        """Find out what there is to do; nothing is changed.

        Args:
            api: RunPod. None: nobody is asked, as if there were no endpoint of this name.

        Raises:
            InvalidSettings: The settings contradict each other, the model or what RunPod has.
            DeploymentFailed: RunPod cannot be asked, or cannot change what differs.
        """
        if api:
            self._tell(f"Asking RunPod at {self._settings.runpod_rest_url}.")
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
        hardware = choose_hardware(settings, self._models, pools)
        body = endpoint_body(
            settings,
            name=settings.deploy_name,
            hardware=hardware,
            environment=self._environment,
            model_bytes=_size(self._models, settings),
        )
        notes = (
            *self._model_notes,
            _path_note(settings),
            *hardware.notes,
            *self._environment.notes,
        )
        return body, [note for note in notes if note]


def _path_note(settings: Settings) -> str | None:
    if settings.model and parse_reference(settings.model).kind == "path":
        return f"MODEL is a path: {settings.model} must be in the image, or on the network volume (/runpod-volume)."
    return None


def _size(models: ModelSet | None, settings: Settings) -> int | None:
    if models is not None:
        return models.size
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
