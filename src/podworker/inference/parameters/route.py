"""What the parameters of all routes have in common."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, ConfigDict

from podworker.gateway.validation import Path, shown
from podworker.inference.parameters.fields import LeftOut, Refused, Text
from podworker.inference.parameters.limits import Limits


class RouteParameters(BaseModel):
    """The parameters of one route: each is a field; null means that it was not given."""

    model_config = ConfigDict(strict=True, extra="ignore")

    same: ClassVar[Sequence[Sequence[str]]] = ()
    """Parameters that mean the same. The engine gets the first name of each group."""

    tokens_name: ClassVar[str | None] = None
    """The name by which the engine takes the most tokens of an answer; None where there is no answer to limit."""

    model: Annotated[str, Text(1024)] | None = None

    @classmethod
    def not_for_the_engine(cls) -> frozenset[str]:
        """The parameters that the engine never gets."""
        return frozenset(
            name
            for name, field in cls.model_fields.items()
            if any(isinstance(mark, LeftOut | Refused) for mark in field.metadata)
        )

    def faults(self, body: Mapping[str, Any], limits: Limits) -> Iterator[tuple[Path, str]]:
        """What is wrong between fields that are right by themselves."""
        del body, limits
        for names in self.same:
            given = {name: value for name in names if (value := getattr(self, name)) is not None}
            if len(set(given.values())) > 1:
                values = " and ".join(shown(value) for value in given.values())
                yield (list(given)[-1],), f"got {values} for {' and '.join(given)}, which mean the same: send one"

    def for_engine(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """The body that the engine gets: what the client sent, in the engine's words."""
        unwanted = self.not_for_the_engine()
        engine_body = {name: value for name, value in body.items() if value is not None and name not in unwanted}
        for first, *others in self.same:
            for name in others:
                if name in engine_body:
                    engine_body[first] = engine_body.pop(name)
        return engine_body
