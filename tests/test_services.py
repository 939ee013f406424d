"""What services.py promises: no server stays behind, and none is missed in silence."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import until
from services import program, server

SERVE = [sys.executable, "-m", "http.server", "--bind", "127.0.0.1"]
STARTER = """
import sys
from pathlib import Path
from services import server
from test_services import SERVE, listens

with server(lambda port: [*SERVE, str(port)], listens, Path(sys.argv[1])) as port:
    print(port, flush=True)
    sys.stdin.read()
"""


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_a_server_goes_at_the_end(tmp_path: Path) -> None:
    with server(lambda port: [*SERVE, str(port)], listens, tmp_path / "log") as port:
        assert listens(port)
    assert not listens(port)


def test_a_server_goes_when_its_starter_is_killed(tmp_path: Path) -> None:
    starter = subprocess.Popen(
        [sys.executable, "-c", STARTER, str(tmp_path / "log")],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    assert starter.stdout
    with starter:
        port = int(starter.stdout.readline())
        assert listens(port)
        starter.send_signal(signal.SIGKILL)
    until(lambda: not listens(port), 60)


def test_a_server_that_does_not_start_is_told(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "raise SystemExit('no such luck')"]
    with (
        pytest.raises(pytest.fail.Exception, match="no such luck"),
        server(lambda port: command, listens, tmp_path / "log"),
    ):
        pass


@pytest.mark.parametrize(
    ("ci", "outcome"), [("", pytest.skip.Exception), ("true", pytest.fail.Exception)]
)
def test_a_missing_program(monkeypatch: pytest.MonkeyPatch, ci: str, outcome: type) -> None:
    monkeypatch.setenv("CI", ci)
    with pytest.raises(outcome, match="nosuchprogram is not installed"):
        program("nosuchprogram", "nosuchpackage")
