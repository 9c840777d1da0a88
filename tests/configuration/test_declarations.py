from typing import Annotated, Literal

import pytest
from pydantic import BaseModel, Field

from podworker.configuration import Settings
from podworker.configuration.declarations import declarations
from podworker.configuration.kinds import setting


def test_every_setting_is_documented() -> None:
    known = declarations(Settings)
    assert list(known) == list(Settings.model_fields)
    for declaration in known.values():
        assert declaration.group
        assert declaration.description.endswith(".")
        assert declaration.allowed


def test_the_members_of_a_group_stand_together() -> None:
    groups = [declaration.group for declaration in declarations(Settings).values()]
    assert groups == sorted(groups, key=groups.index)


class Kinds(BaseModel):
    flag: bool = setting("A", default=False, description="A flag.")
    text: str = setting("A", "a", "A text.")
    choice: Literal["x", "y"] | None = setting("A", None, "A choice.")
    any_number: float = setting("A", 1, "A number.")
    least: int | None = setting("A", None, "A number.", ge=1)
    most: float = setting("A", 1, "A number.", le=5)
    above: float = setting("A", 1, "A number.", gt=0, le=5)
    between: int = setting("A", 2000, "A number.", ge=1, le=5000)


def test_allowed_in_words() -> None:
    assert {name: declaration.allowed for name, declaration in declarations(Kinds).items()} == {
        "flag": "true or false",
        "text": "text",
        "choice": "x or y",
        "any_number": "a number",
        "least": "a whole number at least 1",
        "most": "a number at most 5",
        "above": "a number above 0 and at most 5",
        "between": "a whole number from 1 to 5,000",
    }


def test_a_type_without_words_says_what_to_add() -> None:
    class Odd(BaseModel):
        items: Annotated[list[str], Field(json_schema_extra={"group": "A"})] = Field(default=[], description="Texts.")

    with pytest.raises(TypeError, match="Settings of type array have no description yet"):
        declarations(Odd)
