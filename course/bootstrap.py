"""See that .venv holds the course's packages, and go on in its Python.

Every command passes through here, so that the way through a complete .venv reads a few small files and starts nothing.
"""

from __future__ import annotations

import hashlib
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

from course.errors import CourseError

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
STAMP = VENV / "course.stamp"
LOG = VENV / "course-install.log"

VERSION = "{}.{}".format(*sys.version_info)
# The Python beneath a venv: one that is about to be deleted cannot make its successor.
BASE = getattr(sys, "_base_executable", None) or sys.executable

# What an installer's words mean, the most telling first.
REASONS = (
    (
        r"ensurepip is not available|No module named '?(venv|ensurepip)",
        "Python's venv module is missing. Install it (on Debian or Ubuntu: "
        f"sudo apt install python{VERSION}-venv) and run the same command again.",
    ),
    (
        r"No space left on device|Disk quota exceeded",
        "The packages could not be installed: the disk is full. "
        "Make room and run the same command again.",
    ),
    (
        r"(?i)certificate.?verify|invalid peer certificate",
        "The packages could not be fetched: the package index's certificate is not trusted here. "
        "Ask whoever runs this network which certificate or package index to use.",
    ),
    (
        r"Retrying \(Retry|Max retries|error sending request|dns error|ReadTimeout|IncompleteRead",
        "The packages could not be fetched: no connection to the package index. "
        "Check the network and run the same command again.",
    ),
)


class InstallError(CourseError):
    """The installer failed, and has put back whatever it had begun to change."""


def enter(arguments: list[str]) -> None:
    """Go on in .venv with every package in place; return where that is so already."""
    for_tests = arguments[:1] in (["test"], ["bench"])
    arrived = os.environ.pop("COURSE_VENV", None) == str(VENV)
    try:
        if not complete(for_tests):
            with alone():
                # Another terminal may have done it in the meantime.
                if not complete(for_tests):
                    mend(for_tests)
                    arrived = False
        elif inside() and os.environ.get("PYTHONUTF8") == "1":
            return
        if arrived:
            raise CourseError("The Python in .venv does not find its packages. Delete .venv and run the same command again.")
        go_on_in_venv(arguments)
    except CourseError as error:
        stop(str(error), 2)
    except OSError as error:
        stop(f"The course's packages could not be installed: {reason(error)}", 2)
    except KeyboardInterrupt:
        stop("Stopped. Run the same command again: it mends what was left half done.", 130)


def complete(for_tests: bool) -> bool:
    """Tell whether .venv is sound and holds what is asked for, as far as files show."""
    return fault() is None and digest(for_tests) in (stamp() or [])


def fault() -> str | None:
    """Say why .venv must be made anew; None where it need not be, as far as files show."""
    made_for = stamp()
    if made_for is not None and len(made_for) < 2:
        return "was left half made"
    if not (os.access(PYTHON, os.X_OK) and (VENV / "pyvenv.cfg").is_file()):
        return "is broken"
    if made_for and not same(made_for[0], ROOT):
        return "was made for another folder"
    if made_for and inside() and made_for[1] != VERSION:
        return "was made for another Python"
    return None


def stamp() -> list[str] | None:
    """Return what .venv was made for: a folder, a Python, and a digest for each set of packages.

    Empty while .venv is being changed, None where the course has never finished with it.
    """
    try:
        return STAMP.read_text("utf-8", "surrogateescape").splitlines()
    except (FileNotFoundError, NotADirectoryError):
        return None


def digest(for_tests: bool) -> str:
    """Return what changes when the packages do."""
    names = ["requirements.txt", "constraints.txt"] + ["tests/requirements.txt"] * for_tests
    files = [ROOT / name for name in names] + sorted(ROOT.glob("vendor/*.whl"))
    return hashlib.sha256(b"\0".join(file.read_bytes() for file in files)).hexdigest()


def inside() -> bool:
    """Tell whether this Python is .venv's."""
    return same(sys.prefix, VENV)


def same(one: str | Path, other: str | Path) -> bool:
    """Tell whether two paths lead to one folder, which a link or a letter's case may hide."""
    try:
        return os.path.samefile(one, other)
    except OSError:
        return False


@contextmanager
def alone() -> Iterator[None]:
    """Let one command at a time change .venv, where the system can lock a file."""
    try:
        import fcntl
    except ImportError:
        yield
        return
    # A file that is always there: a lock in .venv would go with it. Opened to write, as NFS wants.
    with (ROOT / "requirements.txt").open("r+b") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("Another command is installing the course's packages: waiting for it…")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def mend(for_tests: bool) -> None:
    """Make .venv where there is none that works, and install into it."""
    version = version_of_venv()
    wrong = fault() or (None if version else "is broken")
    if wrong and os.path.lexists(VENV):
        clear(wrong)
    what = "what the course's tests need" if for_tests else "the course's packages"
    say(f"Installing {what} into .venv: once, about half a minute…")
    if wrong:
        version = create()
    if version and tuple(map(int, version.split("."))) < (3, 11):
        raise CourseError(
            f"The .venv here has Python {version}, and the course needs 3.11 or newer. "
            "Delete it or move it away, and run the same command again."
        )
    install(for_tests, f"{ROOT}\n{version}\n")
