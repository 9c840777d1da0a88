"""Sentences in a new project's README that depend on where podworker came from."""

from podworker.cli.new_origin import Origin


def requirement_words(source: Origin, version: str) -> str:
    """Where `requirements-dev.txt` takes podworker from."""
    if source.sources is None:
        return f"`requirements-dev.txt` asks for podworker {version}."
    where = "clone" if source.clone else "commit"
    return (
        f"`requirements-dev.txt` takes podworker from the {where} that made this project. Once podworker is on PyPI,\n"
        f"write `podworker=={version}` in the place of that line."
    )


def image_words(source: Origin, name: str, kind: str) -> str:
    """How to build the project's image."""
    if source.sources is None:
        return f"```sh\ndocker build --tag {name.lower()} .\n```"
    base, options = (
        ("podworker:cpu", "--build-arg VARIANT=cpu") if kind == "model" else ("podworker:handler", "--target handler")
    )
    return (
        "The image stands on one of podworker's, which the `Dockerfile` names. Until that is published, build it\n"
        "first, from the same sources:\n\n"
        "```sh\n"
        f"docker build {options} --tag {base} {source.sources}\n"
        f"docker build --build-arg PODWORKER_IMAGE={base} --tag {name.lower()} .\n"
        "```"
    )
