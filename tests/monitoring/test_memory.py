import os
from pathlib import Path

import psutil

from podworker.monitoring.memory import resident_bytes


def test_it_is_what_the_kernel_counts() -> None:
    before = psutil.Process().memory_info().rss
    found = resident_bytes(os.getpid())
    assert found is not None
    assert before / 2 < found < before * 2


def test_there_is_none_of_no_process(tmp_path: Path) -> None:
    assert resident_bytes(os.getpid(), tmp_path) is None
