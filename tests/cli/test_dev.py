"""What `podworker dev` says when it cannot do what it should. What it does when it can: tests/acceptance."""

import signal
import socket
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from podworker.cli.dev import command, settings_environment, worker_command
from podworker.emulator import Emulator
from tests.acceptance.dev_server import DevServer


def test_a_taken_port_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = CliRunner().invoke(command, ["--port", str(port)])

    assert result.exit_code == 1
    assert f"Port {port} is taken" in result.output
    assert "--port" in result.output


@pytest.mark.parametrize("arguments", [["--port", "99999"], ["--workers", "0"], ["missing.py"], ["--set", "slots"]])
def test_wrong_use(arguments: list[str]) -> None:
    assert CliRunner().invoke(command, arguments).exit_code == 2


def test_workers_that_all_die_end_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert Emulator.__init__.__kwdefaults__ is not None
    monkeypatch.setitem(Emulator.__init__.__kwdefaults__, "restart_seconds", 0.01)  # else the pauses add up to 8 s
    handler = tmp_path / "handler.py"
    handler.write_text("raise SystemExit('this handler is broken')\n")

    result = CliRunner().invoke(command, ["--port", "0", str(handler)])

    assert result.exit_code == 1
    assert "this handler is broken" in result.output
    assert "Every worker failed again and again" in result.output


def test_another_ctrl_c_waits_for_no_worker(tmp_path: Path) -> None:
    handler = tmp_path / "handler.py"
    handler.write_text("""if True:
        import signal, time
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        print("up", flush=True)
        time.sleep(600)
    """)
    with DevServer(tmp_path, str(handler)) as server:
        server.wait_for(lambda: any(line.endswith("up") for line in server.lines))
        server.workers()
        server.interrupt()
        server.wait_for(lambda: any(line.startswith("Stopping; ") for line in server.lines))
        assert server.stop() == 128 + signal.SIGINT
        assert server.left_over() == []


def test_a_handler_file_runs_as_the_container_would_run_it(tmp_path: Path) -> None:
    assert worker_command(tmp_path / "handler.py") == [sys.executable, str(tmp_path / "handler.py")]
    assert worker_command(None)[1:] == ["-m", "podworker", "serve", "--builtin"]


def test_settings_become_variables() -> None:
    assert settings_environment({"slots": "4"}) == {"LOG_FORMAT": "text", "METRICS": "on", "SLOTS": "4"}
    assert settings_environment({"log_format": "json"}) == {"LOG_FORMAT": "json", "METRICS": "on"}


def test_what_is_set_in_the_environment_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("METRICS", "off")
    assert settings_environment({})["METRICS"] == "off"
