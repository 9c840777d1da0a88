from podworker.models.shards import Shard, shard_of


def test_a_shard_knows_its_number_and_its_siblings() -> None:
    shard = shard_of("Q4/model-00002-of-00003.gguf")
    assert shard == Shard("Q4/model", 2, 3)
    assert [part.name for part in shard.all()] == [f"Q4/model-0000{n}-of-00003.gguf" for n in (1, 2, 3)]


def test_other_names_are_no_shards() -> None:
    for name in (
        "model.gguf",
        "model-1-of-3.gguf",
        "model-00004-of-00003.gguf",
        "model-00000-of-00003.gguf",
        "model-00001-of-00003.bin",
        "model-000001-of-00003.gguf",
    ):
        assert shard_of(name) is None, name
