"""The command line. Each command stands in a module of its own, imported when it is called."""

import importlib

import click

from podworker.errors import WorkerError

COMMANDS = ("new", "serve", "dev", "demo", "call", "chat", "config", "errors", "models", "doctor", "health", "deploy")


class Commands(click.Group):
    """The group of all commands."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's interface
        """The names, in the order in which one meets them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's interface
        """Import a command."""
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(f"podworker.cli.{cmd_name}").command
        return command

    def invoke(self, ctx: click.Context) -> object:
        """Run a command; our own errors are sentences for the reader, not tracebacks."""
        try:
            return super().invoke(ctx)
        except WorkerError as error:
            raise click.ClickException(error.message) from error


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="podworker", prog_name="podworker")
def main() -> None:
    """Serve any GGUF language model, or any Python function, on RunPod Serverless.

    Try it on this machine first:

    \b
      podworker demo                  one chat, from start to end
      podworker dev                   RunPod's API on this machine, until you stop it
      podworker call "Hello"          send it a job
      podworker chat                  talk to the model in the terminal
    """
