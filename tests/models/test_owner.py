import dataclasses
import json
import os
import subprocess
import sys

from podworker.models.owner import Owner, is_dead, this_process


def test_this_process_lives() -> None:
    assert not is_dead(this_process())


def test_a_killed_process_is_dead_even_before_its_parent_notices() -> None:
    code = "import json, dataclasses; from podworker.models.owner import this_process as t; "
    code += "print(json.dumps(dataclasses.asdict(t())), flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        owner = Owner(**json.loads(child.stdout.readline()))
        assert owner.pid == child.pid
        assert not is_dead(owner)
        child.kill()
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # dead, but not reaped
        assert is_dead(owner)
    assert is_dead(owner)


def test_a_number_that_is_used_again_is_another_process() -> None:
    assert is_dead(dataclasses.replace(this_process(), started=1))


def test_nobody_knows_of_another_machine() -> None:
    dead = dataclasses.replace(this_process(), started=1)
    assert not is_dead(dataclasses.replace(dead, kernel="another boot/1"))
    assert not is_dead(dataclasses.replace(dead, kernel=""))
    assert not is_dead(dataclasses.replace(dead, host="elsewhere"))
