import base64
import io
import json
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import polars as pl
import pytest

from podworker.errors import WorkerError
from podworker.testing import endpoint, run_job
from tests.examples.example import EXAMPLES, handler_module, inputs

CSV = "city,year,visitors\nOslo,2023,120\nOslo,2024,150\nBern,2023,80\n"


@pytest.fixture(scope="module")
def example() -> Iterator[ModuleType]:
    with handler_module("data_transformation") as module:
        yield module


def parquet(table: pl.DataFrame) -> str:
    file = io.BytesIO()
    table.write_parquet(file)
    return base64.b64encode(file.getvalue()).decode()


def test_through_the_emulator() -> None:
    with endpoint(EXAMPLES / "data_transformation" / "handler.py") as worker:
        given = inputs("data_transformation")
        answer = worker.run(given["test_input"])
        assert answer == {
            "data": "city,visitors_sum\nOslo,270\nBern,175\n",
            "rows": 2,
            "columns": ["city", "visitors_sum"],
        }
        answer = worker.run(given["json_to_parquet"])
        table = pl.read_parquet(io.BytesIO(base64.b64decode(answer["data"])))
        assert table.to_dicts() == [{"name": "Ada"}, {"name": "Alan"}]
        with pytest.raises(WorkerError, match=r"input\.data: is missing"):
            worker.run({})


@pytest.mark.parametrize(
    ("steps", "rows"),
    [
        ({"filters": [{"column": "city", "is": "==", "value": "Bern"}]}, [("Bern", 2023, 80)]),
        ({"filters": [{"column": "visitors", "is": ">", "value": 120.5}]}, [("Oslo", 2024, 150)]),
        ({"sort": "visitors", "limit": 1}, [("Bern", 2023, 80)]),
        ({"select": ["year"], "limit": 2}, [(2023,), (2024,)]),
        ({"aggregates": [{"column": "visitors", "function": "max"}]}, [(150,)]),
        ({"group_by": ["year"], "aggregates": [{"column": "city", "function": "n_unique"}]}, [(2023, 2), (2024, 1)]),
    ],
)
def test_steps(example: ModuleType, steps: dict[str, Any], rows: list[tuple[object, ...]]) -> None:
    answer = run_job(example.handler, {"data": CSV, **steps})
    assert [tuple(row.values()) for row in answer["data"]] == rows
    assert answer["rows"] == len(rows)


@pytest.mark.parametrize("to", ["csv", "json", "parquet"])
def test_formats(example: ModuleType, to: str) -> None:
    table = pl.DataFrame({"name": ["Ada", None], "size": [1.5, 2.5]})
    data = run_job(example.handler, {"data": parquet(table), "format": "parquet", "to": to})["data"]
    if to == "csv":
        assert data == "name,size\nAda,1.5\n,2.5\n"
    elif to == "json":
        assert data == table.to_dicts()
    else:
        assert pl.read_parquet(io.BytesIO(base64.b64decode(data))).equals(table)


@pytest.mark.parametrize(
    ("job_input", "fault"),
    [
        ({"data": CSV, "select": ["no such"]}, "no such"),
        ({"data": CSV, "filters": [{"column": "city", "is": ">", "value": 5}]}, "cannot"),
        ({"data": CSV, "aggregates": [{"column": "visitors", "function": "eval"}]}, "function"),
        ({"data": "[1, 2", "format": "json"}, "cannot be transformed"),
        ({"data": "[1, 2]", "format": "json"}, "a list of objects"),
        ({"data": "," * 1999 + "\n" * 3000}, "3,000 rows of 2000 columns"),
        (
            {"data": f"[{{}}{',{}' * 3000}, {json.dumps(dict.fromkeys(map(str, range(2000))))}]", "format": "json"},
            "rows of 2000",
        ),
        ({"data": "," * 2000}, "2,001 columns; 2,000 are allowed"),
        ({"data": "\ufeff\n\r\n" + "," * 2000}, "2,001 columns"),
        ({"data": '"a\n"' + "," * 2000}, "a line break"),
        ({"data": json.dumps([dict.fromkeys(map(str, range(2001)))]), "format": "json"}, "2,001 columns"),
        ({"data": '[{"a": [1, 2]}]', "format": "json"}, "lists or objects"),
        ({"data": "[" * 100_000, "format": "json"}, "recursion"),
        ({"data": f'[{{"a": 1{"0" * 400}}}]', "format": "json"}, "too large"),
        ({"data": CSV, "group_by": ["city"]}, "group_by needs aggregates"),
        ({"data": "a,b\n1,2,3\n"}, "more fields"),
        ({"data": "\n"}, "empty CSV"),
        ({"data": "x" * 8_000_001}, "at most 8000000 characters"),
        ({"data": "AAAA", "format": "parquet"}, "cannot be transformed"),
        ({"data": "!", "format": "parquet"}, "cannot be transformed"),
        ({"data": "/etc/passwd\n", "format": "parquet"}, "cannot be transformed"),
    ],
)
def test_what_cannot_be_done_is_refused(example: ModuleType, job_input: dict[str, Any], fault: str) -> None:
    with pytest.raises(WorkerError, match=fault) as refused:
        run_job(example.handler, job_input)
    assert refused.value.error_code == "invalid_input"


def test_a_refusal_is_one_sentence(example: ModuleType) -> None:
    with pytest.raises(WorkerError, match=r'unable to find column "size"; valid columns: \["city", .*\]$'):
        run_job(
            example.handler,
            {"data": CSV, "group_by": ["size"], "aggregates": [{"column": "city", "function": "count"}]},
        )


def test_a_path_is_only_text(example: ModuleType) -> None:
    assert run_job(example.handler, {"data": "/etc/passwd\n"}) == {"data": [], "rows": 0, "columns": ["/etc/passwd"]}


def test_a_small_file_with_many_rows_is_refused(example: ModuleType) -> None:
    many = parquet(pl.DataFrame({"zero": pl.repeat(0, 5_000_001, eager=True)}))
    assert len(many) < 100_000
    with pytest.raises(WorkerError, match="5,000,001 rows"):
        run_job(example.handler, {"data": many, "format": "parquet"})


def test_a_small_file_with_much_text_is_refused(example: ModuleType) -> None:
    long = parquet(pl.DataFrame({"text": pl.repeat("x" * 10_000, 1_000, eager=True)}))
    assert len(long) < 100_000
    with pytest.raises(WorkerError, match="bytes of text"):
        run_job(example.handler, {"data": long, "format": "parquet"})


def test_a_small_file_that_unpacks_to_too_much_is_refused(example: ModuleType) -> None:
    table = pl.DataFrame({"text": ["x" * 60_000_000, "y" * 60_000_000]})
    bomb = parquet(table)
    assert len(bomb) < 100_000
    with pytest.raises(WorkerError, match="too much is in it"):
        run_job(example.handler, {"data": bomb, "format": "parquet"})
