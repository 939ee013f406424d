"""Run students' code in processes of their own: import the extensions once, then fork for each run.

`course.processes` starts `main` in a Python of its own, and connects to it for each job. Three
kinds of process come of it, and only the last runs code that is not ours:

    forkserver    has the extensions imported; forks supervisors, so that one is always idle
    supervisor    takes a job, bounds its time and output, and kills all that it has started when it
                  ends; then it takes the next
    job           the student's program, in its own session, on its own copy of the lesson

A job may become a *zygote* (so Chromium and Android call it): it stops where the program has begun
and nothing is asked of it yet, and other jobs are forked off it, as often as its supervisor is
asked to (see `course.runner`).
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import select
import signal
import socket
import sys

from course import sql
from course.job import let_others_look, receive
from course.supervisor import adopt_orphans, kill_orphans, supervise


def main(door: str, distrusted: str, imports: list[str]) -> None:
    """Import, say on standard output what is imported, and serve the jobs that come by the `door`.

    That is the number of a socket on which connections come: no path leads to it, and no job has
    it. Each is one job: a line of JSON, with the descriptors that `supervise` wants. Or it asks for
    a socket (see `_give_socket`), or a database (see `course.sql`). The end of standard input ends
    the server.

    Where jobs are `distrusted` ("1"), this is a sandbox: the server tells by the door of the
    folders in which a job may write, its own first, and ends, with all in the sandbox, where a job
    has killed what watches over it.
    """
    with socket.socket(fileno=int(door)) as listener:
        if int(distrusted):
            folders = [os.open(path, os.O_DIRECTORY) for path in (".", "/tmp", "/dev/shm")]
            socket.send_fds(listener, [b"f"], folders)
            for folder in folders:
                os.close(folder)
        gc.disable()  # else it looks, again and again, at what all stays
        for name in imports:
            importlib.import_module(name)
        for name in [name for name in sys.modules if name.partition(".")[0] == "course"]:
            del sys.modules[name]  # a student may have a module of that name
        imported = sorted({name.partition(".")[0] for name in sys.modules})
        with contextlib.suppress(BrokenPipeError):  # who has started us has ended
            os.write(1, json.dumps(imported).encode() + b"\n")
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel takes away ended supervisors
        let_others_look(False)
        gc.freeze()  # what is imported is never freed: its memory stays shared with the children
        gc.enable()
        adopt_orphans()
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
                else:  # it has been killed, and what it watched over lives
                    os.close(tells)
                    del idle[tells]
                    if int(distrusted):
                        os._exit(1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    kill_orphans()


def _supervise_jobs(listener: socket.socket, tell: int) -> None:
    """Supervise one job after another; say on `tell` when one begins (`b`), and when idle (`i`).

    Nothing is left of a job at its end, and to fork a supervisor costs as much as many a job.
    """
    while sys.stdin not in select.select([listener, sys.stdin], [], [])[0]:
        try:
            (connection,) = socket.recv_fds(listener, 1, 1)[1]
        except BlockingIOError:  # another supervisor was faster
            continue
        with socket.socket(fileno=connection) as control:
            control.setblocking(True)
            os.write(tell, b"b")
            _supervise_next(control)
        os.write(tell, b"i")


def _supervise_next(control: socket.socket) -> None:
    line, fds = receive(control)
    if not line:
        return
    job = json.loads(line)
    if "database" in job:
        sql.serve(job["database"], control)
    elif "socket" in job:
        _give_socket(job["socket"], control)
    else:
        supervise(job, control, fds)


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
