"""The state that a recurrent layer keeps for each sequence, instead of a cache that grows.

Source: `n_embd_r` and `n_embd_s` in llama.cpp's `llama-hparams.cpp`.
"""

from podworker.models.hyperparameters import Hyperparameters

_NUMBER = 4
"""Bytes: the engine keeps states as F32."""


def recurrent_state(model: Hyperparameters) -> int:
    """Bytes for each recurrent layer and sequence; 0 if the model says nothing of any."""
    return (_recent(model) + _memory(model)) * _NUMBER


def _recent(model: Hyperparameters) -> int:
    """Numbers kept of the last tokens: of token shifts and convolutions."""
    width = model.count("embedding_length")
    if model.count("wkv.head_size"):
        return width * (model.count("token_shift_count") or 2)
    if model.count("shortconv.l_cache"):
        return width * (model.count("shortconv.l_cache") - 1)
    kernel = model.count("ssm.conv_kernel")
    if model.count("kda.head_dim"):
        return 3 * (kernel - 1 if kernel else 3) * _heads(model) * model.count("kda.head_dim")
    channels = model.count("ssm.inner_size") + 2 * model.count("ssm.group_count") * model.count("ssm.state_size")
    return max(kernel - 1, 0) * channels


def _memory(model: Hyperparameters) -> int:
    """Numbers of the state that sums up all earlier tokens."""
    if model.count("wkv.head_size"):
        return model.count("embedding_length") * model.count("wkv.head_size")
    if model.count("kda.head_dim"):
        return model.count("kda.head_dim") ** 2 * _heads(model)
    return model.count("ssm.state_size") * model.count("ssm.inner_size")


def _heads(model: Hyperparameters) -> int:
    return max(model.per_layer("attention.head_count"), default=0)
