import json
from typing import Any

from pydantic import BaseModel, Field

import podworker
from podworker.gateway.function_handler import FunctionHandler
from podworker.gateway.http_api import HttpApi
from podworker.gateway.http_jobs import HttpJobs
from podworker.gateway.http_openapi import openapi
from podworker.gateway.http_route import HttpRoute
from podworker.gateway.limits import Limits
from podworker.monitoring.health import Health
from tests.gateway.open_door import open_door


class Box(BaseModel):
    width: int = Field(ge=1)


class Input(BaseModel):
    boxes: list[Box]


def pack(input: Input) -> int:  # noqa: A002 - the name is the interface
    return len(input.boxes)


class Brings(podworker.Handler):
    def routes(self) -> list[HttpRoute]:
        return [
            HttpRoute(method="POST", path="/boxes", job_input=lambda body: body, summary="Pack", example={"n": 1}),
            HttpRoute(method="GET", path="/boxes", job_input=lambda body: body),
        ]

    async def run(self, job: podworker.Job) -> object:
        return job.input


def resolved(document: Any, reference: str) -> Any:  # noqa: ANN401
    for step in reference.removeprefix("#/").split("/"):
        document = document[step]
    return document


def references(value: Any) -> list[str]:  # noqa: ANN401
    if isinstance(value, dict):
        own = [value["$ref"]] if "$ref" in value else []
        return own + [found for member in value.values() for found in references(member)]
    return [found for item in value for found in references(item)] if isinstance(value, list) else []


def test_the_types_of_the_handler() -> None:
    document = json.loads(openapi(FunctionHandler(pack)))
    assert document["openapi"].startswith("3.1")
    job = resolved(document, references(document["paths"]["/runsync"]["post"]["requestBody"])[0])
    given = resolved(document, job["properties"]["input"]["$ref"])
    box = resolved(document, given["properties"]["boxes"]["items"]["$ref"])
    assert box["properties"]["width"]["minimum"] == 1
    assert all(resolved(document, reference) for reference in references(document))


def test_every_route_is_described() -> None:
    handler = FunctionHandler(pack)
    limits, health = Limits(), Health()
    api = HttpApi(HttpJobs(handler, limits, queue_limit=0, health=health), health)
    served = {route.path.replace("{job}", "{id}") for route in api.routes() if not route.path.startswith("/v2/")}
    assert json.loads(openapi(handler))["paths"].keys() == served | {"/ping"}


def test_types_that_are_called_as_the_documents_own() -> None:
    """And one that refers to itself: its schema is nothing but a reference to a definition."""

    class Status(BaseModel):
        ready: bool

    class Input(BaseModel):
        status: Status
        branches: list["Input"] = []

    def grow(input: Input) -> int:  # noqa: A002 - the name is the interface
        return len(input.branches)

    document = json.loads(openapi(FunctionHandler(grow)))
    given = document["components"]["schemas"]["Input"]
    while "$ref" in given:
        given = resolved(document, given["$ref"])
    assert resolved(document, given["properties"]["status"]["$ref"])["properties"]["ready"]["type"] == "boolean"
    answer = document["paths"]["/runsync"]["post"]["responses"]["200"]["content"]["application/json"]["schema"]
    assert "delayTime" in resolved(document, answer["$ref"])["properties"]


def test_the_routes_that_it_brings() -> None:
    boxes = json.loads(openapi(Brings()))["paths"]["/boxes"]
    assert boxes["post"]["summary"] == "Pack"
    assert boxes["post"]["requestBody"]["content"]["application/json"]["example"] == {"n": 1}
    assert "requestBody" not in boxes["get"]


def test_a_handler_without_types() -> None:
    assert json.loads(openapi(FunctionHandler(lambda job: job)))["components"]["schemas"]["Input"] == {}


async def test_every_path_is_answered() -> None:
    async with open_door(Brings()) as subject:
        _, document = await subject.get("/openapi.json")
        for path, methods in document["paths"].items():
            for method in methods:
                _, answer = await subject.ask(method.upper(), path.replace("{id}", "x"))
                assert "unknown_route" not in str(answer), f"{method} {path}"


async def test_the_page_needs_nothing_from_elsewhere() -> None:
    async with open_door(pack) as subject:
        status, page = await subject.get("/docs")
        assert status == 200
        assert "openapi.json" in page
        assert "http://" not in page
        assert "https://" not in page
