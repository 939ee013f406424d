"""The student's own copies of the lessons, in work/. Only the student's commands come here.

A copy is made beside the place where it will stand, in a folder named for the one that will keep
what stood there: so whoever finds that folder knows what a command that was killed was about to do.
Two renames put the new copy in the place of the old. At any moment, the student has one of them.
"""

from __future__ import annotations

import contextlib
import fcntl
import io
import os
import re
import shlex
import shutil
import stat
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from course import files
from course.catalog import Course, Lesson
from course.errors import CourseError
from course.release import starter
from course.snapshot import STARTER, Snapshot, take

Prepare = Callable[[Snapshot], Snapshot]
"""Gives a new copy what else it begins with."""

Fill = Callable[[Path], None]
"""Writes a copy into a folder that is not there yet."""

_NEW = re.compile(r"\.new-(?P<kept>(?P<folder>\d+_[^.]+)\.\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d(\.\d+)?)")


def make(lesson: Lesson, prepare: Prepare) -> bool:
    """Make the student's copy from the starter where there is none; tell whether one was made.

    Raises `CourseError` where the folder cannot be written.
    """
    if lesson.work.is_dir():
        return False
    with _told(lesson):
        fill = _first(lesson, prepare(take(lesson.starter)))
        with _alone(lesson.work.parent):
            if lesson.work.is_dir():  # another command has made it meanwhile, and may serve it
                return False
            _swap(lesson, fill)
    return True


def reset(lesson: Lesson, prepare: Prepare) -> Path | None:
    """Put the starter in the place of the student's copy; return where the copy is kept.

    It is kept with all that was made by running it, as its database.

    Raises `CourseError` where there is no copy, or the folder cannot be written.
    """
    existing(lesson)
    return begin(lesson, take(lesson.starter), prepare)


def begin(lesson: Lesson, copy: Snapshot, prepare: Prepare, carried: bool = False) -> Path | None:
    """Make `copy` the student's, in the place of the one that may be there.

    Return where that one is kept. `carried` says that it has work from an earlier lesson in it, so
    that not all that differs from the starter is done here. Raises `CourseError` where the folder
    cannot be written.
    """
    with _told(lesson):
        return _put(lesson, _first(lesson, prepare(copy), carried))


def _first(lesson: Lesson, prepared: Snapshot, carried: bool = False) -> Fill:
    def fill(new: Path) -> None:
        prepared.write(new)
        remember(lesson, new, starter(lesson), take(new) if carried else None)

    return fill


def revise(
    lesson: Lesson,
    old: Snapshot,
    new: Snapshot,
    base: Snapshot | None,
    begun: Snapshot | None = None,
) -> Path | None:
    """Put a copy that has the files `new` where the student's has `old`, and all else of it.

    Return where the one that was there is kept. `base` is the starter that the new one goes back
    to, if that is another, and `begun` what it is before any work in it, if that is not the
    starter. Raises `CourseError` where the folder cannot be written.
    """

    def fill(folder: Path) -> None:
        shutil.copytree(lesson.work, folder, symlinks=True, ignore=_no_files)
        for path in old.files.keys() - new.files.keys():
            (folder / path).unlink()
        changed = {path: data for path, data in new.files.items() if old.files.get(path) != data}
        refuse_links(folder, changed)
        _write_over(folder, changed)
        if base:
            remember(lesson, folder, base, begun)

    with _told(lesson):
        return _put(lesson, fill)


def _write_over(folder: Path, changed: dict[str, bytes]) -> None:
    """Write files into a copy. One in the place of another has its mode: it may be read-only."""
    before = {path: (folder / path).stat().st_mode for path in changed if (folder / path).is_file()}
    for path in before:
        (folder / path).unlink()
    Snapshot(changed).write(folder)
    for path, mode in before.items():
        (folder / path).chmod(stat.S_IMODE(mode))


def existing(lesson: Lesson) -> Path:
    """Return the folder of the student's copy; raise `CourseError` where there is none."""
    if not lesson.work.is_dir():
        raise CourseError(
            f"You have no copy of lesson {lesson.number} yet. make lesson-{lesson.number} makes it."
        )
    return lesson.work


def keep(lesson: Lesson, text: Snapshot) -> Path:
    """Write what a student has written in lessons/ into a folder of its own in work/.

    Return the folder. Raises `CourseError` where it cannot be written.
    """
    with _told(lesson), _alone(lesson.work.parent):
        kept = _dated(lesson.work.with_name(f"{lesson.folder}.from-lessons"))
        part = kept.with_name(f".part-{kept.name}")
        try:
            text.write(part)
            part.rename(kept)
        finally:
            shutil.rmtree(part, ignore_errors=True)
        return kept


def way_back(copy: Path, kept: Path) -> str:
    """Return the command, to be given at the course's root, that puts a kept copy in its place."""
    aside = _free(copy.with_name(f"{copy.name}.new"))
    paths = (path.relative_to(copy.parent.parent) for path in (copy, aside, kept))
    new, away, old = (shlex.quote(str(path)) for path in paths)
    return f"mv {new} {away} && mv {old} {new}"


# The starter that a copy goes back to.


_BEGUN = "begun"
"""The folder in `STARTER` of what a copy was as it was made, where that is not the starter."""


def remember(lesson: Lesson, copy: Path, base: Snapshot, begun: Snapshot | None = None) -> None:
    """Write into the folder `copy` which starter it goes back to, and how it was begun.

    It stands in the copy, so that it goes wherever the copy is moved, and comes back with it.

    Raises `CourseError` where it cannot be written.
    """
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED) as archive:
        for folder, files_ in ((lesson.folder, base), (_BEGUN, begun or Snapshot({}))):
            for path, data in files_.files.items():
                archive.writestr(f"{folder}/{path}", data)
    with _told(lesson):
        files.replace(copy / STARTER, written.getvalue())


def base(lesson: Lesson) -> Snapshot | None:
    """Return the starter that the student's copy goes back to; None where nobody knows."""
    found = _remembered(lesson.work)
    return found.base if found else None


def begun(lesson: Lesson) -> Snapshot | None:
    """Return what the student's copy was before any work in it; None where nobody knows."""
    found = _remembered(lesson.work)
    return found.begun or found.base if found else None


def worked_on(lesson: Lesson) -> bool:
    """Tell whether the student's copy may have work in it that was not there when it was made."""
    before = begun(lesson)
    now = take(lesson.work).with_plain_line_ends()
    return before is None or now.files != before.with_plain_line_ends().files


@dataclass(frozen=True)
class _Remembered:
    """Under which name a copy was made, from what, and what it was then, if that is another."""

    name: str
    base: Snapshot
    begun: Snapshot | None


def _remembered(copy: Path) -> _Remembered | None:
    try:
        with zipfile.ZipFile(copy / STARTER) as archive:
            found: dict[str, dict[str, bytes]] = {}
            for each in archive.namelist():
                folder, _, path = each.partition("/")
                found.setdefault(folder, {})[path] = archive.read(each)
            name = archive.namelist()[0].partition("/")[0]
            begun = found.get(_BEGUN)
            return _Remembered(name, Snapshot(found[name]), Snapshot(begun) if begun else None)
    except (OSError, zipfile.BadZipFile, zlib.error, LookupError, ValueError, RuntimeError):
        return None


# What is found when a command begins.


def settle(course: Course) -> list[str]:
    """See to what an earlier command, or a newer release, left to be done in work/.

    Return a sentence about each: a swap of two copies that was cut short is undone, or told of
    where it was done, and the copy of a lesson that has another name now gets that name.
    """
    work = course.root / "work"
    if not work.is_dir():
        return []
    try:
        with _alone(work, wait=False):
            return [*_cut_short(work), *_renamed(course, work)]
    except BlockingIOError:  # another command is at it
        return []
    except OSError as error:
        return [f"{error.filename or work} is in the way, and cannot be moved: {error.strerror}."]


def _cut_short(work: Path) -> Iterator[str]:
    for part in work.glob(".part-*.from-lessons.*"):  # a mere copy
        shutil.rmtree(part, ignore_errors=True)
    for scratch in sorted(work.glob(".new-*")):
        if match := _NEW.fullmatch(scratch.name):
            copy = work / match["folder"]
            name = copy.relative_to(work.parent)
            kept = _undo(scratch)
            shutil.rmtree(scratch, ignore_errors=True)
            if kept:
                yield (
                    f"A command was cut short when {name} was new. What you had is kept in "
                    f"{kept.relative_to(work.parent)}. To have it back: {way_back(copy, kept)}"
                )
            else:
                yield f"A command was cut short before it changed {name}: it is as it was."


def _renamed(course: Course, work: Path) -> Iterator[str]:
    names = {lesson.folder for lesson in course.lessons}
    for folder in sorted(work.iterdir()):
        lesson = _successor(course, folder.name) if folder.name not in names else None
        # One that a student has renamed was made under another name: it stays as it is.
        made = _remembered(folder)
        as_made = made is not None and made.name == folder.name
        if lesson and lesson.starter.is_dir() and not lesson.work.exists() and made and as_made:
            folder.rename(lesson.work)
            # So that it goes on from there to the next name.
            remember(lesson, lesson.work, made.base, made.begun)
            new = lesson.work.relative_to(course.root)
            yield f"Lesson {lesson.number} has a new name: your copy of it is {new} now."


def _successor(course: Course, folder: str) -> Lesson | None:
    """Return the lesson whose folder was called `folder` once.

    Lessons get new names or, when one is put in before them, new numbers.
    """
    number, _, name = folder.partition("_")
    lessons = course.lessons
    same_name = [lesson for lesson in lessons if lesson.folder.partition("_")[2] == name]
    same_number = [
        lesson for lesson in lessons if number.isdecimal() and lesson.number == int(number)
    ]
    return next(iter(same_name + same_number), None)


# Whether someone is at a copy.


@contextmanager
def used(lesson: Lesson) -> Iterator[None]:
    """Mark the student's copy as one that a command serves or watches, until the end of the block.

    The mark goes with the folder where that is renamed, and away with the process.
    """
    with _locked(lesson.work, fcntl.LOCK_SH | fcntl.LOCK_NB):
        yield


def is_used(lesson: Lesson) -> bool:
    """Tell whether a command serves or watches the student's copy."""
    try:
        with _locked(lesson.work, fcntl.LOCK_EX | fcntl.LOCK_NB):
            return False
    except BlockingIOError:
        return True


@contextmanager
def _alone(work: Path, wait: bool = True) -> Iterator[None]:
    """Keep other commands from moving copies meanwhile; `BlockingIOError` where one is at it."""
    work.mkdir(exist_ok=True)
    with _locked(work, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB)):
        yield


@contextmanager
def _locked(folder: Path, how: int) -> Iterator[None]:
    with contextlib.ExitStack() as stack:
        try:
            descriptor = os.open(folder, os.O_RDONLY)
            stack.callback(os.close, descriptor)
            fcntl.flock(descriptor, how)
        except BlockingIOError:
            raise
        except OSError:  # a file system that knows no locks: then nobody can tell
            pass
        yield


# Moving copies.


def _put(lesson: Lesson, fill: Fill) -> Path | None:
    """Put a new copy in its place; return where what stood there is kept."""
    with _alone(lesson.work.parent):
        return _swap(lesson, fill)


def _swap(lesson: Lesson, fill: Fill) -> Path | None:
    """Do what `_put` does, where no other command moves copies meanwhile."""
    if lesson.work.exists() and not lesson.work.is_dir():
        raise CourseError(f"{lesson.work} is a file, where your copy is to be: move it away.")
    kept = _dated(lesson.work)
    scratch = kept.with_name(f".new-{kept.name}")
    scratch.mkdir()
    try:
        new = scratch / lesson.folder
        fill(new)
        if lesson.work.is_dir():
            lesson.work.rename(kept)
        new.rename(lesson.work)
    except BaseException:
        _undo(scratch)
        raise
    shutil.rmtree(scratch, ignore_errors=True)
    return kept if kept.exists() else None


def _undo(scratch: Path) -> Path | None:
    """Undo a swap that is half done; return where the old copy is kept if the swap was done.

    Only then is `scratch` left, for the next command to tell.
    """
    match = _NEW.fullmatch(scratch.name)
    assert match
    kept, copy = scratch.with_name(match["kept"]), scratch.with_name(match["folder"])
    if kept.exists() and not copy.exists():
        kept.rename(copy)
    if kept.exists():
        return kept
    shutil.rmtree(scratch, ignore_errors=True)
    return None


def _dated(path: Path) -> Path:
    """Return a path that does not exist: `path` and the present time."""
    now = datetime.now().strftime("%Y-%m-%dT%H-%M-%S")
    return _free(path.with_name(f"{path.name}.{now}"))


def _free(path: Path) -> Path:
    """Return `path`, or the first of `path`.2, `path`.3 … that does not exist."""
    number = 1
    free = path
    while free.exists() or free.with_name(f".new-{free.name}").exists():
        number += 1
        free = path.with_name(f"{path.name}.{number}")
    return free


def _no_files(folder: str, names: list[str]) -> set[str]:
    """Return what nobody can copy, as a socket, or need, as what Python keeps for itself."""
    paths = (Path(folder, name) for name in names)
    fit = {path.name for path in paths if path.is_symlink() or path.is_dir() or path.is_file()}
    return set(names) - fit | {"__pycache__"}


def refuse_links(folder: Path, paths: Iterable[str]) -> None:
    """Raise `CourseError` where a file in `folder` is a link: its text would be elsewhere."""
    for path in paths:
        if os.path.realpath(folder / path) != os.path.join(os.path.realpath(folder), path):
            raise CourseError(
                f"{path} in {folder.name} is a link, or behind one: put the file itself there."
            )


@contextmanager
def _told(lesson: Lesson) -> Iterator[None]:
    """Say it in a sentence where something cannot be written."""
    try:
        yield
    except OSError as error:
        why = error.strerror or error.args[0][0][2]  # shutil.Error lists: from, to, why
        name = str(error.filename or "").partition(f"/{lesson.folder}/")[2]
        which = f"{name} in {lesson.work}" if name else lesson.work
        raise CourseError(
            f"{which} cannot be written: {why}. Nothing of yours was changed."
        ) from error
