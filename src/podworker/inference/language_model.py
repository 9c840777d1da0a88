"""The built-in handler: a GGUF language model."""

import asyncio
import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from podworker.configuration import Settings, automatic
from podworker.errors import ModelLoadFailed, ModelTooLarge
from podworker.gateway.handler import Handler
from podworker.gateway.http_route import HttpRoute
from podworker.gateway.job import Job
from podworker.gateway.stream import Stream
from podworker.inference.batch_size import automatic_batch_size
from podworker.inference.engine import Engine
from podworker.inference.engine_build import require_support
from podworker.inference.engine_metrics import EngineMetrics
from podworker.inference.engine_options import EngineOptions
from podworker.inference.memory import MemoryPlan, plan_memory
from podworker.inference.model_kind import model_kind
from podworker.inference.model_names import ModelNames
from podworker.inference.prompt_cache import PromptCache, prompt_cache
from podworker.models.model_set import ModelSet, fetch_models, find_models
from podworker.monitoring import health, phases

if TYPE_CHECKING:
    from podworker.inference.exchange import Exchange

logger = logging.getLogger(__name__)

_SMALLER = (
    "It ran out of memory. Set CONTEXT_LENGTH or SLOTS lower, or GPU_MEMORY_RESERVE_MB higher; or take a smaller "
    "quantization, or a machine with more memory."
)


class LanguageModel(Handler):
    """Serves the model of the settings: OpenAI's routes, and the plain form."""

    def __init__(self) -> None:
        self._engine: Engine | None = None
        self._metrics: EngineMetrics | None = None
        self._exchange: Exchange | None = None
        self._models: ModelSet | None = None
        self._prompts: PromptCache | None = None
        self._plan: MemoryPlan | None = None
        self._settings: Settings | None = None

    @property
    def engine(self) -> Engine:
        """The engine, once it is launched."""
        assert self._engine is not None, "launch comes first"  # noqa: S101
        return self._engine

    def launch(self, settings: Settings) -> None:
        """Find the model and start the engine, which loads it in its own process. A download is left to `start`.

        Raises:
            StartupError: There is no such model, or its file is damaged; or this image's engine cannot use the GPU.
        """
        self._settings = settings
        require_support(settings)
        with phases.phase(phases.RESOLVE):
            models = find_models(settings)
            plan = plan_memory(settings, models) if models else None
        if models is not None and plan is not None:
            self._launch_engine(models, settings, plan)

    def _launch_engine(self, models: ModelSet, settings: Settings, plan: MemoryPlan) -> None:
        self._models, self._plan = models, plan
        logger.info("Memory: %s", plan.reason)
        self.concurrency = plan.slots
        options = engine_options(settings, models, plan)
        self._prompts = prompt_cache(settings, options)
        self._engine = Engine(
            options,
            start_timeout=settings.engine_start_timeout_seconds,
            restarts=settings.engine_restarts,
            stuck_after=settings.engine_stuck_seconds,
            on_ready=self._prompts.warm if self._prompts else None,
        )
        self._engine.launch()
        self._metrics = EngineMetrics(self._engine)
        health.current().model = options.alias
        health.current().starting(f"The model {options.alias} is being loaded.")
        self._exchange = _exchange(self._engine, settings, options)
        logger.info("Loading %s with %d slots of %d tokens", options.alias, options.slots, options.context_length)

    async def start(self) -> None:
        """Fetch the model if this machine and its volume do not have it; wait until it is loaded.

        Raises:
            StartupError: It cannot be had.
        """
        if self._engine is None:
            assert self._settings is not None, "launch comes first"  # noqa: S101
            health.current().starting("The model is being fetched.")
            models = await fetch_models(self._settings)
            self._launch_engine(models, self._settings, await asyncio.to_thread(plan_memory, self._settings, models))
        try:
            await self.engine.loaded()
        except ModelLoadFailed as error:
            if not self.engine.ran_out_of_memory:
                raise
            await self._load_smaller(error)

    async def _load_smaller(self, error: ModelLoadFailed) -> None:
        """Once more, with less memory, after the engine ran out of it.

        Raises:
            ModelLoadFailed: That did not help, or the settings leave nothing to choose.
        """
        assert self._settings is not None, "launch comes first"  # noqa: S101
        assert self._models is not None, "launch comes first"  # noqa: S101
        try:
            plan = await asyncio.to_thread(plan_memory, self._settings, self._models, failed=self._plan)
        except ModelTooLarge:
            raise ModelLoadFailed(f"{error.message} {_SMALLER}") from error
        logger.warning("The engine ran out of memory; it is tried once more with less. %s", error.message)
        await self._stop_engine()
        self._launch_engine(self._models, self._settings, plan)
        try:
            await self.engine.loaded()
        except ModelLoadFailed as again:
            raise ModelLoadFailed(f"{again.message} {_SMALLER}") from again

    async def check(self) -> None:
        """See that the engine answers.

        Raises:
            EngineUnavailable: It does not.
        """
        await self.engine.check()

    async def watch(self) -> None:
        """Start a crashed engine again, until it crashed too often."""
        await self.engine.supervise()

    async def stop(self) -> None:
        """End the engine."""
        await self._stop_engine()
        if self._models is not None:
            self._models.release()

    async def _stop_engine(self) -> None:
        if self._prompts is not None:
            await self._prompts.close()
        if self._engine is not None:
            await self._engine.stop()
        if self._metrics is not None:
            self._metrics.close()

    def routes(self) -> list[HttpRoute]:
        """OpenAI's, Anthropic's and the engine's own."""
        from podworker.inference.http_routes import http_routes  # noqa: PLC0415 - a worker of the queue has none

        return http_routes()

    async def run(self, job: Job) -> Any | Stream:  # noqa: ANN401 - see Handler
        """Answer one job by the engine."""
        assert self._exchange is not None, "launch comes first"  # noqa: S101
        return await self._exchange.run(job.input)

    async def ask(self, route: str, body: Mapping[str, Any]) -> Any:  # noqa: ANN401 - what the route answers
        """Answer a request of your own handler: `await model.ask("/v1/embeddings", {"input": ["…"]})`.

        Give the model to `podworker.serve(handler, uses=model)`, which loads it before the first job.

        Returns:
            What the route answers; with `stream` a Stream of it.

        Raises:
            WorkerError: Why it has no answer, as a client would read it.
        """
        assert self._exchange is not None, "launch comes first"  # noqa: S101
        return await self._exchange.run({"openai_route": route, "openai_input": dict(body)})


def _exchange(engine: Engine, settings: Settings, options: EngineOptions) -> "Exchange":
    # Imported here: to build what requests may hold takes a tenth of a second, and the engine starts meanwhile.
    from podworker.inference.exchange import Exchange  # noqa: PLC0415
    from podworker.inference.parameter_manager import ParameterManager  # noqa: PLC0415

    manager = ParameterManager(
        settings,
        context_length=options.context_length,
        slots=options.slots,
        images=options.projector is not None,
    )
    return Exchange(engine, manager, ModelNames.of(settings, options.alias), options.kind)


def engine_options(settings: Settings, models: ModelSet, plan: MemoryPlan) -> EngineOptions:
    """The engine's options for these settings and model files on this machine."""
    return EngineOptions(
        model=models.model.path,
        projector=models.projector.path if models.projector else None,
        draft=models.draft.path if models.draft else None,
        draft_tokens=settings.draft_tokens,
        draft_tokens_min=settings.draft_tokens_min,
        draft_p_min=settings.draft_p_min,
        ngrams=settings.speculative == "ngram",
        adapters=tuple((adapter.found.path, adapter.scale) for adapter in models.adapters),
        kind=model_kind(settings, models.model.description),
        alias=settings.model_name or models.model.path.stem,
        context_length=plan.context_length,
        slots=plan.slots,
        batch_size=settings.batch_size or automatic_batch_size(plan, threads=automatic.threads(settings)),
        gpu_layers=plan.gpu_layers,
        cache_type_k=plan.cache_type_k,
        cache_type_v=plan.cache_type_v,
        flash_attention=plan.flash_attention,
        main_gpu=plan.main_gpu,
        tensor_split=plan.tensor_split,
        threads=automatic.threads(settings),
        prompt_cache_mb=automatic.prompt_cache_mb(settings),
        binary=settings.engine_binary,
        verbose=settings.log_level == "debug",
    )
