"""The short form of `scripts/soak gguf`."""

from pathlib import Path

from tests.gguf_files.soak import trials

MUTANTS = 120


def test_mutants_neither_fool_nor_crash_the_validator(tmp_path: Path) -> None:
    passed = loaded = 0
    for trial in trials(MUTANTS, tmp_path):
        assert trial.failure is None, trial
        passed += trial.refusal is None
        loaded += trial.outcome is not None and trial.outcome.loaded
    # Both kinds must be among them, or this proves nothing.
    assert MUTANTS / 10 < loaded <= passed < MUTANTS / 2
