import dataclasses
import time
from collections.abc import Callable
from pathlib import Path

from podworker.models.lease import Claim, decode
from podworker.models.owner import this_process
from podworker.models.uses import Activity, Use, UseObserver, last_use

SECONDS = 60.0
"""After which a user counts as gone: nothing here takes that long."""
SHORT = 0.5
"""Where signs of life, or the end of this time, are waited for."""


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def sequence(folder: Path) -> int:
    (path,) = [path for path in folder.iterdir() if not path.name.startswith(".")]
    claim = decode(path.read_bytes())
    assert claim is not None
    return claim.sequence


def test_a_use_lives_until_it_is_released(tmp_path: Path) -> None:
    observer = UseObserver(tmp_path, SECONDS)
    assert observer.activity("model") is Activity.IDLE
    use = Use(tmp_path / "model", SHORT)
    until(lambda: sequence(tmp_path / "model") > 2)
    assert observer.activity("model") is Activity.BUSY
    use.release()
    assert observer.activity("model") is Activity.IDLE
    assert abs(last_use(tmp_path / "model") - time.time()) < 60


def test_a_use_taken_for_silent_shows_itself_again(tmp_path: Path) -> None:
    use = Use(tmp_path / "model", SHORT)
    (path,) = [path for path in (tmp_path / "model").iterdir() if not path.name.startswith(".")]
    path.unlink()
    until(path.exists)
    use.release()


def test_a_use_does_not_bring_a_removed_model_back(tmp_path: Path) -> None:
    use = Use(tmp_path / "model", SECONDS)
    (tmp_path / "model").rename(tmp_path / "removed")
    use.release()
    assert [path.name for path in tmp_path.iterdir()] == ["removed"]


def test_a_user_elsewhere_is_unknown_then_busy_or_idle(tmp_path: Path) -> None:
    owner = dataclasses.replace(this_process(), kernel="another boot/1", host="elsewhere")
    claim = Claim("token", owner, "use")
    path = tmp_path / "model" / "token"
    path.parent.mkdir()
    path.write_bytes(claim.encode())
    patient, observer = UseObserver(tmp_path, SECONDS), UseObserver(tmp_path, SHORT)
    assert [patient.activity("model"), observer.activity("model")] == [Activity.UNKNOWN, Activity.UNKNOWN]
    path.write_bytes(dataclasses.replace(claim, sequence=1).encode())
    assert patient.activity("model") is Activity.BUSY
    until(lambda: observer.activity("model") is Activity.IDLE)


def test_a_dead_user_of_this_host_is_cleaned_away(tmp_path: Path) -> None:
    path = tmp_path / "model" / "token"
    path.parent.mkdir()
    path.write_bytes(Claim("token", dataclasses.replace(this_process(), started=1), "use").encode())
    assert UseObserver(tmp_path, 1000).activity("model") is Activity.IDLE
    assert not path.exists()
