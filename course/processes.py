"""Run a student's program on a copy of a lesson, as someone at a terminal or a browser would."""

from __future__ import annotations

import contextlib
import json
import os
import select
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from course.catalog import ROOT
from course.errors import CourseError

MEMORY_ROOM = 1024 * 1024 * 1024
"""Bytes that must be free in memory for copies of lessons to be kept there."""

START_SECONDS = 5.0
"""How long an app may take until it serves."""

COMMAND_SECONDS = 10.0
"""How long a command may take."""

SERVE_SECONDS = 60.0
"""How long a served app may live: longer than any one check needs."""

_BOOT = (
    "import sys; root = sys.argv.pop(1); sys.path.insert(0, root);"
    "from course import forkserver; sys.path.remove(root);"
    "forkserver.main(sys.argv[1], sys.argv[2:])"
)


@dataclass(frozen=True)
class Finished:
    """How a program ended: exit code (negative: the signal), why, and what it wrote."""

    code: int
    reason: str
    out: str
    err: str


@dataclass
class Job:
    """A program to run. See `course.job.run_job` for what each field does there."""

    argv: list[str]
    cwd: Path
    env: dict[str, str] = field(default_factory=dict)
    stdin: str = ""
    seconds: float = COMMAND_SECONDS
    serve: bool = False
    mount: str = ""
    broken_route: str = ""
    hidden: frozenset[str] = frozenset()


class ForkServer:
    """A Python with `imports` already imported, that forks a process for each job.

    A job whose own files hide some of them is forked from a Python that has imported nothing (for
    which `imports` is None), so that it finds what it would find at a terminal.
    """

    def __init__(self, imports: tuple[str, ...] | None) -> None:
        self._imports = imports
        self._cold: ForkServer | None = None
        self._folder = scratch_folder()
        self._address = str(Path(self._folder.name, "jobs.sock"))
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-c", _BOOT, str(ROOT), self._address, *(imports or ())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,  # Ctrl-C at the terminal is for us to handle
            env={
                "PATH": os.environ.get("PATH", os.defpath),
                "PYTHONDONTWRITEBYTECODE": "1",
                "MALLOC_ARENA_MAX": "2",  # else glibc reserves 64 MiB of a job's memory per thread
            },
        )
        self._imported: frozenset[str] | None = None

    def imported(self) -> frozenset[str]:
        """Return the top-level modules that every job finds imported; wait until they are.

        Raises `CourseError` where they cannot be imported.
        """
        if self._imported is None:
            assert self._process.stdout
            line = self._process.stdout.readline()
            if not line:
                raise CourseError("The process that runs the checks' programs could not start.")
            self._imported = frozenset(json.loads(line))
        return self._imported

    def hidden_by(self, modules: frozenset[str]) -> frozenset[str]:
        """Return which of a lesson's own `modules` hide one of Python's, or one that jobs import.

        Raises `CourseError` as `imported` does.
        """
        return modules & (self.imported() | sys.stdlib_module_names)

    def ended(self) -> bool:
        """Tell whether a job has killed it."""
        return self._process.poll() is not None

    def start(self, job: Job, scratch: Path) -> Program:
        """Start `job`; `scratch` is a folder for what is needed beside its own."""
        if job.hidden and self._imports is not None:
            if self._cold is None:
                self._cold = ForkServer(None)
            return self._cold.start(job, scratch)
        self.imported()  # it listens by now
        return self._start(job, scratch)

    def _start(self, job: Job, scratch: Path) -> Program:
        stdin = scratch / "stdin"
        stdin.write_text(job.stdin, "utf-8")
        address = scratch / f"{time.monotonic_ns()}.sock"
        ready, ready_w = os.pipe()
        message = {
            "argv": job.argv,
            "cwd": str(job.cwd),
            "env": environment(scratch) | job.env,
            "stdin": str(stdin),
            "seconds": job.seconds,
            "serve": job.serve,
            "mount": job.mount,
            "broken_route": job.broken_route,
            "hidden": sorted(job.hidden),
        }
        control = socket.socket(socket.AF_UNIX)
        control.connect(self._address)
        with socket.socket(socket.AF_UNIX) as listener:
            if job.serve:
                listener.bind(str(address))
                listener.listen(64)
            line = json.dumps(message).encode() + b"\n"
            sent = socket.send_fds(control, [line], [ready_w, listener.fileno()])
            if sent < len(line):  # sending nothing fails where a quick job has ended already
                control.sendall(line[sent:])
        os.close(ready_w)
        return Program(control, ready, address)

    def close(self) -> None:
        """End the process that forks, and every job that still runs."""
        if self._cold:
            self._cold.close()
        self._process.communicate()
        self._folder.cleanup()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class ForkServers:
    """A fork server for each set of imports that was asked for, until the end of the block."""

    def __init__(self) -> None:
        self._servers: dict[tuple[str, ...], ForkServer] = {}

    def get(self, imports: tuple[str, ...]) -> ForkServer:
        """Return the server that has these imports. It may still be importing them."""
        if imports not in self._servers or self._servers[imports].ended():
            self._servers[imports] = ForkServer(imports)
        return self._servers[imports]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for server in self._servers.values():
            server.close()


class Program:
    """A running job."""

    def __init__(self, control: socket.socket, ready: int, address: Path) -> None:
        self._control = control
        self._replies = control.makefile("rb")
        self._ready = ready
        self._finished: Finished | None = None
        self.address = address
        """The Unix socket on which a served app listens."""

    def wait_until_serving(self, seconds: float = START_SECONDS) -> dict[str, Any] | None:
        """Wait until the app is about to serve; return what it says of its structure.

        Returns None where the program ended, or was killed after `seconds`, before it served.
        """
        deadline = time.monotonic() + seconds
        facts = b""
        while not facts.endswith(b"\n"):
            left = deadline - time.monotonic()
            sources: list[Any] = [self._ready, self._control]
            readable = select.select(sources, [], [], max(left, 0))[0]
            if not readable:
                self.kill(too_slow=True)
                return None
            if self._ready not in readable:
                return None
            chunk = os.read(self._ready, 65536)
            if not chunk:
                self.wait()
                return None
            facts += chunk
        found: dict[str, Any] = json.loads(facts)
        return found

    def output(self) -> tuple[str, str]:
        """Return what the program has written so far: standard output and standard error."""
        if self._finished is None:
            with contextlib.suppress(OSError):
                self._control.sendall(b"o")
            reply = self._reply()
            if self._finished is None:
                return reply["out"], reply["err"]
        return self._finished.out, self._finished.err

    def ended(self) -> bool:
        """Tell whether the program has ended, without waiting for it."""
        if self._finished is None and select.select([self._control], [], [], 0)[0]:
            self._reply()
        return self._finished is not None

    def wait(self) -> Finished:
        """Wait for the program's end, which its time limit makes sure of."""
        while self._finished is None:
            self._reply()
        return self._finished

    def kill(self, too_slow: bool = False) -> Finished:
        """End the program and everything that it has started."""
        if self._finished is None:
            with contextlib.suppress(OSError):
                self._control.sendall(b"t" if too_slow else b"k")
        return self.wait()

    def _reply(self) -> dict[str, Any]:
        line = self._replies.readline()
        reply: dict[str, Any] = json.loads(line) if line else _LOST
        if "reason" in reply:
            self._finished = Finished(**reply)
            self._replies.close()
            self._control.close()
            os.close(self._ready)
        return reply


_LOST = {"code": -9, "reason": "lost", "out": "", "err": ""}
"""The supervisor itself was killed: the job is counted as crashed."""


def environment(scratch: Path) -> dict[str, str]:
    """Return the environment of a job: the same on every machine, whatever the student has set."""
    return {
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]),
        "HOME": str(scratch),
        "TMPDIR": str(scratch),
        "LANG": "C.UTF-8",
        "APP_ENV": "development",  # elsewhere, an app may ask for more before it starts
        "PYTHONUTF8": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
    }


def scratch_folder() -> tempfile.TemporaryDirectory[str]:
    """Return a temporary folder, in memory where there is room for it.

    Its path leaves room for a Unix socket's name.
    """
    memory = Path("/dev/shm")  # on Linux: a disk takes ten times as long for many small files
    roomy = os.access(memory, os.W_OK) and shutil.disk_usage(memory).free >= MEMORY_ROOM
    folder = memory if roomy else None
    return tempfile.TemporaryDirectory(prefix="flask-", dir=folder, ignore_cleanup_errors=True)
