"""Prepare a copy of a lesson: run once what must run before it can be served."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path

from course.errors import CourseError
from course.processes import ForkServer, Job, scratch_folder
from course.snapshot import Snapshot, take


@dataclass(frozen=True)
class Prepared:
    """A copy with the files that `command` has made in it, or, where none worked, without."""

    copy: Snapshot
    command: str | None


def prepare(forks: ForkServer, copy: Snapshot, ways: tuple[str, ...]) -> Prepared:
    """Run the first of `ways`, commands such as `python manage.py create_db`, that exits with 0.

    Each has a fresh folder, of which nothing is left. That none works is no error here: the student
    has not written it yet, or a check says what is wrong with it. Raises `CourseError` where no
    program can be run at all.
    """
    for way in ways:
        with scratch_folder() as scratch:
            folder = Path(scratch, "lesson")
            copy.write(folder)
            job = Job(shlex.split(way)[1:], folder, hidden=forks.hidden_by(copy.modules()))
            try:
                finished = forks.start(job, Path(scratch)).wait()
                if finished.reason == "ended" and finished.code == 0:
                    made = take(folder, made=True)
                    return Prepared(Snapshot(copy.files | made.files), way)
            except (ConnectionError, CourseError):
                break  # the program has ended what it runs in, or made what nobody can copy
            if finished.reason != "ended":
                break  # an endless loop would be one for the next way too
    return Prepared(copy, None)
