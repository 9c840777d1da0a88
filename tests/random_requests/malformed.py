"""Malformed requests: good ones with some things put wrong."""

import copy
from collections.abc import Iterable, Iterator
from typing import Any

from hypothesis import strategies as st

from podworker.inference.parameter_manager import PARAMETERS
from tests.random_requests.good import GOOD
from tests.random_requests.odd_values import DEPTH, apt_values, values

ROUTES = st.one_of(
    st.sampled_from(
        ["/slots", "/props", "/health", "/metrics", "/tools", "/lora-adapters", "/models/load", "/slots/0?action=erase"]
    ),
    st.sampled_from(
        ["", "/", "//v1/models", "/v1/../slots", "/v1/chat/completions/", "/V1/models", "/v1/models#", "/v1"]
    ),
    st.sampled_from(["/v1/chat/completions?a=b", "/chat/completions", "/v1/tokenize", "/v1/models\r\nX: y", "/%2e%2e"]),
    values,
)


@st.composite
def malformed(draw: st.DrawFn) -> Any:  # noqa: ANN401 - any JSON value
    """A job's input: a good request in any of the forms, with some things put wrong."""
    route = draw(st.sampled_from(list(GOOD)))
    body: Any = copy.deepcopy(draw(st.sampled_from(GOOD[route])))
    for _ in range(draw(st.integers(0, 3))):
        _put_wrong(draw, route, body)
    return draw(_in_a_form(route, body))


def _in_a_form(route: Any, body: dict[str, Any]) -> st.SearchStrategy[Any]:  # noqa: ANN401 - any JSON value
    """The request as RunPod passes it on, with its route beside it, or plain; now and then none of these."""
    sampling = {name: value for name, value in body.items() if name not in ("messages", "prompt")}
    prompt = {name: value for name, value in body.items() if name in ("messages", "prompt")}
    good = [
        {"openai_route": route, "openai_input": body},
        {**body, "route": route},
        body,
        {**prompt, "sampling_params": sampling},
    ]
    return st.one_of(
        *[st.just(form) for form in good for _ in range(6)],
        st.builds(lambda other: {"openai_route": other, "openai_input": body}, ROUTES),
        st.builds(lambda other: {**body, "route": other}, ROUTES),
        st.builds(lambda other: {"openai_route": route, "openai_input": other}, values),
        st.builds(lambda other: {**prompt, "sampling_params": other}, values),
        values,
    )


def _put_wrong(draw: st.DrawFn, route: str, body: dict[str, Any]) -> None:
    """Change one thing in place."""
    paths = list(_paths(body))
    apt = [path for path in paths if path[-1] in apt_values]
    if draw(st.booleans()) and apt:
        *way, last = draw(st.sampled_from(apt))
        _owner(body, way)[last] = draw(apt_values[str(last)])
        return
    if route in PARAMETERS and (draw(st.booleans()) or not paths):
        body[draw(st.sampled_from(list(PARAMETERS[route].model_fields)))] = draw(values)
        return
    if not paths:
        body[draw(st.text(max_size=12))] = draw(values)
        return
    *way, last = draw(st.sampled_from(paths))
    owner = _owner(body, way)
    match draw(st.sampled_from(["replace", "replace", "remove", "wrap", "many", "add"])):
        case "replace":
            owner[last] = draw(values)
        case "remove":
            del owner[last]
        case "wrap":
            owner[last] = draw(
                st.sampled_from([[owner[last]], {"type": "text", "text": owner[last]}, {"": owner[last]}])
            )
        case "many":
            owner[last] = [owner[last]] * draw(st.sampled_from([2, 50, 3000]))
        case _:
            if isinstance(owner, dict):
                owner[draw(st.one_of(st.text(max_size=12), st.sampled_from(["type", "name", "id", "\ud800"])))] = draw(
                    values
                )


Steps = tuple[int | str, ...]


def _owner(body: Any, way: Iterable[int | str]) -> Any:  # noqa: ANN401 - any JSON value
    for step in way:
        body = body[step]
    return body


def _paths(value: Any, way: Steps = ()) -> Iterator[Steps]:  # noqa: ANN401 - any JSON value
    if len(way) == DEPTH:
        return
    items: Any = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, child in list(items)[:50]:
        yield (*way, step)
        yield from _paths(child, (*way, step))
