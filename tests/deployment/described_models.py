"""Models that are known by their description only."""

from podworker.models.metadata import ModelInfo
from podworker.models.model_set import ModelSet
from podworker.models.resolve import FoundModel


def known(info: ModelInfo) -> FoundModel:
    return FoundModel(info.files[0], "a test", info=info)


def alone(info: ModelInfo) -> ModelSet:
    return ModelSet(known(info))
