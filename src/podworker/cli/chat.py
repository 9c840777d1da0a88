"""`podworker chat`: talk to the model in the terminal."""

import contextlib
import logging
import sys

import click

from podworker.cli.api_key import api_key
from podworker.cli.chat_models import ChatModel, LocalModel, RemoteModel
from podworker.cli.chat_session import COMMANDS, Session
from podworker.cli.conversation import Conversation
from podworker.cli.interruptible_runner import InterruptibleRunner
from podworker.cli.options import chosen_settings, setting_options
from podworker.configuration import load_settings
from podworker.configuration.sources import Source


@click.command(name="chat", epilog=f"\b\nIn the chat:\n{COMMANDS}")
@click.argument("question", required=False)
@click.option("--url", metavar="URL", help="Talk to an endpoint, by the base URL that OpenAI's clients are given.")
@click.option("--system", metavar="TEXT", help="The system prompt.")
@click.option("--max-tokens", type=int, metavar="N", help="The longest answer, in tokens.")
@click.option("--temperature", type=float, metavar="T", help="From 0 (always the likeliest word) to 2.")
@click.option("--top-p", type=float, metavar="P", help="Choose among the likeliest tokens: up to this probability.")
@click.option("--seed", type=int, metavar="N", help="For the same answer to the same question.")
@setting_options
def command(
    question: str | None,
    *,
    url: str | None,
    system: str | None,
    model: str | None,
    settings: tuple[str, ...],
    **parameters: float | None,
) -> None:
    """Talk to the model.

    \b
      podworker chat                           the model of the settings, loaded for this chat
      podworker chat --model org/repo:Q4_K_M   another one
      podworker chat "Why is the sky blue?"    one question: standard output gets the answer, and nothing else
      podworker chat < question.txt
      podworker chat --url http://127.0.0.1:8000/v2/local/openai/v1    what `podworker dev` runs
      podworker chat --url https://api.runpod.ai/v2/ID/openai/v1       an endpoint, with the key in RUNPOD_API_KEY

    With --url, --model is the model's name there; by default it is the first that the endpoint lists.

    Exit code 0: the answer was given, or the chat was ended; 1: it failed, and the reason is on standard error;
    2: wrong use; 130: cancelled by Ctrl-C.
    """
    if url and settings:
        raise click.UsageError("--set is for a model that is loaded here; with --url none is.")
    interactive = question is None and sys.stdin.isatty()
    if interactive and not sys.stdout.isatty():
        raise click.UsageError("Where standard output is no terminal, give a QUESTION.")
    if not interactive:
        question = (sys.stdin.read() if question is None else question).strip()
        if not question:
            raise click.UsageError("There is no question, neither as an argument nor on standard input.")
    given = {name: value for name, value in parameters.items() if value is not None}
    answering = _endpoint(url, model) if url else _local(chosen_settings(model, settings))
    _chat(answering, Conversation(system, given), question)


def _chat(model: ChatModel, conversation: Conversation, question: str | None) -> None:
    """Answer one question, or, if there is none, what the user types."""
    _log_to_terminal()
    with InterruptibleRunner() as runner, contextlib.ExitStack() as cleanup:
        cleanup.callback(lambda: runner.clean_up(model.stop()))
        session = Session(runner, model, conversation)
        ready = session.start()
        if question is not None:
            session.ask(question)
            return
        click.secho(f"{ready} /help lists the commands.", err=True, dim=True)
        session.talk()


def _local(chosen: dict[str, str]) -> LocalModel:
    settings = load_settings(**chosen)
    if settings.origin("slots") is Source.DEFAULT:  # one person talks here: all memory for one slot's context
        settings = load_settings(**chosen, slots=1)
    return LocalModel(settings)


def _endpoint(url: str, model: str | None) -> RemoteModel:
    return RemoteModel(url, key=api_key(load_settings()), model=model)


def _log_to_terminal() -> None:
    """Warnings, and how far a download is. The gateway's lines would only repeat what the chat says."""
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr, force=True)
    logging.getLogger("podworker.models").setLevel(logging.INFO)
    logging.getLogger("podworker.gateway").setLevel(logging.ERROR)
