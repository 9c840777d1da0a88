"""`podworker doctor`: whether this machine or container can serve."""

import json
import os
import sys
from typing import TYPE_CHECKING

import click

from podworker.cli.options import chosen_settings, setting_options

if TYPE_CHECKING:
    from podworker.doctor.examination import Examination

# The help of `podworker` imports this module: what the work needs is imported when there is work.


@click.command(name="doctor")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object, for programs.")
@click.option("--strict", is_flag=True, help="Warnings count as problems.")
@click.option(
    "--timeout",
    type=click.FloatRange(min=0, min_open=True, max=3600),
    metavar="SECONDS",
    help="How long each check may take; by default 10 s, and 30 s for the model, the engine and the volume.",
)
@setting_options
def command(
    *, as_json: bool, strict: bool, timeout: float | None, model: str | None, settings: tuple[str, ...]
) -> None:
    """Check this machine or container before it serves.

    Looks at the settings, the GPU and its driver, the engine, the model and whether it fits into the memory, the
    volume, the Hugging Face hub, the port, the bucket, the OTLP receiver and RunPod's variables, and says what to do
    where something is not right. Nothing is downloaded but the beginning of the model, and nothing is changed. Secrets
    are never shown.

    Exit code 1 if there is a problem; with --strict, if there is a warning, too.

    \b
    Examples:
      podworker doctor
      podworker doctor --model Qwen/Qwen3-8B-GGUF:Q4_K_M
      podworker doctor --json --strict
    """
    from podworker.doctor.check import Facts, Verdict  # noqa: PLC0415
    from podworker.doctor.checks import CHECKS  # noqa: PLC0415
    from podworker.doctor.examination import Examination, verdict_of  # noqa: PLC0415

    examination = Examination(CHECKS, Facts(chosen_settings(model, settings)), seconds=timeout)
    _show(examination, as_json=as_json, strict=strict)
    code = 1 if verdict_of(examination.outcomes, strict=strict) is Verdict.PROBLEM else 0
    if examination.left_behind:
        # A thread that hangs, in a driver or on a dead network disk, would keep the interpreter from ending.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)


def _show(examination: "Examination", *, as_json: bool, strict: bool) -> None:
    from podworker.cli import doctor_report  # noqa: PLC0415

    if as_json:
        examination.run()
        click.echo(json.dumps(doctor_report.facts(examination, strict=strict), indent=2))
    elif sys.stdout.isatty():
        doctor_report.draw(examination)
    else:
        printed = doctor_report.Lines(examination, click.echo)
        examination.run(printed.update)
        click.echo(doctor_report.summary(examination))
