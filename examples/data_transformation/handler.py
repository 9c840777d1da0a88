"""Tables: read as CSV, JSON or Parquet, filtered, aggregated, sorted, and written as any of them.

polars knows no file or query in what it gets here: a job can name columns, and choose from lists of operations.
"""

import base64
import io
import json
import operator as op
from typing import Any, Literal

import polars as pl
from parquet import read_parquet
from pydantic import BaseModel, Field

import podworker

MAX_BYTES = 8_000_000
MAX_CELLS = 5_000_000
"""Rows times columns: a file of a few kilobytes can claim billions."""
MAX_COLUMNS = 2_000
"""Each costs more than its values do: 8 MB of CSV can name millions."""

REFUSALS = (pl.exceptions.PolarsError, ValueError, TypeError, OverflowError, RecursionError)
"""What polars and json raise for data, or wishes, that they cannot fulfil."""

COMPARISONS = {"==": op.eq, "!=": op.ne, "<": op.lt, "<=": op.le, ">": op.gt, ">=": op.ge}
Format = Literal["csv", "json", "parquet"]


class Filter(BaseModel):
    """Keeps the rows whose column compares so with a value."""

    column: str
    is_: Literal["==", "!=", "<", "<=", ">", ">="] = Field("==", alias="is")
    value: str | int | float | bool


class Aggregate(BaseModel):
    """One number of each group."""

    column: str
    function: Literal["sum", "mean", "median", "min", "max", "count", "n_unique"]


class Input(BaseModel):
    """What a job may ask for: each step is left out if it is not named."""

    data: str = Field(min_length=1, max_length=MAX_BYTES, description="The file: text, or base64 of Parquet")
    format: Format = "csv"
    filters: list[Filter] = Field([], max_length=20)
    group_by: list[str] = Field([], max_length=20)
    aggregates: list[Aggregate] = Field([], max_length=50)
    select: list[str] = Field([], max_length=200)
    sort: str | None = None
    descending: bool = False
    limit: int | None = Field(None, ge=1)
    to: Format = "json"


def handler(input: Input, job: podworker.Job) -> dict[str, Any]:
    """Answer one job."""
    try:
        table = read(input)
        job.progress({"step": "transform", "rows": table.height})
        table = transform(table, input)
        job.progress({"step": "write", "rows": table.height})
        return {"data": write(table, input.to), "rows": table.height, "columns": table.columns}
    except REFUSALS as error:  # its first line says which value or column does not fit; polars' plan follows
        reason = str(error).partition("\n")[0]
        raise podworker.InvalidInput(f"The table cannot be transformed so: {reason}", param="input") from None


def read(input: Input) -> pl.DataFrame:
    """The table of a job. How large it will be is known before it is made."""
    if input.format == "csv":
        require_small(input.data.count("\n"), named_columns(input.data))
        table = pl.read_csv(io.StringIO(input.data))
    elif input.format == "json":
        objects = json.loads(input.data)
        if not isinstance(objects, list) or not all(isinstance(row, dict) for row in objects):
            raise ValueError("JSON must be a list of objects")
        require_small(len(objects), len({name for row in objects for name in row}))
        table = pl.from_dicts(objects, infer_schema_length=None) if objects else pl.DataFrame()
    else:
        file = base64.b64decode(input.data, validate=True)
        rows = pl.scan_parquet(io.BytesIO(file)).select(pl.len()).collect().item()
        require_small(rows, len(pl.read_parquet_schema(io.BytesIO(file))))
        table = read_parquet(file)
    if nested := [name for name, kind in table.schema.items() if kind.is_nested()]:
        raise ValueError(f"column {nested[0]!r} holds lists or objects; send plain values")
    return table


def transform(table: pl.DataFrame, input: Input) -> pl.DataFrame:
    """All steps, in the order: filters, groups, columns, order, limit."""
    if input.group_by and not input.aggregates:
        raise ValueError("group_by needs aggregates")
    for rule in input.filters:
        table = table.filter(COMPARISONS[rule.is_](pl.col(rule.column), rule.value))
    if input.aggregates:
        numbers = [
            getattr(pl.col(each.column), each.function)().alias(f"{each.column}_{each.function}")
            for each in input.aggregates
        ]
        table = (
            table.group_by(input.group_by, maintain_order=True).agg(numbers)
            if input.group_by
            else table.select(numbers)
        )
    if input.select:
        table = table.select(input.select)
    if input.sort is not None:
        table = table.sort(input.sort, descending=input.descending)
    return table.head(input.limit) if input.limit else table


def write(table: pl.DataFrame, to: Format) -> Any:  # noqa: ANN401 - text, or a list of rows
    """The table as a file; as JSON it is a list of objects."""
    text_bytes = sum(table[name].str.len_bytes().sum() for name, kind in table.schema.items() if kind == pl.String)
    if text_bytes > MAX_BYTES:
        raise ValueError(f"the result holds more than {MAX_BYTES:,} bytes of text; select less")
    if to == "json":
        return table.to_dicts()
    if to == "csv":
        return table.write_csv()
    file = io.BytesIO()
    table.write_parquet(file)
    return base64.b64encode(file.getvalue()).decode()


def named_columns(csv: str) -> int:
    """How many columns the first line names that is not empty, as polars reads it."""
    header, _, _ = csv.removeprefix("\ufeff").lstrip("\r\n").partition("\n")
    if header.count('"') % 2:  # polars would go on in the next line
        raise ValueError("the name of a column holds a line break")
    return header.count(",") + 1


def require_small(rows: int, columns: int) -> None:
    """Refuse what would fill the memory."""
    if columns > MAX_COLUMNS:
        raise ValueError(f"it has {columns:,} columns; {MAX_COLUMNS:,} are allowed")
    if rows * columns > MAX_CELLS:
        raise ValueError(f"it has {rows:,} rows of {columns} columns; {MAX_CELLS:,} values are allowed")


if __name__ == "__main__":
    podworker.serve(handler)
