"""`podworker deploy`: an endpoint at RunPod, from the settings."""

import json
from typing import TYPE_CHECKING, Any

import click

from podworker.cli.api_key import api_key
from podworker.cli.options import chosen_settings, setting_options

if TYPE_CHECKING:
    from podworker.configuration import Settings
    from podworker.deployment.deployer import Deployer, Deployment

# The help of `podworker` imports this module: what the work needs is imported when there is work.

_ACTIONS = {"create": "is not there yet", "update": "differs", "none": "is as it should be"}


@click.command(name="deploy")
@click.argument("name", required=False)
@setting_options
@click.option("--env", "variables", multiple=True, metavar="NAME=VALUE", help="One more variable of the workers.")
@click.option(
    "--secret",
    "secrets",
    multiple=True,
    metavar="NAME=SECRET",
    help="A variable that gets the value of RunPod's secret of this name, such as HF_TOKEN=hf_token.",
)
@click.option("--allow-plain-secrets", is_flag=True, help="Send secrets as they are; all in the account can read them.")
@click.option("--apply", "apply", is_flag=True, help="Do it. Without this, it is only shown.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object, for programs.")
@click.option("--presets", "show_presets", is_flag=True, help="Print well-known models and the GPUs that they fit.")
def command(
    name: str | None,
    model: str | None,
    settings: tuple[str, ...],
    variables: tuple[str, ...],
    secrets: tuple[str, ...],
    *,
    allow_plain_secrets: bool,
    apply: bool,
    as_json: bool,
    show_presets: bool,
) -> None:
    """Create or update the endpoint NAME at RunPod, as the settings say.

    Shows what would change; --apply changes it. The settings of the group Deployment (`podworker config`) say what the
    endpoint is like; all others that are given are sent to its workers. GPUs are chosen by the model's header, unless
    DEPLOY_GPUS names some. It needs the key in RUNPOD_API_KEY; without, everything is shown as new.

    \b
    Examples:
      podworker deploy chat --model Qwen/Qwen3-8B-GGUF:Q4_K_M
      podworker deploy chat --model Qwen/Qwen3-8B-GGUF:Q4_K_M --apply
      podworker deploy chat --set deploy_workers_max=5 --secret HF_TOKEN=hf_token
      podworker deploy api --set deploy_type=load_balancer --secret API_KEYS=api_keys
    """
    from podworker.cli import interruptible_runner  # noqa: PLC0415
    from podworker.configuration import load_settings  # noqa: PLC0415

    if show_presets:
        from podworker.deployment.presets import table  # noqa: PLC0415

        click.echo(table(), nl=False)
        return
    given = chosen_settings(model, settings)
    loaded = load_settings(**({**given, "deploy_name": name} if name else given))
    key = api_key(loaded)
    if apply and key is None:
        raise click.UsageError("--apply needs your RunPod API key: set RUNPOD_API_KEY.")
    others, named = _pairs(variables, "--env"), _pairs(secrets, "--secret")
    deployer = _deployer(loaded, others, named, plain_secrets=allow_plain_secrets)
    deployment = interruptible_runner.run(_deploy(loaded, deployer, key, apply=apply))
    if as_json:
        click.echo(json.dumps(_facts(deployment), indent=2))
    else:
        _draw(deployment, asked=key is not None)


def _deployer(
    settings: "Settings", variables: dict[str, str], secrets: dict[str, str], *, plain_secrets: bool
) -> "Deployer":
    from podworker.deployment.deployer import Deployer  # noqa: PLC0415
    from podworker.deployment.environment import endpoint_environment  # noqa: PLC0415

    environment = endpoint_environment(settings, secrets=secrets, others=variables, plain_secrets=plain_secrets)
    return Deployer(settings, environment, _tell)


def _tell(sentence: str) -> None:
    click.echo(sentence, err=True)  # standard output is for the answer


async def _deploy(settings: "Settings", deployer: "Deployer", key: str | None, *, apply: bool) -> "Deployment":
    if key is None:
        return await deployer.compare(None)
    import asyncio  # noqa: PLC0415

    from podworker.deployment.rest_api import RestApi  # noqa: PLC0415

    async with RestApi(settings.runpod_rest_url, key) as api:
        deployment = await deployer.compare(api)
        try:
            return await deployer.apply(api, deployment) if apply else deployment
        except asyncio.CancelledError:
            _tell("Interrupted: RunPod may have done it nevertheless. To see what is there, run it without --apply.")
            raise


def _pairs(words: tuple[str, ...], option: str) -> dict[str, str]:
    """NAME=VALUE, as often as the option was given."""
    pairs = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals or not name.strip() or not value:
            raise click.BadParameter("It is not NAME=VALUE.", param_hint=option)  # its value may be a secret
        pairs[name.strip()] = value
    return pairs


def _facts(deployment: "Deployment") -> dict[str, Any]:
    return {
        "name": deployment.name,
        "id": deployment.endpoint["id"] if deployment.endpoint else None,
        "action": deployment.action,
        "applied": deployment.applied,
        "differences": [
            {"field": difference.field, "now": difference.now, "then": difference.then}
            for difference in deployment.changes.differences
        ],
        "notes": list(deployment.notes),
        "urls": (deployment.endpoint or {}).get("requestUrls"),
    }


def _draw(deployment: "Deployment", *, asked: bool) -> None:
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    console = Console(highlight=False)
    known = f"The endpoint {deployment.name} {_ACTIONS[deployment.action]}."
    console.print(Text(known if asked else f"The endpoint {deployment.name}, without a look at what is there."))
    for note in deployment.notes:
        console.print(Text(f"  {note}"))
    if deployment.changes.differences:
        table = Table("field", "now", "then", box=None, pad_edge=False, header_style="bold")
        for difference in deployment.changes.differences:
            table.add_row(*(Text(text or "-") for text in (difference.field, difference.now, difference.then)))
        console.print("", table, "")
    console.print(Text(_last_words(deployment)))


def _last_words(deployment: "Deployment") -> str:
    if deployment.action == "none":
        return "Nothing to do."
    if not deployment.applied:
        return f"Nothing was done: add --apply to {deployment.action} it."
    endpoint = deployment.endpoint or {}
    urls = " ".join(str(url) for name, url in (endpoint.get("requestUrls") or {}).items() if name in {"run", "base"})
    done = {"create": "Created", "update": "Updated"}[deployment.action]
    return f"{done}. Its id is {endpoint['id']}. {urls}".rstrip()
