"""What docs/requests.md and docs/migration.md promise, held against the code."""

import json
import re
from pathlib import Path

import pytest

from podworker.configuration import Settings
from podworker.inference.parameters.fields import Kind
from podworker.inference.parameters.generation import Generation
from podworker.inference.parameters.limits import Limits
from podworker.inference.request_form import read_request
from podworker.inference.vllm import GUIDES, IMPOSSIBLE, RENAMED, WITHOUT_EFFECT
from tests.inference.parameters.preparing import manager
from tests.inference.parameters.test_fields import marked

DOCS = Path(__file__).parents[2] / "docs"
REQUESTS = (DOCS / "requests.md").read_text()
MIGRATION = (DOCS / "migration.md").read_text()
EXAMPLES = [text for page in (REQUESTS, MIGRATION) for text in re.findall(r"```json\n(.*?)```", page, re.DOTALL)]
WIDEST = Limits(max_tokens=2**31 - 1, answers=128, slots=256, media=False, image_urls=False, grammars=True)


@pytest.mark.parametrize("example", EXAMPLES)
def test_the_examples_are_good_requests(example: str) -> None:
    request = read_request(json.loads(example))
    assert request.body is not None
    assert manager().prepare(request.route.path, request.body, prefix=request.prefix)


def test_the_table_says_what_is_allowed() -> None:
    rows = {
        f"| `{name}` | {kind.allowed(WIDEST)} |"
        for path, name, kind in marked(Kind)
        if path == "/v1/completions" and name in Generation.model_fields
    }
    assert len(rows) > 40
    assert rows - {*REQUESTS.splitlines()} == set()


def test_every_field_of_vllm_is_in_the_table() -> None:
    known = {*WITHOUT_EFFECT, *RENAMED, *IMPOSSIBLE, *(f"guided_{kind}" for kind in GUIDES if kind != "json_object")}
    assert known - {*re.findall(r"`(\w+)`", MIGRATION)} == set()


@pytest.mark.parametrize("name", re.findall(r"`(DEFAULT_[A-Z_]+|[A-Z_]+_LIMIT|GRAMMARS|IMAGE_URLS)`", REQUESTS))
def test_the_settings_are_there(name: str) -> None:
    assert name.lower() in Settings.model_fields


def test_what_the_migration_page_says_to_set_is_there() -> None:
    rows = re.findall(r"^\| .* \| (.*) \|$", MIGRATION.partition("### Environment variables")[2], re.MULTILINE)
    named = {name.lower() for row in rows for name in re.findall(r"`([A-Z][A-Z_]+)`", row)}
    assert len(named) > 15
    assert named - {*Settings.model_fields} == set()
