"""Prepare a copy of a lesson: do once what every check would do, or needs done."""

from __future__ import annotations

import contextlib
import importlib.util
import marshal
import os
import shlex
import sys
import warnings
from dataclasses import dataclass
from pathlib import PurePosixPath

from course.answers import Command
from course.errors import CourseError
from course.files import NAME_LIMIT
from course.processes import Finished, ForkServer, Job
from course.snapshot import LARGEST_SOURCE, Snapshot, take
from course.verdicts import CheckFailed
from course.written import Written

NO_SUCH_COMMAND = 2
"""What argparse and click exit with where they do not know a command."""

CHECKED_HASH = 0b11
"""The kind of compiled module that Python takes if its source has the hash that stands in it."""


@dataclass(frozen=True)
class Prepared:
    """A copy with the files that `command` has made in it, or, where none worked, without."""

    copy: Snapshot
    command: str | None
    failure: str = ""
    """Where no command worked: how the student's own failed, in a line, and the frames below it."""


def prepare(
    forks: ForkServer, copy: Snapshot, ways: tuple[str, ...], hidden: frozenset[str] = frozenset()
) -> Prepared:
    """Run the first of `ways`, commands such as `python manage.py create_db`, that exits with 0.

    Each has a fresh folder, of which nothing is left. That none works is no error here: the student
    has not written it yet, or `failure` says what is wrong with it. One that takes too long in a
    sandbox is tried once more: see `Checker.results`. Raises `CourseError` where no program can be
    run at all.
    """
    failure = ""
    waiting, patient = list(ways), forks.sandboxed
    while waiting:
        way = waiting.pop(0)
        with forks.written(copy) as written:
            folder = written.folder
            job = Job(shlex.split(way)[1:], folder, hidden=hidden)
            try:
                finished = forks.start(job, folder.parent).wait()
                if finished.reason == "ended" and finished.code == 0:
                    made = take(written.found, made=True)
                    return Prepared(Snapshot(copy.files | made.files, made.empty), way)
            except (ConnectionError, CourseError):
                break  # the program has ended what it runs in, or made what nobody can copy
            if finished.reason == "timeout" and patient:
                waiting, patient = [way, *waiting], False
                continue
            failure = failure or _failure(way, finished, written)
            if finished.reason != "ended":
                break  # an endless loop would be one for the next way too
    return Prepared(copy, None, failure)


def _failure(way: str, finished: Finished, written: Written) -> str:
    """Say how a command failed; nothing where there is no such command yet."""
    if finished.reason == "ended" and finished.code == NO_SUCH_COMMAND:
        return ""
    try:
        Command(f"{way}, before the checks", finished, written).exits(0)
    except CheckFailed as error:
        return f"{error}\n{error.trace}"
    return ""


def compiled(copy: Snapshot) -> Snapshot:
    """Return the copy with its modules compiled, which else each of many programs would do anew.

    A module that is changed afterwards is compiled again, by whoever imports it. One that does not
    compile is left as it is: its program says what is wrong. So is one whose name leaves no room
    for the longer one of what is compiled.
    """
    files = dict(copy.files)
    for path, source in copy.files.items():
        if path.endswith(".py") and len(source) <= LARGEST_SOURCE:
            cached = _cached(path)
            if len(os.fsencode(PurePosixPath(cached).name)) > NAME_LIMIT:
                continue
            with contextlib.suppress(SyntaxError, ValueError, RecursionError, MemoryError):
                files[cached] = _compile(path, source)
    return Snapshot(files)


def _cached(path: str) -> str:
    """Return where Python looks for the compiled module of a file."""
    file = PurePosixPath(path)
    name = f"{file.stem}.{sys.implementation.cache_tag}.pyc"
    return (file.parent / "__pycache__" / name).as_posix()


def _compile(path: str, source: bytes) -> bytes:
    """Return the compiled module, as PEP 552 describes such a file."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the student's code: no business of whoever checks it
        code = compile(source, path, "exec", dont_inherit=True, optimize=0)
    head = importlib.util.MAGIC_NUMBER + CHECKED_HASH.to_bytes(4, "little")
    return head + importlib.util.source_hash(source) + marshal.dumps(code)
