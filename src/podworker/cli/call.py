"""`podworker call`: one job, sent as a client would."""

import asyncio
import contextlib
import json
import sys
from pathlib import Path
from typing import Any, NoReturn

import aiohttp
import click

from podworker.cli import interruptible_runner
from podworker.cli.api_key import api_key
from podworker.configuration import load_settings

LOCAL = "http://127.0.0.1:8000/v2/local"
"""Where `podworker dev` listens by default."""
FINAL_STATES = frozenset({"COMPLETED", "FAILED", "CANCELLED", "TIMED_OUT"})
POLL_SECONDS = 0.1
"""Between two reads of a stream that was answered at once."""


@click.command(name="call")
@click.argument("prompt", required=False)
@click.option(
    "--input", "source", metavar="JSON", help="The job's input: JSON text, a file that holds it, or - (stdin)."
)
@click.option("--endpoint", metavar="ID", help="An endpoint at RunPod, with the key in RUNPOD_API_KEY.")
@click.option("--url", metavar="URL", help=f"The endpoint's base URL.  [default: {LOCAL}]")
def command(prompt: str | None, source: str | None, endpoint: str | None, url: str | None) -> None:
    """Send one job and print its answer as it comes.

    \b
      podworker call "Why is the sky blue?"
      podworker call --input '{"prompt": "Once upon", "max_tokens": 20}'
      podworker call --input test_input.json --endpoint abc123

    PROMPT becomes one chat message, streamed. With --input the job's input is what you write. Without --endpoint and
    --url the job goes to `podworker dev` on this machine.

    Exit code 0: the job was completed; 1: it failed, and the reason is on standard error; 2: wrong use;
    130: cancelled by Ctrl-C, which cancels the job, too.
    """
    if (prompt is None) == (source is None):
        raise click.UsageError('Give either a PROMPT, such as "Hello", or --input.')
    if endpoint and url:
        raise click.UsageError("Give either --endpoint or --url.")
    settings = load_settings()
    key = api_key(settings)
    base = f"{settings.runpod_endpoint_base_url}/{endpoint}" if endpoint else (url or LOCAL)
    if endpoint and not key:
        raise click.UsageError("RunPod needs a key: set RUNPOD_API_KEY.")
    job_input = _read_input(source) if source is not None else _chat(prompt or "")
    try:
        interruptible_runner.run(_call(base.rstrip("/"), key, job_input))
    except aiohttp.ClientConnectorError:
        _fail(f"Nothing answers at {base}. Start `podworker dev` first, or name another place with --url.")


def _chat(prompt: str) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": prompt}], "stream": True}


def _read_input(source: str) -> Any:  # noqa: ANN401 - any JSON value
    text = sys.stdin.read() if source == "-" else source
    if source != "-" and not source.lstrip().startswith(("{", "[", '"')):
        try:
            text = Path(source).read_text()
        except OSError as error:
            raise click.BadParameter(
                f"{source} is neither JSON text nor a file: {error.strerror}.", param_hint="--input"
            ) from error
    try:
        value = json.loads(text)
    except ValueError as error:
        raise click.BadParameter(f"This is not JSON: {error}.", param_hint="--input") from error
    # RunPod's test_input.json holds the whole request.
    return value["input"] if isinstance(value, dict) and value.keys() == {"input"} else value


async def _call(base: str, key: str | None, job_input: Any) -> None:  # noqa: ANN401 - any JSON value
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    async with aiohttp.ClientSession(headers=headers) as session:
        job_id = (await _ask(session, "POST", f"{base}/run", {"input": job_input}))["id"]
        try:
            await _follow(session, base, job_id)
        except asyncio.CancelledError:
            await _ask(session, "POST", f"{base}/cancel/{job_id}")
            click.echo("Error: The job was cancelled.", err=True)
            raise


async def _follow(session: aiohttp.ClientSession, base: str, job_id: str) -> None:
    """Print chunks as they come, and the output of a job that has none."""
    streamed = False
    while True:
        answer = await _ask(session, "GET", f"{base}/stream/{job_id}")
        for item in answer.get("stream", []):
            streamed = True
            click.echo(_text(item["output"]), nl=False)
        if answer["status"] in FINAL_STATES:
            break
        await asyncio.sleep(POLL_SECONDS)
    if streamed:
        click.echo()
    status = await _ask(session, "GET", f"{base}/status/{job_id}")
    if status["status"] != "COMPLETED":
        _fail(_reason(status))
    if not streamed:
        click.echo(json.dumps(status.get("output"), indent=2, ensure_ascii=False))


async def _ask(session: aiohttp.ClientSession, method: str, url: str, body: Any = None) -> dict[str, Any]:  # noqa: ANN401
    async with session.request(method, url, json=body) as response:
        if response.status == 401:
            _fail("The key was refused. Set RUNPOD_API_KEY to a valid one.")
        if not response.ok:
            _fail(f"{url} answered {response.status}: {(await response.text())[:500]}")
        answer: dict[str, Any] = await response.json()
        return answer


def _text(chunk: Any) -> str:  # noqa: ANN401 - any JSON value
    """What a person wants to see of a chunk: its text, where it is one of a language model."""
    if isinstance(chunk, str):
        return chunk
    if isinstance(chunk, dict) and isinstance(choices := chunk.get("choices"), list):
        return "".join(choice.get("text") or (choice.get("delta") or {}).get("content") or "" for choice in choices)
    return json.dumps(chunk, ensure_ascii=False) + "\n"


def _reason(status: dict[str, Any]) -> str:
    """Why a job did not complete, in a sentence."""
    error = status.get("error")
    with contextlib.suppress(TypeError, ValueError, KeyError):  # else it is a plain sentence, from another worker
        error = json.loads(str(error))["message"]
    return f"The job ended as {status['status']}" + (f": {error}" if error else ".")


def _fail(message: str) -> NoReturn:
    click.echo(f"Error: {message}", err=True)
    sys.exit(1)
