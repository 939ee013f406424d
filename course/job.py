"""What happens in the process that runs a student's program."""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import faulthandler
import gc
import hashlib
import importlib.util
import json
import os
import resource
import runpy
import signal
import socket
import sys
import threading
import time
import traceback
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

MEMORY_LIMIT = 1024 * 1024 * 1024
"""Bytes of address space."""

FILE_LIMIT = 256 * 1024 * 1024
"""Bytes in any one file."""

OPEN_FILES = 256
"""How many files, sockets and pipes a process may have. Of those that are on their way from one
process to another, all of a user's have no more: so there is room left for our own."""

MOST_DESCRIPTORS = 1 << 16
"""More than any process that forks a job has open."""

WERKZEUG_SCRYPT = (2**15, 8, 1)
"""What Werkzeug gives scrypt where nobody says another n, r and p."""

PR_SET_PDEATHSIG = 1  # from linux/prctl.h
PR_SET_DUMPABLE = 4

_prctl = ctypes.CDLL(None).prctl if sys.platform == "linux" else None


def run_job(job: dict[str, Any], fds: list[int], orders: int) -> None:
    """Become the program that `job` names, and never return.

    `fds` are where it writes output and errors, `ready`, `listener`, and where it reads.

    `job` has `argv` (a script and its arguments, or `-m`, a module and its arguments), `cwd`,
    `env`, `seconds`, `serve` (listen on the socket `listener`, whatever host and port the program
    names), `mount` (a path below which to serve it), `broken_route` (a path whose view fails),
    `reading_route` (one whose view reads what is posted, to its end), `hidden` (modules that the
    student's own files hide) and `zygote` (become one, which takes `orders`).
    """
    ready, listener = _begin(job, fds, {orders} if job["zygote"] else set())
    os.environ.clear()
    os.environ.update(job["env"])
    time.tzset()  # the process that forked us has read another TZ
    _open_streams()
    faulthandler.register(signal.SIGUSR1, file=2, all_threads=True)
    for hidden in job["hidden"]:
        for name in [name for name in sys.modules if name.partition(".")[0] == hidden]:
            del sys.modules[name]
    sys.path[:] = [job["cwd"], *(path for path in sys.path if path)]
    _hash_quickly()
    code = 1
    try:
        _Program(job, ready, listener, orders).run()
        code = 0
    except SystemExit as exit_:
        code = _exit_code(exit_)
    except BaseException:
        traceback.print_exc()
    _end(code)


def _begin(job: dict[str, Any], fds: list[int], kept: set[int]) -> tuple[int, int]:
    """Give this process a session, a folder, input, output and limits of its own.

    Return its `ready` and `listener`: of other descriptors, those to be `kept` alone stay open.
    """
    out, err, ready, listener, stdin = fds
    os.setsid()
    die_with_parent()  # which may be killed
    os.chdir(job["cwd"])
    for given, own in ((stdin, 0), (out, 1), (err, 2)):
        os.dup2(given, own)
    _limit(job["seconds"])
    _close_all_but({0, 1, 2, *kept, *({ready, listener} if job["serve"] or kept else ())})
    let_others_look(True)  # by now, nothing is left of what forks the jobs
    return ready, listener


def let_others_look(so: bool) -> None:
    """Tell whether another process of this user may look into this one, or change it (Linux).

    A program must not do so with what watches over it, which tells how it has ended.
    """
    if _prctl:
        _prctl(PR_SET_DUMPABLE, int(so), 0, 0, 0)


def die_with_parent(number: int = signal.SIGKILL) -> None:
    """Be sent a signal when the process ends that has forked this one (Linux)."""
    if _prctl:
        _prctl(PR_SET_PDEATHSIG, number, 0, 0, 0)


def _close_all_but(kept: set[int]) -> None:
    """Close what is not the program's: it shares nothing with the processes that it comes from."""
    before = -1
    for fd in (*sorted(kept), MOST_DESCRIPTORS):
        if before + 1 < fd:  # where the range is empty, Python closes everything
            os.closerange(before + 1, fd)
        before = fd


def _hash_quickly() -> None:
    """Have the hash of a password take no time: with Werkzeug's parameters it is slow on purpose.

    What Werkzeug stores says the same parameters as ever, and fits the same password alone.
    """
    scrypt = getattr(hashlib, "scrypt", None)
    if scrypt is None:  # a Python whose OpenSSL lacks it
        return

    def quick(password: bytes, *, n: int, r: int, p: int, **more: Any) -> bytes:
        cost = 2 if (n, r, p) == WERKZEUG_SCRYPT else n
        hashed: bytes = scrypt(password, n=cost, r=r, p=p, **more)
        return hashed

    hashlib.scrypt = quick  # type: ignore[assignment]


_opened: list[Any] = []
"""The streams, kept: when nothing has one any more, what wraps it anew finds it closed."""


def _open_streams() -> None:
    # ruff: noqa: SIM115 - these stay open as long as the program runs
    sys.stdin = open(0, encoding="utf-8", closefd=False)
    sys.stdout = open(1, "w", encoding="utf-8", closefd=False, buffering=1)
    sys.stderr = open(
        2, "w", encoding="utf-8", errors="backslashreplace", closefd=False, buffering=1
    )
    _opened.extend([sys.stdin, sys.stdout, sys.stderr])


def _limit(seconds: float) -> None:
    for what, value in (
        (resource.RLIMIT_AS, MEMORY_LIMIT),
        (resource.RLIMIT_FSIZE, FILE_LIMIT),
        (resource.RLIMIT_CPU, int(seconds) * 2 + 1),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NOFILE, OPEN_FILES),
    ):
        hard = resource.getrlimit(what)[1]
        limit = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(what, (limit, limit))  # no program can raise it again


def _must_be_text(script: str, data: bytes) -> None:
    """Refuse what `python script` refuses and `compile` does not: bytes that are no text."""
    try:
        importlib.util.decode_source(data)
    except (UnicodeDecodeError, SyntaxError):
        line = data.count(b"\n", 0, _first_bad_byte(data)) + 1
        raise SyntaxError("not UTF-8 text", (script, line, None, None)) from None


def _first_bad_byte(data: bytes) -> int:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as error:
        return error.start
    return 0  # the first line names an encoding that there is not


def _exit_code(exit_: SystemExit) -> int:
    """Return what Python itself would exit with, and print what it would print."""
    if exit_.code is None or isinstance(exit_.code, int):
        return (exit_.code or 0) & 0xFF
    print(exit_.code, file=sys.stderr)
    return 1


def _end(code: int) -> None:
    try:
        threading._shutdown()  # type: ignore[attr-defined]  # waits for the program's threads, as Python does
        atexit._run_exitfuncs()
        for stream in (sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__):
            if stream:
                stream.flush()
    except BaseException:
        code = code or 1
    os._exit(code)  # skips the interpreter's own farewell, which costs more than many a job


class _Program:
    """The student's program. A zygote waits in it, and what is forked off that goes on from there.

    It waits where the program looks at its arguments for the first time, or is about to serve. What
    it did before depends on nothing that differs from one job to another.
    """

    def __init__(self, job: dict[str, Any], ready: int, listener: int, orders: int) -> None:
        self._job, self._ready, self._listener = job, ready, listener
        self._orders = orders

    def run(self) -> None:
        """Run it to its end."""
        argv = self._job["argv"]
        if self._job["serve"] or self._job["zygote"]:
            self._serve_on_listener()
        if argv[0] == "-m":
            sys.argv = argv[1:]
            runpy.run_module(argv[1], run_name="__main__", alter_sys=True)
            return
        with open(argv[0], "rb") as file:
            source = file.read()
        _must_be_text(argv[0], source)
        main = types.ModuleType("__main__")
        main.__file__ = argv[0]
        sys.modules["__main__"] = main
        if self._job["zygote"]:
            _on_first_look_at_argv(self._arguments)
        else:
            sys.argv = argv
        exec(compile(source, argv[0], "exec", dont_inherit=True), main.__dict__)

    def _arguments(self) -> list[str]:
        self._wait_as_zygote()
        argv: list[str] = self._job["argv"]
        return argv

    def _wait_as_zygote(self) -> None:
        """Where this is to become a zygote, and can: wait, and return in what is forked."""
        known = {0, 1, 2, self._ready, self._listener, self._orders}
        at_home = os.getcwd() == self._job["cwd"]
        if self._job["zygote"] and at_home and _can_be_forked(known):
            os.write(self._ready, b'{"zygote": true}\n')
            self._job, self._ready, self._listener = _be_zygote(self._orders)
        self._job["zygote"] = False

    def _serve_on_listener(self) -> None:
        """Have the program's server listen there, and say on `ready` when it is about to.

        Every way to Flask's own server (`app.run`, `flask run`, Flask-Script's `runserver`) ends in
        Werkzeug's `run_simple`, so that is the one place to stand in for.
        """
        from werkzeug import serving

        run_simple = serving.run_simple

        def stand_in(hostname: str, port: int, application: Any, **options: Any) -> None:
            self._wait_as_zygote()
            if self._job["serve"]:
                self._serve(application)
            else:
                run_simple(hostname, port, application, **options)

        _note_prefixes()
        serving.run_simple = stand_in  # type: ignore[assignment]

    def _serve(self, application: Any) -> None:
        from werkzeug import serving
        from werkzeug.exceptions import NotFound
        from werkzeug.middleware.dispatcher import DispatcherMiddleware

        class Quiet(serving.WSGIRequestHandler):
            def log(self, *args: Any) -> None:
                """Write no line for a request: standard error is for the student's own words."""

        if broken := self._job["broken_route"]:
            application.add_url_rule(broken, "_broken", _fail)
        if reading := self._job["reading_route"]:
            application.add_url_rule(reading, "_reading", _read, methods=["POST"])
        os.write(self._ready, json.dumps(_facts(application)).encode() + b"\n")
        os.close(self._ready)
        served: Callable = application
        if mount := self._job["mount"]:
            served = DispatcherMiddleware(NotFound(), {mount: application})
        serving.make_server(
            "unix://", 0, served, threaded=True, request_handler=Quiet, fd=self._listener
        ).serve_forever()


def _on_first_look_at_argv(arguments: Callable[[], list[str]]) -> None:
    """Call `arguments` when someone reads `sys.argv`, which is what that returns from then on."""
    plain = type(sys)

    class Sys(plain):  # type: ignore[misc, valid-type]
        @property
        def argv(self) -> list[str]:
            found = arguments()
            self.argv = found
            return found

        @argv.setter
        def argv(self, argv: list[str]) -> None:
            sys.__class__ = plain
            sys.argv = argv

    del sys.argv
    sys.__class__ = Sys


def _can_be_forked(known: set[int]) -> bool:
    """Tell whether a fork of this process goes on as it would itself (Linux).

    It does not where there are threads or timers, which a fork lacks, or where it has started a
    process or opened a file, a connection or memory for several, which two would share then.
    """
    waits = signal.getsignal(signal.SIGCHLD) == signal.SIG_DFL  # so that its forks' ends are told
    if not waits or any(signal.getitimer(signal.ITIMER_REAL)):
        return False
    if " rw-s " in Path("/proc/self/maps").read_text():
        return False
    own = f"/proc/self/task/{os.getpid()}/children"
    if len(os.listdir("/proc/self/task")) > 1 or Path(own).read_text():
        return False
    opened = set()
    for fd in map(int, os.listdir("/proc/self/fd")):
        with contextlib.suppress(OSError):  # what has listed them is closed again
            os.fstat(fd)
            opened.add(fd)
    return opened == known


def _be_zygote(orders: int) -> tuple[dict[str, Any], int, int]:
    """Fork a process for each job that `orders` brings, and return there, and nowhere else.

    Returns the job, its `ready` and its `listener`. What is told in turn is the process, and how it
    has ended, as the supervisor's `waitpid` would say if it could wait for it.
    """
    gc.freeze()
    pid = -1
    with socket.socket(fileno=orders) as supervisor:
        try:
            while pid:
                line, fds = receive(supervisor)
                pid = os.fork() if line else -1
                if pid:
                    supervisor.sendall(pid.to_bytes(4, sys.byteorder))
                    for fd in fds:
                        os.close(fd)
                    supervisor.sendall(os.waitpid(pid, 0)[1].to_bytes(4, sys.byteorder))
        finally:
            if pid:  # nothing of the program's is to see what went wrong, or the end of the orders
                os._exit(0)
    job = json.loads(line)
    ready, listener = _begin(job, fds, set())
    return job, ready, listener


def receive(control: socket.socket) -> tuple[bytes, list[int]]:
    """Return the line that comes next, and its descriptors; nothing where no line comes."""
    line = b""
    fds: list[int] = []
    while not line.endswith(b"\n"):
        chunk, passed, _, _ = socket.recv_fds(control, 65536, 5)
        if not chunk:
            return b"", []
        line, fds = line + chunk, fds + passed
    return line, fds


_prefixes: dict[str, str | None] = {}
"""The URL prefix of each blueprint, which Flask does not keep where it is given at registration."""


def _note_prefixes() -> None:
    from flask import Blueprint

    register = Blueprint.register

    def noting(self: Blueprint, app: Any, options: dict[str, Any]) -> None:
        register(self, app, options)
        _prefixes[options.get("name", self.name)] = options.get("url_prefix", self.url_prefix)

    Blueprint.register = noting  # type: ignore[assignment, method-assign]


def _fail() -> None:
    raise RuntimeError("A view that fails, put there by the check.")


def _read() -> str:
    from flask import request

    request.get_data()
    return "read"


def _facts(application: Any) -> dict[str, Any]:
    """Return what the app says of its own structure: its URL map and its blueprints."""
    return {
        "rules": [
            {"rule": rule.rule, "endpoint": rule.endpoint, "methods": sorted(rule.methods or ())}
            for rule in application.url_map.iter_rules()
        ],
        "blueprints": _prefixes,
    }
