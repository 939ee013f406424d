"""The student's own copies of the lessons, in work/. Only the student's commands come here."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from course.catalog import Lesson
from course.errors import CourseError
from course.snapshot import Snapshot, take

Prepare = Callable[[Snapshot], Snapshot]
"""Gives a new copy what else it begins with."""


def make(lesson: Lesson, prepare: Prepare) -> bool:
    """Make the student's copy from the starter where there is none; tell whether one was made.

    Raises `CourseError` where the folder cannot be written.
    """
    if lesson.work.is_dir():
        return False
    if lesson.work.exists():
        raise CourseError(f"{lesson.work} is a file, where your copy is to be: move it away.")
    with _new(lesson, prepare) as new:
        new.rename(lesson.work)
    return True


def reset(lesson: Lesson, prepare: Prepare) -> Path:
    """Put the starter in the place of the student's copy; return where the copy is kept.

    It is kept with all that was made by running it, as its database.

    Raises `CourseError` where there is no copy, or the folder cannot be written.
    """
    existing(lesson)
    now = datetime.now().strftime("%Y-%m-%dT%H-%M-%S")
    kept = _free(lesson.work.with_name(f"{lesson.folder}.{now}"))
    with _new(lesson, prepare) as new:
        lesson.work.rename(kept)
        new.rename(lesson.work)
    return kept


def existing(lesson: Lesson) -> Path:
    """Return the folder of the student's copy; raise `CourseError` where there is none."""
    if not lesson.work.is_dir():
        raise CourseError(
            f"You have no copy of lesson {lesson.number} yet. make lesson-{lesson.number} makes it."
        )
    return lesson.work


@contextmanager
def _new(lesson: Lesson, prepare: Prepare) -> Iterator[Path]:
    """Give a whole copy of the starter, prepared, beside the place where it will stand.

    It is moved there in one step, so that nobody ever meets half a copy.
    """
    try:
        starter = prepare(take(lesson.starter))
        lesson.work.parent.mkdir(exist_ok=True)
        scratch = Path(tempfile.mkdtemp(prefix=".new-", dir=lesson.work.parent))
        try:
            new = scratch / lesson.folder
            starter.write(new)
            yield new
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
    except OSError as error:
        raise CourseError(
            f"{lesson.work} cannot be written: {error.strerror}. Nothing of yours was changed."
        ) from error


def _free(path: Path) -> Path:
    """Return `path`, or the first of `path`.2, `path`.3 … that does not exist."""
    number = 1
    free = path
    while free.exists():
        number += 1
        free = path.with_name(f"{path.name}.{number}")
    return free
