"""Run a student's program on a copy of a lesson, as someone at a terminal or a browser would."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import secrets
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Self

from course.catalog import ROOT
from course.errors import CourseError
from course.files import inside, remove
from course.sandbox import PROGRAMS, Sandbox
from course.snapshot import Snapshot
from course.sql import Database
from course.supervisor import OUTPUT_LIMIT
from course.written import Written

MEMORY_ROOM = 1024 * 1024 * 1024
"""Bytes that must be free in memory for copies of lessons to be kept there."""

START_SECONDS = 5.0
"""How long an app may take until it serves."""

COMMAND_SECONDS = 10.0
"""How long a command may take."""

SERVE_SECONDS = 60.0
"""How long a served app may live: longer than any one check needs."""

FACTS_LIMIT = 1024 * 1024
"""Bytes that an app may take to say how it is built."""

ANSWER_SECONDS = 15.0
"""How long what watches over a job may take to answer, which takes no time as a rule."""

STOPPED_BY = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""The signals by which a command is asked to stop."""

SCRATCH = "flask-"
"""What the name of a scratch folder begins with."""

LOST_SECONDS = 60.0
"""How old a scratch folder must be for nobody to be about to lock it."""

REPLY_LIMIT = 32 * OUTPUT_LIMIT
"""Bytes of an answer: what a job may write, on two streams, with six characters for each."""

LESSON = "lesson"
"""The name of a copy's folder."""

_BOOT = (
    "import sys; root = sys.argv.pop(1); sys.path.insert(0, root);"
    "from course import forkserver; sys.path.remove(root);"
    "forkserver.main(sys.argv[1], sys.argv[2], sys.argv[3:])"
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
    """A program to run. See `course.job.run_job` for what each field does there.

    `env` is what its environment has beside `environment`, or, where it is None, has not.
    """

    argv: list[str]
    cwd: Path
    env: Mapping[str, str | None] = field(default_factory=dict)
    stdin: str = ""
    seconds: float = COMMAND_SECONDS
    serve: bool = False
    mount: str = ""
    broken_route: str = ""
    reading_route: str = ""
    hidden: frozenset[str] = frozenset()
    zygote: bool = False


class ForkServer:
    """A Python with `imports` already imported, that forks a process for each job.

    With a `sandbox` it runs there, and every job with it.
    """

    def __init__(self, imports: tuple[str, ...], sandbox: Sandbox | None = None) -> None:
        self._sandbox = sandbox
        self._folder = ScratchFolder()
        self._unseen = ScratchFolder()  # no job in a sandbox sees this one
        self._door, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._door.settimeout(ANSWER_SECONDS)
        env = {
            "PATH": os.environ.get("PATH", os.defpath),
            "PYTHONDONTWRITEBYTECODE": "1",
            "MALLOC_ARENA_MAX": "2",  # else glibc reserves 64 MiB of a job's memory per thread
        }
        numbers = [str(theirs.fileno()), str(int(bool(sandbox)))]
        argv = [sys.executable, "-I", "-c", _BOOT, str(ROOT), *numbers, *imports]
        options: dict[str, Any] = {
            "pass_fds": [theirs.fileno()],
            "stdin": subprocess.PIPE,
            "stdout": subprocess.PIPE,
            "start_new_session": True,  # Ctrl-C at the terminal is for us to handle
            "env": env,
        }
        if sandbox:
            self._process = sandbox.popen(argv, Path(self._folder.name), options)
        else:
            self._process = subprocess.Popen(argv, **options)
        theirs.close()
        self._imported: frozenset[str] | None = None
        self._around: int | None = None

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
            if self._sandbox:
                self._around, *others = socket.recv_fds(self._door, 1, 3)[1]
                self._sandbox.guard([self._around, *others])
                for folder in others:
                    os.close(folder)
        return self._imported

    def ended(self) -> bool:
        """Tell whether a job has killed it."""
        return self._process.poll() is not None

    def start(self, job: Job, scratch: Path, zygote: Program | None = None) -> Program:
        """Start `job`; `scratch` is a folder for what it needs beside its own.

        It is forked off a `zygote` that runs, if any. Raises `OSError` where that has ended.
        """
        self.imported()  # it listens by now
        address = Path(self._unseen.name, f"{os.getpid()}-{time.monotonic_ns()}")
        env = environment(scratch) | dict(job.env)
        message = {
            "argv": job.argv,
            "cwd": str(job.cwd),
            "env": {name: value for name, value in env.items() if value is not None},
            "seconds": job.seconds,
            "serve": job.serve,
            "mount": job.mount,
            "broken_route": job.broken_route,
            "reading_route": job.reading_route,
            "hidden": sorted(job.hidden),
            "zygote": job.zygote,
        }
        line = json.dumps(message).encode() + b"\n"
        control = zygote.connection() if zygote else self._connection()
        ready, ready_w = os.pipe()
        try:
            with socket.socket(socket.AF_UNIX) as listener, _file_with(job.stdin) as stdin:
                if job.serve:
                    listener.bind(str(address))
                    listener.listen(64)
                fds = [ready_w, listener.fileno(), stdin.fileno()]
                sent = socket.send_fds(control, [line], fds)
                if sent < len(line):  # sending nothing fails where a quick job has ended already
                    control.sendall(line[sent:])
        except OSError:
            os.close(ready)
            control.close()
            raise
        finally:
            os.close(ready_w)
        return Program(control, ready, address, job.seconds, self._end_if_distrusted)

    def _end_if_distrusted(self) -> None:
        """End a sandbox in which something has kept a supervisor from its work, and all in it."""
        if self._sandbox:
            self._sandbox.close()

    def connect(self, port: int) -> socket.socket:
        """Return a connection to `port` of the network that the jobs are in.

        Raises `ConnectionError` where nothing listens there.
        """
        assert port > 0
        return self._socket(port)

    def listen(self) -> socket.socket:
        """Return a socket that listens on a free port of the network that the jobs are in."""
        return self._socket(0)

    def database(self, path: Path) -> Database:
        """Return a connection to an SQLite database of a job's, opened where the jobs are."""
        return Database(str(path), self._connection())

    @property
    def sandboxed(self) -> bool:
        """Whether the jobs are isolated, because nobody trusts them."""
        return self._sandbox is not None

    @contextlib.contextmanager
    def written(self, copy: Snapshot, name: str = "") -> Iterator[Written]:
        """Yield `copy`, written for jobs; beside it is room for what else they need.

        The folder around it has that `name`, or else one that nobody foresees. In a sandbox it is
        where nothing but the sandbox's own processes has a path to it.
        """
        self.imported()
        name = name or secrets.token_hex(8)
        seen = Path(self._folder.name, name)
        os.mkdir(seen if self._around is None else name, 0o700, dir_fd=self._around)
        try:
            with contextlib.ExitStack() as opened:
                inner = None
                if self._around is not None:
                    inner = opened.enter_context(inside(self._around, [name]))
                written = Written(copy, seen / LESSON, inner)
                opened.callback(written.close)
                yield written
        finally:
            if self._around is None:
                remove(seen)
            else:
                with contextlib.suppress(RecursionError):  # what is left ends with the sandbox
                    shutil.rmtree(name, ignore_errors=True, dir_fd=self._around)

    def close(self) -> None:
        """End the process that forks, and every job that still runs."""
        if self._sandbox:
            self._sandbox.close()
        self._process.communicate()
        self._door.close()
        if self._around is not None:
            os.close(self._around)
        for folder in (self._folder, self._unseen):
            remove(Path(folder.name))
            folder.cleanup()

    def _connection(self) -> socket.socket:
        """Return a connection to a supervisor. Raises `ConnectionRefusedError` if there is none."""
        control, theirs = socket.socketpair()
        control.settimeout(ANSWER_SECONDS)
        with theirs:
            try:
                socket.send_fds(self._door, [b"c"], [theirs.fileno()])
            except OSError:
                control.close()
                raise ConnectionRefusedError("What starts the programs has ended.") from None
        return control

    def _socket(self, port: int) -> socket.socket:
        self.imported()
        with self._connection() as control:
            control.sendall(json.dumps({"socket": port}).encode() + b"\n")
            fds = socket.recv_fds(control, 1, 1)[1]
        if not fds:
            raise ConnectionRefusedError(f"Nothing listens on port {port}.")
        return socket.socket(fileno=fds[0])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class ForkServers:
    """A fork server for each set of imports that was asked for, until the end of the block.

    Where they are `sandboxed`, each has a sandbox of its own.
    """

    def __init__(self, sandboxed: bool = False) -> None:
        self.sandboxed = sandboxed
        self._servers: dict[tuple[str, ...], ForkServer] = {}

    def get(self, imports: tuple[str, ...]) -> ForkServer:
        """Return the server that has these imports. It may still be importing them."""
        if imports not in self._servers or self._servers[imports].ended():
            self._servers[imports] = ForkServer(imports, Sandbox() if self.sandboxed else None)
        return self._servers[imports]

    def for_modules(
        self, imports: tuple[str, ...], modules: frozenset[str]
    ) -> tuple[ForkServer, frozenset[str]]:
        """Return a server for a lesson that has these `modules` of its own, and the hidden ones.

        Those hide one of Python's, or one of `imports`. With such a lesson nothing is imported
        beforehand, so that a job finds what it would find at a terminal. Raises `CourseError` as
        `ForkServer.imported` does.
        """
        server = self.get(imports)
        hidden = modules & (server.imported() | sys.stdlib_module_names)
        return (self.get(()) if hidden else server), hidden

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for server in self._servers.values():
            server.close()


class Program:
    """A running job."""

    def __init__(
        self,
        control: socket.socket,
        ready: int,
        address: Path,
        seconds: float,
        lost: Callable[[], None],
    ) -> None:
        self._control = control
        self._lost = lost
        self._seconds = seconds
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
        sources: list[Any] = [self._ready, self._control]
        while not facts.endswith(b"\n"):
            left = deadline - time.monotonic()
            readable = select.select(sources, [], [], max(left, 0))[0]
            if not readable:
                self.kill(too_slow=True)
                return None
            if self._ready not in readable:
                self.wait()
                return None
            chunk = os.read(self._ready, 65536)
            facts += chunk
            if not chunk:  # it will not say that it serves, and has until then to end
                sources.remove(self._ready)
                continue
            if len(facts) > FACTS_LIMIT:
                self.kill()
                return None
        try:
            found = json.loads(facts)
        except (ValueError, RecursionError):
            found = None
        if isinstance(found, dict):
            return found
        self.kill()  # nothing of ours has written that
        return None

    def connection(self) -> socket.socket:
        """Return a connection to what supervises this program, a zygote: for a job forked off it.

        Raises `OSError` where it has ended.
        """
        ours, theirs = socket.socketpair()
        with theirs:
            socket.send_fds(self._control, [b"f"], [theirs.fileno()])
        ours.settimeout(ANSWER_SECONDS)
        return ours

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
            self._reply(self._seconds)
        return self._finished

    def kill(self, too_slow: bool = False) -> Finished:
        """End the program and everything that it has started."""
        if self._finished is None:
            with contextlib.suppress(OSError):
                self._control.sendall(b"t" if too_slow else b"k")
        while self._finished is None:
            self._reply()
        return self._finished

    def _reply(self, seconds: float = 0) -> dict[str, Any]:
        self._control.settimeout(seconds + ANSWER_SECONDS)
        try:
            line = self._replies.readline(REPLY_LIMIT)
            reply: dict[str, Any] = json.loads(line) if line else _LOST
        except (OSError, ValueError):  # a job can stop, kill or be what watches over it
            reply = _LOST
        if reply is _LOST:
            self._lost()
        if "reason" in reply:
            self._finished = Finished(**reply)
            self._replies.close()
            self._control.close()
            os.close(self._ready)
            self.address.unlink(missing_ok=True)
        return reply


_LOST = {"code": -9, "reason": "lost", "out": "", "err": ""}
"""The supervisor itself was killed: the job is counted as crashed."""


def _file_with(text: str) -> IO[bytes]:
    """Return a file that has no name, to be read from its beginning.

    It is a file also where there is no text: where we are root, a program in a sandbox could change
    the mode of /dev/null, for the system as a whole.
    """
    file = tempfile.TemporaryFile()  # noqa: SIM115 - whoever asks for it closes it
    file.write(text.encode())
    file.seek(0)
    return file


def environment(scratch: Path) -> dict[str, str]:
    """Return the environment of a job: the same on every machine, whatever the student has set."""
    return {
        "PATH": f"{Path(sys.executable).parent}:{PROGRAMS}",
        "HOME": str(scratch),
        "TMPDIR": str(scratch),
        "LANG": "C.UTF-8",
        "APP_ENV": "development",  # elsewhere, an app may ask for more before it starts
        "PYTHONUTF8": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
    }


@contextlib.contextmanager
def noting_stops() -> Iterator[list[int]]:
    """While this lasts, note the signals that ask us to stop, in a list, and go on.

    An exception of theirs might come anywhere: in the midst of removing a folder, shutil makes
    another one of it; in what runs after a fork, such as logging's, it is printed and forgotten
    (https://docs.python.org/3/library/os.html#os.register_at_fork).
    """
    came: list[int] = []
    before = {number: signal.getsignal(number) for number in STOPPED_BY}
    handled = [number for number, handler in before.items() if callable(handler)]
    for number in handled:
        signal.signal(number, lambda number, _: came.append(number))
    try:
        yield came
    finally:
        for number in handled:
            signal.signal(number, before[number])


def fork() -> int:
    """Fork as `os.fork` does. After a signal that asks us to stop meanwhile there is no child.

    Raises `KeyboardInterrupt` then, where that is what the signal does.
    """
    with noting_stops() as came:
        pid = os.fork()
    if came and pid:
        try:
            signal.raise_signal(came[0])
        except BaseException:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            raise
    return pid


scratch_root: Path | None = None
"""Where scratch folders are made, if that is not for the machine to say."""


class ScratchFolder(tempfile.TemporaryDirectory[str]):
    """A temporary folder in `scratch_root`, or else in memory where there is room for it.

    It is locked as long as it is used, and one in memory that nobody uses goes when another is
    made: who was killed has left it. Its path leaves room for a Unix socket's name.
    """

    def __init__(self) -> None:
        memory = Path("/dev/shm")  # on Linux: a disk takes ten times as long for many small files
        roomy = os.access(memory, os.W_OK) and shutil.disk_usage(memory).free >= MEMORY_ROOM
        if not scratch_root and roomy:
            _remove_lost(memory)
        folder = scratch_root or (memory if roomy else None)
        super().__init__(prefix=SCRATCH, dir=folder, ignore_cleanup_errors=True)
        self._lock: int | None = os.open(self.name, os.O_RDONLY)
        fcntl.flock(self._lock, fcntl.LOCK_EX)

    def cleanup(self) -> None:
        """Remove the folder."""
        super().cleanup()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def _remove_lost(memory: Path) -> None:
    """Remove the scratch folders there that are ours, not new, and not locked by anyone."""
    for entry in os.scandir(memory):
        with contextlib.suppress(OSError):  # another one removes it
            facts = entry.stat(follow_symlinks=False)
            old = time.time() - facts.st_ctime > LOST_SECONDS  # a new one is not locked yet
            ours = entry.is_dir(follow_symlinks=False) and facts.st_uid == os.getuid()
            if entry.name.startswith(SCRATCH) and old and ours:
                folder = os.open(entry.path, os.O_RDONLY | os.O_NOFOLLOW)
                try:
                    fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    remove(Path(entry.path))
                finally:
                    os.close(folder)
