"""The report as tables for a terminal. Kept apart because it imports rich."""

from collections.abc import Iterator
from itertools import groupby

from rich import box
from rich.console import Group
from rich.table import Table
from rich.text import Text

from podworker.configuration import machine
from podworker.configuration.report import effective
from podworker.configuration.settings import Settings
from podworker.configuration.sources import FILE_NAME, FILE_VARIABLE, settings_file

_GIB = 1024**3


def tables(settings: Settings) -> Group:
    """The settings, the machine and a hint, ready for a rich console of 80 columns or more."""
    file = settings_file()
    lines = (
        f"Settings file: {file.absolute() if file else f'{FILE_NAME} (not there)'}",
        f"Set them in the environment, or in lower case in {FILE_NAME} (or the file that {FILE_VARIABLE} names).",
    )
    return Group(_settings_table(settings), _machine_table(), *map(Text, lines))


def _settings_table(settings: Settings) -> Table:
    table = _table("Setting", "Value", "Source")
    for group, items in groupby(effective(settings), key=lambda item: item.declaration.group):
        table.add_section()
        table.add_row(group, style="bold")
        for item in items:
            value = "unset" if item.value is None else str(item.value)
            table.add_row(f"  {item.declaration.variable}", Text(value), item.source.value)
    return table


def _machine_table() -> Table:
    table = _table("Machine", "")
    for fact, value in _machine_facts():
        table.add_row(fact, Text(value))
    return table


def _machine_facts() -> Iterator[tuple[str, str]]:
    yield "RunPod Serverless", "yes" if machine.is_serverless() else "no"
    yield "Volume", str(machine.volume())
    yield "CPUs", str(machine.cpu_quota())
    yield "Memory", f"{machine.memory_limit() / _GIB:.1f} GiB"
    found = machine.gpus()
    if not found:
        yield "GPU", "none"
    for gpu in found:
        memory = f"{gpu.free_bytes / _GIB:.1f} of {gpu.total_bytes / _GIB:.1f} GiB free"
        yield "GPU", f"{gpu.name}, {memory}, compute {gpu.compute_capability}, driver {gpu.driver_version}"


def _table(*headings: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD)
    for heading in headings:
        table.add_column(heading, overflow="fold")
    return table
