"""Run students' code in processes of their own: import the extensions once, then fork for each run.

`course.processes` starts `main` in a Python of its own, and connects to it for each job. Three
kinds of process come of it, and only the last runs code that is not ours:

    forkserver    has the extensions imported; forks supervisors, so that one is always idle
    supervisor    takes a job, bounds its time and output, and kills all that it has started when it
                  ends; then it takes the next
    job           the student's program, in its own session, on its own copy of the lesson
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import importlib
import json
import os
import select
import signal
import socket
import sys
import time
from typing import Any

from course.job import run_job

OUTPUT_LIMIT = 1024 * 1024
"""Bytes of standard output, and of standard error, that a job may write."""

PR_SET_CHILD_SUBREAPER = 36  # from linux/prctl.h


def main(address: str, imports: list[str]) -> None:
    """Import, say on standard output what is imported, and serve jobs that connect to `address`.

    Each connection is one job: a line of JSON, with the descriptors that `supervise` wants. Or it
    asks for a socket (see `_give_socket`). The end of standard input ends the server.
    """
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(address)
        listener.listen(64)
        for name in imports:
            importlib.import_module(name)
        for name in [name for name in sys.modules if name.partition(".")[0] == "course"]:
            del sys.modules[name]  # a student may have a module of that name
        print(json.dumps(sorted({name.partition(".")[0] for name in sys.modules})), flush=True)
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel takes away ended supervisors
        gc.freeze()  # what is imported is never freed: its memory stays shared with the children
        _adopt_orphans()
        listener.setblocking(False)
        idle: dict[int, bool] = {}  # supervisors, by the pipe on which each tells it
        while True:
            if not any(idle.values()):
                tells, tell = os.pipe()
                if os.fork() == 0:
                    _supervise_jobs(listener, tell)
                    os._exit(0)
                os.close(tell)
                idle[tells] = True
            readable = select.select([sys.stdin, *idle], [], [])[0]
            if sys.stdin in readable:
                break
            for tells in [each for each in idle if each in readable]:
                if told := os.read(tells, 1):
                    idle[tells] = told == b"i"
                else:  # it has been killed
                    os.close(tells)
                    del idle[tells]
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    _kill_orphans()


def _supervise_jobs(listener: socket.socket, tell: int) -> None:
    """Supervise one job after another; say on `tell` when one begins (`b`), and when idle (`i`).

    Nothing is left of a job at its end, and to fork a supervisor costs as much as many a job.
    """
    while sys.stdin not in select.select([listener, sys.stdin], [], [])[0]:
        try:
            control, _ = listener.accept()
        except BlockingIOError:  # another supervisor was faster
            continue
        with control:
            control.setblocking(True)
            os.write(tell, b"b")
            _supervise_next(control)
        os.write(tell, b"i")


def _supervise_next(control: socket.socket) -> None:
    line = b""
    fds: list[int] = []
    while not line.endswith(b"\n"):
        chunk, passed, _, _ = socket.recv_fds(control, 65536, 2)
        if not chunk:
            return
        line, fds = line + chunk, fds + passed
    job = json.loads(line)
    if "socket" in job:
        _give_socket(job["socket"], control)
    else:
        supervise(job, control, *fds)


def _give_socket(port: int, control: socket.socket) -> None:
    """Send a TCP socket of this network: one that is connected to `port`, or, for 0, listens.

    Jobs may have a network of their own, which nobody else can reach. Nothing is sent where
    nothing listens.
    """
    with contextlib.suppress(OSError):
        if port:
            given = socket.create_connection(("127.0.0.1", port), timeout=5)
        else:
            given = socket.create_server(("127.0.0.1", 0))
        given.setblocking(True)
        socket.send_fds(control, [b"s"], [given.fileno()])


def supervise(job: dict[str, Any], control: socket.socket, ready_fd: int, listener_fd: int) -> None:
    """Run `job` to its end and report on the socket `control`.

    The other end may send `o` to be told the output so far, and `k` or `t` to have the job killed
    (`t` because it takes too long). Where the other end is closed, the job is killed as well.
    """
    woken, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wake)
    _adopt_orphans()
    pipes = {name: os.pipe() for name in ("out", "err")}
    pid = os.fork()
    if pid == 0:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        control.close()
        run_job(job, pipes["out"][1], pipes["err"][1], ready_fd, listener_fd)
    for fd in (ready_fd, listener_fd, pipes["out"][1], pipes["err"][1]):
        os.close(fd)
    output = {pipes[name][0]: bytearray() for name in pipes}
    status, reason = _watch(pid, job["seconds"], control, woken, output)
    if status is None:
        if reason == "timeout":
            _dump_frames(pid, output)
        _kill(pid)
        status = os.waitpid(pid, 0)[1]
    else:
        _kill(pid)
    _kill_orphans()
    signal.set_wakeup_fd(-1)
    for fd in output:
        _drain(fd, output[fd])
    for fd in (woken, wake, *output):
        os.close(fd)
    _tell(control, output, code=os.waitstatus_to_exitcode(status), reason=reason)


def _watch(
    pid: int, seconds: float, control: socket.socket, woken: int, output: dict[int, bytearray]
) -> tuple[int | None, str]:
    """Wait for the job's end, or for a reason to end it.

    Returns the job's wait status (None while it still runs) and the reason: `ended`, `timeout`,
    `output` (it wrote too much) or `stopped` (asked to).
    """
    deadline = time.monotonic() + seconds
    sources: list[Any] = [control, woken, *output]
    while (left := deadline - time.monotonic()) > 0:
        readable = select.select(sources, [], [], left)[0]
        for fd in [fd for fd in output if fd in readable]:
            if not _read(fd, output[fd]):
                sources.remove(fd)
        if any(len(data) > OUTPUT_LIMIT for data in output.values()):
            return None, "output"
        if woken in readable:
            os.read(woken, 512)
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended:
                return status, "ended"
        if control in readable:
            order = control.recv(1)
            if order != b"o":
                return None, "timeout" if order == b"t" else "stopped"
            _tell(control, output)
    return None, "timeout"


def _read(fd: int, data: bytearray) -> bool:
    chunk = os.read(fd, 65536)
    data += chunk
    return bool(chunk)


def _drain(fd: int, data: bytearray) -> None:
    """Take what is left in a pipe without waiting for more."""
    os.set_blocking(fd, False)
    with contextlib.suppress(BlockingIOError):
        while len(data) <= OUTPUT_LIMIT and _read(fd, data):
            pass


def _tell(control: socket.socket, output: dict[int, bytearray], **facts: Any) -> None:
    out, err = (bytes(data[:OUTPUT_LIMIT]).decode("utf-8", "replace") for data in output.values())
    with contextlib.suppress(OSError):  # nobody is listening any more
        control.sendall(json.dumps({"out": out, "err": err, **facts}).encode() + b"\n")


def _dump_frames(pid: int, output: dict[int, bytearray]) -> None:
    """Have the job write where it is (see `run_job`), so that a loop can be named by its line."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGUSR1)
    err, seconds = list(output)[1], 1.0
    deadline = time.monotonic() + seconds  # a job may go on writing for ever
    while select.select([err], [], [], seconds)[0] and _read(err, output[err]):
        seconds = min(0.05, deadline - time.monotonic())  # it may come in pieces
        if seconds <= 0:
            break


def _adopt_orphans() -> None:
    """Become the parent of whatever the job leaves behind, so that it can be found (Linux)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def _kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)  # it may not have come as far as its own session


def _kill_orphans() -> None:
    """Kill what is left in other sessions, until nothing is (Linux)."""
    children = f"/proc/self/task/{os.getpid()}/children"
    while os.path.exists(children):
        with open(children) as file:
            pids = [int(pid) for pid in file.read().split()]
        if not pids:
            return
        for pid in pids:
            _kill(pid)
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, 0)
