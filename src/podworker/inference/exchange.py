"""One request of a job against the engine: whole answers, streams, errors."""

import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from podworker.errors import InvalidInput, WorkerError
from podworker.gateway.stream import Stream
from podworker.inference import answers, chunks, protocols
from podworker.inference.assembly import Assembly, streamed
from podworker.inference.engine import Engine, crashed
from podworker.inference.mending import Mender
from podworker.inference.model_kind import GENERATES, ModelKind
from podworker.inference.model_names import ModelNames
from podworker.inference.parameter_manager import ParameterManager
from podworker.inference.prompt_progress import PromptProgress
from podworker.inference.refusals import engine_error
from podworker.inference.request_form import EngineRequest, read_request
from podworker.inference.routes import CHAT, MODELS
from podworker.inference.usage import measured
from podworker.inference.whole_answers import as_streamed

if TYPE_CHECKING:
    import aiohttp


class Exchange:
    """Answers the jobs of one engine.

    Args:
        engine: What generates.
        manager: What a request may hold.
        names: Which models and adapters a request may name.
        kind: What the model can do.
    """

    def __init__(
        self, engine: Engine, manager: ParameterManager, names: ModelNames, kind: ModelKind = GENERATES
    ) -> None:
        self._engine = engine
        self._manager = manager
        self._names = names
        self._kind = kind
        self._created = int(time.time())

    async def run(self, job_input: Any) -> Any | Stream:  # noqa: ANN401 - any JSON value
        """Answer one job's input.

        Raises:
            WorkerError: What the client shall read. That of a stream comes when it is read.
        """
        request = self._checked(read_request(job_input))
        if not request.stream:
            return await self._answer(request)
        if request.raw:
            return Stream(self._raw_events(request), merge=chunks.join_events)
        return Stream(self._objects(request), merge=chunks.join_objects)

    def _checked(self, request: EngineRequest) -> EngineRequest:
        """The request with a body that is fit for the engine."""
        self._kind.require(request.route.task, request.route.path)
        if request.body is None:
            return request
        body = self._manager.prepare(request.route.path, request.body, prefix=request.prefix)
        return replace(request, body=self._with_adapters(request, body))

    def _with_adapters(self, request: EngineRequest, body: dict[str, Any]) -> dict[str, Any]:
        """Say which adapters act. Where that varies, each request must: a slot else keeps those of the one before."""
        field = request.field("model")
        lora = self._names.scales(body.get("model"), param=field)
        if not self._names.vary or request.route.task is None:
            return body
        if request.route.adapters:
            return {"cache_prompt": True, **body, "lora": lora}
        if lora != self._names.scales(None, param=field):
            raise InvalidInput(
                f"{field}: an adapter cannot be chosen on {request.route.path}. Use /v1/chat/completions, or leave "
                f"the model as {self._names.model}.",
                param=field,
            )
        return body

    async def _answer(self, request: EngineRequest) -> Any:  # noqa: ANN401 - any JSON value
        if (as_stream := streamed(request)) is not None:
            return await self._assembled(as_stream)
        with measured(request, self._names.model) as usage:
            async with self._engine.request(request.route.method, request.route.path, request.body) as response:
                answer = await _json(response)
                if not response.ok:
                    raise engine_error(answer, request)
            usage.answer(answer)
        if request.route is MODELS:  # the engine adds its own list, in another form
            return self._names.listed(answer["data"][0], created=self._created)
        return self._mender(request).answer(as_streamed(answer))

    async def _assembled(self, request: EngineRequest) -> dict[str, Any]:
        whole = Assembly()
        async with aclosing(self._objects(request)) as objects:
            async for chunk in objects:
                whole.add(chunk)
        return whole.chat() if request.route is CHAT else whole.completion()

    def _mender(self, request: EngineRequest) -> Mender:
        return request.route.protocol.mender(request.body or {}, context_length=self._manager.context_length)

    async def _events(self, request: EngineRequest) -> AsyncGenerator[str, None]:
        """The answer's server-sent events, with the one that ends it.

        Raises:
            EngineCrashed: It did not end as it should: the engine died, and the connection looks like a clean end.
        """
        protocol = request.route.protocol
        mender = self._mender(request)
        progress = PromptProgress(request.body or {})
        ends = (request.body or {}).get("n_cmpl", 1) if protocol is protocols.LLAMA else 1
        with measured(request, self._names.model) as usage:
            async with self._engine.request(request.route.method, request.route.path, progress.body) as response:
                if not response.ok:
                    raise engine_error(await _json(response), request)
                async for event in answers.events(response.content.iter_any()):
                    if answers.is_error(event):
                        raise engine_error(answers.event_data(event), request)
                    if (told := progress.without(event)) is None:
                        continue
                    usage.event(told)
                    yield mender.event(told)
                    ends -= protocol.is_end(event)
                    if ends == 0:
                        return
            raise crashed()

    async def _raw_events(self, request: EngineRequest) -> AsyncGenerator[str, None]:
        """Server-sent events as the route's clients expect them; a failure is told in the stream, too."""
        begun = False
        try:
            async with aclosing(self._events(request)) as events:
                async for event in events:
                    begun = True
                    yield event
        except WorkerError as error:
            if begun:  # else the job's own error comes first
                yield request.route.protocol.error_event(error)
            raise

    async def _objects(self, request: EngineRequest) -> AsyncGenerator[dict[str, Any], None]:
        async with aclosing(self._events(request)) as events:
            async for event in events:
                if event != protocols.DONE:
                    yield answers.event_data(event)


async def _json(response: "aiohttp.ClientResponse") -> Any:  # noqa: ANN401 - any JSON value
    """The body of a whole answer; None if it is no JSON, as where the engine fails at telling what failed."""
    try:
        return await response.json(content_type=None)
    except ValueError:
        return None
