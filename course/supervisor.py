"""Supervise a job: bound its time and output, and leave nothing of it when it ends."""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import select
import signal
import socket
import sys
import time
from collections.abc import Set
from typing import Any

from course.job import receive, run_job

OUTPUT_LIMIT = 1024 * 1024
"""Bytes of standard output, and of standard error, that a job may write."""

ANSWER_SECONDS = 2.0
"""How long a zygote may take to fork, and to tell of an end."""

LOST = -int(signal.SIGKILL)
"""The exit code that is told where nobody knows it."""

PR_SET_CHILD_SUBREAPER = 36  # from linux/prctl.h


def supervise(job: dict[str, Any], control: socket.socket, fds: list[int]) -> None:
    """Run `job`, with `fds` for `run_job`, to its end and report on the socket `control`.

    The other end may send `o` to be told the output so far, and `k` or `t` to have the job killed
    (`t` because it takes too long). Where the other end is closed, the job is killed as well. And
    it may send `f` and a socket, if this job is a zygote: the `control` of one that is forked off.
    """
    woken, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wake)
    adopt_orphans()
    output = _Output()
    orders, theirs = socket.socketpair()
    pid = os.fork()
    if pid == 0:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        control.close()
        run_job(job, [*output.ends, *fds], theirs.fileno())
    theirs.close()
    zygote = _Zygote(pid, orders, output) if job["zygote"] else None
    _see_to_its_end(_Child(pid, woken), job, control, output, fds, zygote)
    orders.close()
    signal.set_wakeup_fd(-1)
    os.close(woken)
    os.close(wake)


class _Child:
    """A job's process, which we have forked."""

    spared = 0
    """The process that is to live longer than this one."""

    def __init__(self, pid: int, woken: int) -> None:
        self.pid, self._woken = pid, woken

    def fileno(self) -> int:
        """Return the descriptor that can be read when it may have ended."""
        return self._woken

    def ended(self) -> tuple[int | None, str]:
        """Return its exit code, or None where it still runs, and how it came to its end."""
        os.read(self._woken, 512)
        ended, status = os.waitpid(self.pid, os.WNOHANG)
        return (os.waitstatus_to_exitcode(status) if ended else None), "ended"

    def wait(self) -> int:
        """Return its exit code when it has ended."""
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


class _Zygote:
    """A job that others are forked off, one at a time."""

    def __init__(self, pid: int, orders: socket.socket, output: _Output) -> None:
        self.pid, self._output = pid, output
        self.orders = orders
        self.orders.settimeout(ANSWER_SECONDS)

    def supervise_next(self, control: socket.socket) -> None:
        """Supervise the job that comes on `control`: have it forked, and see to its end."""
        line, fds = receive(control)
        if not line:
            return
        output = _Output()
        output.begin_with(self._output)
        pid = 0
        with contextlib.suppress(OSError):  # the zygote has ended, or is none
            socket.send_fds(self.orders, [line], [*output.ends, *fds])
            pid = self.hear()
        _see_to_its_end(_Forked(pid, self), json.loads(line), control, output, fds, None)

    def hear(self) -> int:
        """Return the number that it says next. Raises `OSError` where it says no more."""
        said = self.orders.recv(4)
        if not said:
            raise BrokenPipeError
        return int.from_bytes(said, sys.byteorder)


class _Forked:
    """A job's process, which a zygote has forked: it waits for the end, and tells us."""

    def __init__(self, pid: int, zygote: _Zygote) -> None:
        self.pid, self.spared, self._zygote = pid, zygote.pid, zygote

    def fileno(self) -> int:
        """Return the descriptor that can be read when it has ended."""
        return self._zygote.orders.fileno()

    def ended(self) -> tuple[int, str]:
        """Return its exit code, and how it came to its end: `lost` where nobody knows."""
        try:
            return os.waitstatus_to_exitcode(self._zygote.hear()), "ended"
        except (OSError, ValueError, OverflowError):  # the zygote has ended, or is none
            return LOST, "lost"

    def wait(self) -> int:
        """Return its exit code when it has ended."""
        return self.ended()[0]


def _see_to_its_end(
    child: _Child | _Forked,
    job: dict[str, Any],
    control: socket.socket,
    output: _Output,
    fds: list[int],
    zygote: _Zygote | None,
) -> None:
    """Watch over a job until it ends or must end, and report."""
    output.close_ends()
    for fd in fds:
        os.close(fd)
    code, reason = LOST, "lost"
    if child.pid:
        ended, reason = _watch(child, job["seconds"], control, output, zygote)
        if reason == "timeout":
            _dump_frames(child.pid, output)
        _kill(child.pid)
        code = child.wait() if ended is None else ended
    kill_orphans({child.spared})
    output.take_what_is_left()
    output.tell(control, code=code, reason=reason)


def _watch(
    child: _Child | _Forked,
    seconds: float,
    control: socket.socket,
    output: _Output,
    zygote: _Zygote | None,
) -> tuple[int | None, str]:
    """Wait for the job's end, or for a reason to end it.

    Returns the job's exit code (None while it still runs) and the reason: `ended`, `lost`,
    `timeout`, `output` (it wrote too much) or `stopped` (asked to).
    """
    deadline = time.monotonic() + seconds
    while (left := deadline - time.monotonic()) > 0:
        sources: list[Any] = [control, child, *output.open]
        readable = select.select(sources, [], [], left)[0]
        output.read(readable)
        if output.too_much:
            return None, "output"
        if child in readable:
            code, reason = child.ended()
            if code is not None:
                return code, reason
        if control in readable:
            try:
                order, passed, *_ = socket.recv_fds(control, 1, 1)
            except OSError:  # it was closed before all of what we told was read
                return None, "stopped"
            if order == b"o":
                output.tell(control)
            elif order == b"f" and zygote:
                with socket.socket(fileno=passed[0]) as another:
                    zygote.supervise_next(another)
            else:
                return None, "timeout" if order == b"t" else "stopped"
    return None, "timeout"


class _Output:
    """What a job writes on standard output and standard error, in pipes that we read."""

    def __init__(self) -> None:
        pipes = [os.pipe(), os.pipe()]
        self.ends = [write for _, write in pipes]
        """Where the job writes."""
        self._data = {read: bytearray() for read, _ in pipes}
        self.open = [read for read, _ in pipes]
        """What can still be read."""

    @property
    def too_much(self) -> bool:
        """Whether it is more than a job may write."""
        return any(len(data) > OUTPUT_LIMIT for data in self._data.values())

    @property
    def errors(self) -> int:
        """Where its standard error is read."""
        return list(self._data)[1]

    def close_ends(self) -> None:
        """Close what the job has now."""
        for fd in self.ends:
            os.close(fd)

    def begin_with(self, before: _Output) -> None:
        """Take as written here what has been written there."""
        before.read(select.select(before.open, [], [], 0)[0])
        for data, written in zip(self._data.values(), before._data.values(), strict=True):
            data += written

    def read(self, readable: list[Any]) -> None:
        """Read from those descriptors of ours that are among the readable."""
        for fd in [fd for fd in self.open if fd in readable]:
            if not self.read_some(fd):
                self.open.remove(fd)

    def read_some(self, fd: int) -> bool:
        """Read what is there; tell whether it was something, and not the end."""
        chunk = os.read(fd, 65536)
        self._data[fd] += chunk
        return bool(chunk)

    def take_what_is_left(self) -> None:
        """Take what is left in the pipes without waiting for more, and close them."""
        for fd in self._data:
            os.set_blocking(fd, False)
            with contextlib.suppress(BlockingIOError):
                while len(self._data[fd]) <= OUTPUT_LIMIT and self.read_some(fd):
                    pass
            os.close(fd)

    def tell(self, control: socket.socket, **facts: Any) -> None:
        """Send what was written, and `facts`."""
        out, err = (
            bytes(data[:OUTPUT_LIMIT]).decode("utf-8", "replace") for data in self._data.values()
        )
        with contextlib.suppress(OSError):  # nobody is listening any more
            control.sendall(json.dumps({"out": out, "err": err, **facts}).encode() + b"\n")


def _dump_frames(pid: int, output: _Output) -> None:
    """Have the job write where it is (see `run_job`), so that a loop can be named by its line."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGUSR1)
    seconds = 1.0
    deadline = time.monotonic() + seconds  # a job may go on writing for ever
    while select.select([output.errors], [], [], seconds)[0] and output.read_some(output.errors):
        seconds = min(0.05, deadline - time.monotonic())  # it may come in pieces
        if seconds <= 0:
            break


def adopt_orphans() -> None:
    """Become the parent of whatever the job leaves behind, so that it can be found (Linux)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def _kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)  # it may not have come as far as its own session


def children() -> set[int]:
    """Return the processes whose parent is this one (Linux; elsewhere none)."""
    path = f"/proc/self/task/{os.getpid()}/children"
    if not os.path.exists(path):
        return set()
    with open(path) as file:
        return set(map(int, file.read().split()))


def kill_orphans(spared: Set[int] = frozenset()) -> None:
    """Kill what is left in other sessions, until nothing is but the `spared` processes (Linux)."""
    while found := children() - spared:
        for pid in found:
            _kill(pid)
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, 0)
