"""A chat in the terminal: what is read from the user, and what is shown.

The answer goes to standard output and everything else to standard error, dim where that is a terminal.
"""

import asyncio
import contextlib
import sys
import time
from contextlib import aclosing

import click

from podworker.cli.chat_models import ChatModel
from podworker.cli.conversation import Conversation, Reply
from podworker.cli.interruptible_runner import InterruptibleRunner
from podworker.errors import ContextLengthExceeded, WorkerError
from podworker.monitoring import phases

COMMANDS = """\
  /clear         begin a new conversation
  /system TEXT   set the system prompt; without TEXT there is none any more
  /exit          end; so does Ctrl-D, and Ctrl-C at the prompt
  Ctrl-C         during an answer: cancel it
  \\              at the end of a line: the message goes on in the next one"""

TICK_SECONDS = 0.2
# \001 and \002 tell readline what takes no room on the screen.
PROMPT = "\001\033[1;36m\002>\001\033[0m\002 "
PROMPT_GOING_ON = "\001\033[1;36m\002…\001\033[0m\002 "

CONTROLS = dict.fromkeys(code for code in [*range(32), *range(127, 160)] if chr(code) not in "\t\n")
"""Unicode's control characters but for tab and newline: a model's words are no orders to a terminal."""


class Session:
    """One chat with one model.

    Args:
        runner: Runs what asks the model, and waits for the user.
        model: Who answers.
        conversation: What was said.
    """

    def __init__(self, runner: InterruptibleRunner, model: ChatModel, conversation: Conversation) -> None:
        self._runner = runner
        self._model = model
        self._conversation = conversation

    def start(self) -> str:
        """Get the model ready; a sentence on what it is.

        Raises:
            WorkerError: It cannot be had.
            KeyboardInterrupt: The user did not want to wait.
        """
        return self._runner.run(_start(self._model))

    def ask(self, question: str) -> None:
        """Ask, and write the answer as it comes, then its figures.

        Raises:
            WorkerError: Why there was no answer, or only a part of it.
            KeyboardInterrupt: The user cancelled it.
        """
        self._runner.run(_turn(self._model, self._conversation, question))

    def talk(self) -> None:
        """Answer what the user types, until they end it. It goes on, whatever becomes of an answer."""
        with contextlib.suppress(ImportError):  # it gives `input` its keys and its history
            import readline  # noqa: F401, PLC0415 - not every Python has it

        with contextlib.suppress(KeyboardInterrupt, EOFError):
            while (message := self._runner.wait(_read_message)) not in ("/exit", "/quit"):
                if message.startswith("/") and message[1:].partition(" ")[0].isalpha():
                    self._obey(*message[1:].partition(" ")[::2])
                elif message:
                    self._answer(message)
            return
        click.echo(err=True)  # the prompt's line is not ended yet

    def _answer(self, message: str) -> None:
        try:
            self.ask(message)
        except KeyboardInterrupt:
            _note("Cancelled.")
        except WorkerError as error:
            too_long = error.error_code == ContextLengthExceeded.code
            advice = "\nThe conversation is too long for the model. /clear begins a new one." if too_long else ""
            click.secho(error.message + advice, err=True, fg="red")

    def _obey(self, name: str, text: str) -> None:
        match name:
            case "help":
                _note(COMMANDS)
            case "clear":
                self._conversation.clear()
                _note("A new conversation.")
            case "system":
                self._conversation.system = text.strip() or None
                _note("The system prompt is set." if self._conversation.system else "There is no system prompt now.")
            case _:
                _note(f"There is no /{name}. /help lists the commands.")


def _read_message() -> str:
    """What the user types, up to a line without a backslash at its end."""
    lines: list[str] = []
    while (line := input(PROMPT_GOING_ON if lines else PROMPT)).endswith("\\"):
        lines.append(line[:-1])
    return "\n".join([*lines, line]).strip()


async def _start(model: ChatModel) -> str:
    ticking = asyncio.create_task(_show_loading())
    try:
        return await model.start()
    finally:
        ticking.cancel()
        await asyncio.wait([ticking])


async def _show_loading() -> None:
    """The seconds that a model takes to load, in a terminal. Its download, before, shows itself."""
    if not sys.stderr.isatty():
        return
    began = time.monotonic()
    try:
        while True:
            await asyncio.sleep(TICK_SECONDS)
            if phases.ENGINE_START in phases.spans():
                click.secho(f"\rLoading the model… {time.monotonic() - began:.0f} s", nl=False, err=True, dim=True)
    finally:
        click.echo("\r\033[K", nl=False, err=True)


async def _turn(model: ChatModel, conversation: Conversation, question: str) -> None:
    reply = Reply()
    terminal = sys.stdout.isatty()
    try:
        async with aclosing(model.answer(conversation.request(question))) as chunks:
            async for chunk in chunks:
                reasoning, text = reply.add(chunk)
                if reasoning:
                    click.secho(reasoning.translate(CONTROLS), nl=False, err=True, dim=True)
                if text:
                    click.echo(text.translate(CONTROLS) if terminal else text, nl=False)
    finally:
        conversation.add(question, reply.text)
        if reply.text:
            click.echo()
    _note(reply.figures())
    if reply.cut_off:
        _note("The answer was cut off: by --max-tokens, by the limit of the endpoint, or because the context is full.")


def _note(text: str) -> None:
    click.secho(text, err=True, dim=True)
