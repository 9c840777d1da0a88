"""What a request to the language model does, and who does it, in OpenTelemetry's words."""

PROVIDER = "llama_cpp"
"""The `gen_ai.provider.name`: the conventions have none for llama.cpp; others may be used."""
_OPERATIONS = {
    "/v1/chat/completions": "chat",
    "/v1/responses": "chat",
    "/v1/messages": "chat",
    "/v1/completions": "text_completion",
    "/infill": "text_completion",
    "/v1/embeddings": "embeddings",
    "/v1/rerank": "rerank",
}
GENERATING = frozenset({"chat", "text_completion"})
"""Operations whose answer is text."""


def operation(route: str) -> str:
    """The `gen_ai.operation.name` of a route of the engine.

    The names are those of OpenTelemetry's semantic conventions for generative AI, which have none for reranking.
    """
    return _OPERATIONS.get(route, "other")
