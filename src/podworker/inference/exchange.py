"""One request of a job against the engine: whole answers, streams, errors."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from podworker.errors import WorkerError
from podworker.gateway.stream import Stream
from podworker.inference import answers
from podworker.inference.engine import Engine, crashed
from podworker.inference.routes import MODELS, EngineRequest, read_request


class Exchange:
    """Answers the jobs of one engine.

    Args:
        engine: What generates.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def run(self, job_input: Any) -> Any | Stream:  # noqa: ANN401 - any JSON value
        """Answer one job's input.

        Raises:
            WorkerError: What the client shall read.
        """
        request = read_request(job_input)
        if not request.stream:
            return await self._answer(request)
        if request.openai:
            return Stream(self._raw_events(request), merge=answers.join_events)
        return Stream(self._objects(request), merge=answers.join_objects)

    async def _answer(self, request: EngineRequest) -> Any:  # noqa: ANN401 - any JSON value
        async with self._engine.request(request.method, request.path, request.body) as response:
            answer = await response.json()
            if not response.ok:
                raise answers.engine_error(answer, param=request.prompt_field)
        if request.path == MODELS:  # the engine adds its own list, in another form
            return {"object": "list", "data": answer["data"]}
        return answer

    async def _events(self, request: EngineRequest) -> AsyncGenerator[str, None]:
        """The answer's server-sent events, but for the one that ends it.

        Raises:
            EngineCrashed: It did not end as it should: the engine died, and the connection looks like a clean end.
        """
        async with self._engine.request(request.method, request.path, request.body) as response:
            if not response.ok:
                raise answers.engine_error(await response.json(), param=request.prompt_field)
            async for event in answers.events(response.content.iter_any()):
                if event == answers.DONE:
                    return
                if answers.is_error(event):
                    raise answers.engine_error(answers.event_data(event), param=request.prompt_field)
                yield event
        raise crashed()

    async def _raw_events(self, request: EngineRequest) -> AsyncGenerator[str, None]:
        """Server-sent events as OpenAI's clients expect them; a failure is told in the stream, too."""
        begun = False
        try:
            async with aclosing(self._events(request)) as events:
                async for event in events:
                    begun = True
                    yield event
        except WorkerError as error:
            if begun:  # else the job's own error comes first
                yield answers.error_event(error)
            raise
        yield answers.DONE

    async def _objects(self, request: EngineRequest) -> AsyncGenerator[dict[str, Any], None]:
        async with aclosing(self._events(request)) as events:
            async for event in events:
                yield answers.event_data(event)
