"""Serve a lesson for the student to look at, and start it again after a mistake is mended."""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from course.catalog import Course, Lesson
from course.errors import CourseError
from course.snapshot import is_made

DEFAULT_PORT = 5000

Say = Callable[[str], None]


def needs_free(port: int, elsewhere: str) -> None:
    """Raise `CourseError` where this program cannot listen on `port`.

    `elsewhere` is the command that would serve on another port.
    """
    try:
        with socket.socket() as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(("127.0.0.1", port))
        if not listens(port):  # on a Mac, a port that someone else has can be bound all the same
            return
    except PermissionError:
        raise CourseError(f"Port {port} is not for you to use. Take one above 1023.") from None
    except OSError:
        pass
    airplay = " (by AirPlay Receiver, unless you turned it off)" if sys.platform == "darwin" else ""
    raise CourseError(f"Port {port} is in use{airplay}. Stop what uses it, or: {elsewhere}")


def listens(port: int) -> bool:
    """Tell whether something listens on `port` of this machine."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def serve(course: Course, lesson: Lesson, folder: Path, port: int, say: Say) -> None:
    """Serve the copy of `lesson` in `folder` until Ctrl-C.

    Where the student has not written the lesson's own way to serve it, the one of the lesson
    before is used, and `say` is told so. An app that stops by itself is started again when a file
    in `folder` is saved.
    """
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # ends the server as well
    while True:
        if not folder.is_dir():
            raise CourseError(f"{folder} is gone. Put it back, or begin the lesson again.")
        saved = _saved(folder)
        code = _serve_once(course, lesson, folder, port, say)
        if _saved(folder) != saved:  # since it was started, so it may be mended already
            continue
        how = "without an error, and without serving" if code == 0 else f"with exit code {code}"
        say(f"The app has ended {how}. It starts again when you save a file.")
        while _saved(folder) == saved:
            time.sleep(0.2)


def _serve_once(course: Course, lesson: Lesson, folder: Path, port: int, say: Say) -> int:
    """Serve the copy until it ends; return its exit code."""
    own, *older = course.ways_to_serve(lesson)
    if older and _same_script(own, lesson.starter, folder):
        say(f"{_script(own)} is still the starter's: lesson {older[0].number}'s way serves.")
        return _run(_command(older[0], port), folder)
    code = _run(_command(own, port), folder)
    if code == 0 and older:
        say(f"{_script(own)} serves nothing yet: lesson {older[0].number}'s way serves.")
        code = _run(_command(older[0], port), folder)
    return code


def _script(way: Lesson) -> str:
    return shlex.split(way.serve)[1]


def _same_script(way: Lesson, starter: Path, folder: Path) -> bool:
    """Tell whether the program that serves is still the starter's."""
    try:
        return (starter / _script(way)).read_bytes() == (folder / _script(way)).read_bytes()
    except OSError:
        return False


def _command(way: Lesson, port: int) -> list[str]:
    command = way.serve
    if "{port}" not in command and port != DEFAULT_PORT:
        command = way.serve_on_port or command
    return [sys.executable, *shlex.split(command.format(port=port))[1:]]


def _run(command: list[str], folder: Path) -> int:
    """Run the server in the foreground until it ends; end it on Ctrl-C.

    Nor does it outlive its terminal. Where that ran make and no shell, make alone hears of its end.
    """
    process = subprocess.Popen(command, cwd=folder, env=os.environ | {"PYTHONUTF8": "1"})
    terminal = os.isatty(0)
    try:
        while True:
            with contextlib.suppress(subprocess.TimeoutExpired):
                return process.wait(timeout=1)
            if terminal and not os.isatty(0):
                sys.exit(128 + signal.SIGHUP)
    finally:
        _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the server, which Ctrl-C at a terminal has reached as well."""
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(timeout=0.5)
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(timeout=3)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _saved(folder: Path) -> dict[str, int]:
    """Return when each file was last written, of those that a person writes."""
    times = {}
    for path in folder.rglob("*"):
        # A database changes with every request, and so does the folder where it has its journal.
        if path.is_file() and not is_made(path.relative_to(folder)):
            with contextlib.suppress(OSError):
                times[str(path)] = path.stat().st_mtime_ns
    return times
