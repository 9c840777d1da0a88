"""What the engine process writes: told in the worker's log, and kept as the reason of its end."""

import logging
import re

from podworker.inference.engine_libraries import missing_library
from podworker.monitoring import content

logger = logging.getLogger("podworker.engine")

# llama.cpp's log lines start with a time stamp and a level: `0.00.020.608 E gguf_init_from_reader: …`.
_LINE = re.compile(r"^[\d.]+ (?P<level>[DIWE]) (?P<text>.*)$")

# How llama.cpp, ggml, CUDA and the C++ library say it.
_OUT_OF_MEMORY = re.compile(
    r"out of memory|insufficient memory|cannot allocate memory|(failed|unable) to allocate|bad_alloc", re.IGNORECASE
)

# Warnings with which sound models load: tokens of their vocabulary, a context below or above that of their training,
# slots that are not saved where there is no cache for them, and a chat template that keeps earlier thoughts.
_USUAL = re.compile(
    r"control-looking token|special_eo[sgt]|n_ctx_(per_)?seq|n_ctx_train|training context|--cache-idle-slots"
    r"|supports preserving reasoning"
)

# The code that computes, which never sees a text: tokens come to it as numbers.
_COMPUTES = re.compile(
    r"^\s*(ggml_\w+|llama_\w+|cuda\w*|decode|encode|process_ubatch|init_batch|find_slot|graph_\w+|output_reserve)\b",
    re.IGNORECASE,
)

# An abort of the engine's own: `/path/ggml.c:123: GGML_ASSERT(…) failed`, and what CUDA and the C++ library say.
_ABORTS = re.compile(r"^\S+\.(c|cc|cpp|cu|cuh|h|hpp|m):\d+: |^terminate called|^CUDA error|^ggml_\w+:")


class EngineLog:
    """The lines of one engine process, from its start to its end.

    While it loads, its warnings and errors are warnings here, without those that sound models bring. Once it serves,
    most of them are about requests: "E failed to parse grammar", "W cancel task". Who sent the request reads why, the
    operator has nothing to do, and the lines quote grammars, schemas and templates: they are for debugging, and only
    with LOG_CONTENT. What the computing code says is a warning even then, and quotes nothing.
    """

    def __init__(self) -> None:
        self._loaded = False
        self._load_error: str | None = None
        self._last_words: str | None = None
        self.memory_words = False
        """Whether it has said, while it loaded, that there is too little memory."""

    @property
    def reason(self) -> str | None:
        """Why the engine ended, in its own words, or with what to install; None where it left none."""
        return self._load_error or self._last_words

    def forget_load(self) -> None:
        """The model is loaded: what was logged until now is not why this process will end."""
        self._loaded = True
        self._load_error = self._last_words = None
        self.memory_words = False

    def add(self, line: str) -> None:
        """Take a line that it wrote."""
        found = _LINE.match(line)
        text = found["text"].strip() if found else line
        level = found["level"] if found else None
        if self._loaded:
            self._add_served(level, text)
        else:
            self._add_load(level, text)

    def _add_load(self, level: str | None, text: str) -> None:
        if level in {None, "E"} and _OUT_OF_MEMORY.search(text):
            self.memory_words = True
        if level is None:  # an abort's last words come without a time stamp
            self._last_words = missing_library(text) or text
        elif level == "E" and self._load_error is None:
            self._load_error = text  # the cause; the errors that follow it are its consequences
        told = level == "E" or (level == "W" and not _USUAL.search(text))
        logger.log(logging.WARNING if told else logging.DEBUG, "%s", text)

    def _add_served(self, level: str | None, text: str) -> None:
        if level is None and _ABORTS.search(text):
            self._last_words = text
            logger.warning("%s", text)
        elif level == "E" and _COMPUTES.search(text):
            logger.warning("%s", text)
        elif content.is_allowed():
            logger.debug("%s", text)
