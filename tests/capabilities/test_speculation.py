"""A draft makes an answer come faster, and changes nothing else."""

from pathlib import Path

import pytest

from tests.capabilities.serving import CHAT, serving
from tests.gguf_files.scripted import scripted

WORDS = [f"word{number} " for number in range(40)]


@pytest.mark.parametrize("right", [40, 20, 0])
async def test_a_draft_model_that_errs_changes_nothing(tmp_path: Path, right: int) -> None:
    """Its first words are right; then it talks nonsense."""
    model = scripted(WORDS)
    path = model.write(tmp_path / "model.gguf")
    tokens = model.entries["tokenizer.ggml.tokens"].value
    model.tensors["output.weight"][:, [tokens.index(word) for word in WORDS[right:]]] = 0
    draft = model.write(tmp_path / "draft.gguf")

    async with serving(path, draft_model=str(draft)) as served:
        answer = await served.ask(CHAT, messages=[{"role": "user", "content": "Go"}], temperature=0)

    assert answer["choices"][0]["message"]["content"] == "".join(WORDS)
    drafted, accepted = answer["timings"]["draft_n"], answer["timings"]["draft_n_accepted"]
    assert drafted > 0
    assert (accepted > 0, accepted < drafted) == (right > 0, right < len(WORDS))
