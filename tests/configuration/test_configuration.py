import subprocess
import sys


def test_import_stays_light() -> None:
    """The import is part of every cold start: what only some commands need is not in it."""
    code = "import sys, podworker.configuration.machine; print(sorted({'rich', 'click', 'pynvml'} & set(sys.modules)))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
