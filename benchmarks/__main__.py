"""`scripts/bench`: the list of benchmarks, or one of them."""

import importlib
import json
import sys
from pathlib import Path

import click
from rich.console import Console

from benchmarks.page import page as benchmarks_page
from benchmarks.result import Result

BENCHMARKS = {
    "engine": "our client of the engine against the engine's own HTTP, a synchronous client, and llama-cpp-python",
    "warm": "first token of a new process for a 3,000-token system prompt, with warm prompts and without",
    "streams": "total rate of 8 streaming chats decoded together, against one",
    "queue": "jobs a second through podworker's loop and the stock SDK's, against the ideal",
    "stream": "token rate of a stream over a slow link, against a fast one",
    "coldstart": "process start to the first job taken: podworker against the stock SDK",
    "telemetry": "tokens and jobs a second with metrics, against those without; what metrics add to the imports",
    "models": "downloads against hf and curl; headers against the gguf package; warm starts against hashing",
}

PYTHON = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command()
@click.argument("name", required=False, type=click.Choice(list(BENCHMARKS)))
@click.option("--json", "file", type=click.Path(path_type=Path, dir_okay=False), help="Write the figures to FILE.")
@click.option("--page", is_flag=True, help="Print docs/benchmarks.md, as the figures in benchmarks/figures say.")
@click.option("--llama-cpp-python", type=PYTHON, metavar="PYTHON", help="For `engine`: a Python that has its server.")
def main(name: str | None, file: Path | None, page: bool, llama_cpp_python: Path | None) -> None:
    """List the benchmarks, or run NAME and print its table. Exit code 1: a ratio does not hold."""
    if page:
        click.echo(benchmarks_page(), nl=False)
        return
    if name is None:
        for benchmark, description in BENCHMARKS.items():
            click.echo(f"{benchmark:12} {description}")
        return
    options = {"llama_cpp_python": llama_cpp_python} if llama_cpp_python else {}
    result: Result = importlib.import_module(f"benchmarks.{name}").run(**options)
    Console().print(result.as_table())
    if file is not None:
        file.write_text(json.dumps(result.as_json(), indent=2) + "\n")
    sys.exit(0 if result.holds else 1)


if __name__ == "__main__":
    main()
