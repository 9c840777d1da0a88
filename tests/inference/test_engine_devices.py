import xllamacpp

from podworker.configuration import load_settings, machine
from podworker.inference.engine_devices import built_in_engine_uses_gpus, engine_uses_gpus


def test_the_built_in_engine_tells_whether_it_is_built_for_gpus() -> None:
    kinds = {device["type"] for device in xllamacpp.get_device_info()}
    wanted = xllamacpp.ggml_backend_dev_type.GGML_BACKEND_DEVICE_TYPE_GPU in kinds
    assert built_in_engine_uses_gpus() is wanted


def test_without_a_gpu_there_is_nothing_to_use() -> None:
    assert machine.gpus() or not engine_uses_gpus(load_settings(engine_binary="/opt/llama-server"))
