"""What happens in the process that runs a student's program."""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import faulthandler
import hashlib
import importlib.util
import json
import os
import resource
import runpy
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from typing import Any

MEMORY_LIMIT = 1024 * 1024 * 1024
"""Bytes of address space."""

FILE_LIMIT = 256 * 1024 * 1024
"""Bytes in any one file."""

MOST_DESCRIPTORS = 64
"""More than any process that forks a job has open."""

WERKZEUG_SCRYPT = (2**15, 8, 1)
"""What Werkzeug gives scrypt where nobody says another n, r and p."""

PR_SET_PDEATHSIG = 1  # from linux/prctl.h

_prctl = ctypes.CDLL(None).prctl if sys.platform == "linux" else None


def run_job(job: dict[str, Any], out: int, err: int, ready: int, listener: int) -> None:
    """Become the program that `job` names, and never return.

    `job` has `argv` (a script and its arguments, or `-m`, a module and its arguments), `cwd`,
    `env`, `stdin` (a file's path), `seconds`, `serve` (listen on the socket `listener`, whatever
    host and port the program names), `mount` (a path below which to serve it), `broken_route` (a
    path whose view fails) and `hidden` (modules that the student's own files hide).
    """
    os.setsid()
    die_with_parent()  # which may be killed
    os.chdir(job["cwd"])
    os.dup2(os.open(job["stdin"], os.O_RDONLY), 0)
    os.dup2(out, 1)
    os.dup2(err, 2)
    _close_all_but({0, 1, 2, ready, listener} if job["serve"] else {0, 1, 2})
    os.environ.clear()
    os.environ.update(job["env"])
    time.tzset()  # the process that forked us has read another TZ
    _open_streams()
    _limit(job["seconds"])
    faulthandler.register(signal.SIGUSR1, file=2, all_threads=True)
    for hidden in job["hidden"]:
        for name in [name for name in sys.modules if name.partition(".")[0] == hidden]:
            del sys.modules[name]
    sys.path[:] = [job["cwd"], *(path for path in sys.path if path)]
    _hash_quickly()
    code = 1
    try:
        if job["serve"]:
            _serve_on(listener, ready, job["mount"], job["broken_route"])
        _run(job["argv"])
        code = 0
    except SystemExit as exit_:
        code = _exit_code(exit_)
    except BaseException:
        traceback.print_exc()
    _end(code)


def die_with_parent() -> None:
    """Be killed when the process ends that has forked this one (Linux)."""
    if _prctl:
        _prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def _close_all_but(kept: set[int]) -> None:
    """Close what is not the program's: it shares nothing with the processes that it comes from."""
    for fd in range(MOST_DESCRIPTORS):
        if fd not in kept:
            with contextlib.suppress(OSError):
                os.close(fd)


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


def _open_streams() -> None:
    # ruff: noqa: SIM115 - these stay open as long as the program runs
    sys.stdin = open(0, encoding="utf-8", closefd=False)
    sys.stdout = open(1, "w", encoding="utf-8", closefd=False, buffering=1)
    sys.stderr = open(
        2, "w", encoding="utf-8", errors="backslashreplace", closefd=False, buffering=1
    )


def _limit(seconds: float) -> None:
    for what, value in (
        (resource.RLIMIT_AS, MEMORY_LIMIT),
        (resource.RLIMIT_FSIZE, FILE_LIMIT),
        (resource.RLIMIT_CPU, int(seconds) * 2 + 1),
        (resource.RLIMIT_CORE, 0),
    ):
        hard = resource.getrlimit(what)[1]
        soft = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(what, (soft, hard))


def _run(argv: list[str]) -> None:
    if argv[0] == "-m":
        sys.argv = argv[1:]
        runpy.run_module(argv[1], run_name="__main__", alter_sys=True)
    else:
        sys.argv = list(argv)
        _must_be_text(argv[0])
        runpy.run_path(argv[0], run_name="__main__")


def _must_be_text(script: str) -> None:
    """Refuse what `python script` refuses and `runpy` does not: bytes that are no text."""
    with open(script, "rb") as file:
        data = file.read()
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


def _serve_on(listener: int, ready: int, mount: str, broken_route: str) -> None:
    """Have the program's server listen on `listener` and say on `ready` when it is about to.

    Every way to Flask's own server (`app.run`, `flask run`, Flask-Script's `runserver`) ends in
    Werkzeug's `run_simple`, so that is the one place to stand in for.
    """
    from werkzeug import serving
    from werkzeug.exceptions import NotFound
    from werkzeug.middleware.dispatcher import DispatcherMiddleware

    class Quiet(serving.WSGIRequestHandler):
        def log(self, *args: Any) -> None:
            """Write no line for a request: standard error is for the student's own words."""

    def run_simple(hostname: str, port: int, application: Any, **_: Any) -> None:
        if broken_route:
            application.add_url_rule(broken_route, "_broken", _fail)
        os.write(ready, json.dumps(_facts(application)).encode() + b"\n")
        os.close(ready)
        served: Callable = application
        if mount:
            served = DispatcherMiddleware(NotFound(), {mount: application})
        serving.make_server(
            "unix://", 0, served, threaded=True, request_handler=Quiet, fd=listener
        ).serve_forever()

    _note_prefixes()
    serving.run_simple = run_simple  # type: ignore[assignment]


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


def _facts(application: Any) -> dict[str, Any]:
    """Return what the app says of its own structure: its URL map and its blueprints."""
    return {
        "rules": [
            {"rule": rule.rule, "endpoint": rule.endpoint, "methods": sorted(rule.methods or ())}
            for rule in application.url_map.iter_rules()
        ],
        "blueprints": _prefixes,
    }
