"""Bring into a student's copy what was written elsewhere, merged three-way, and keep the old one.

Three come from elsewhere: the student's own lesson before, a newer release of the starter, and
what was written in lessons/ by mistake.
"""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from course import copies
from course.catalog import Course, Lesson
from course.copies import Prepare
from course.errors import CourseError
from course.files import replace
from course.git import as_set_up, run
from course.merging import Conflict, Merge, Sides, merge
from course.release import edited, released, starter
from course.snapshot import Snapshot, take

_MARK = re.compile(rb"^<{7} yours\b", re.MULTILINE)


@dataclass(frozen=True)
class Outcome:
    """What became of a student's copy.

    `changed` are files that are not as they were in it. `kept` is where the old copy is, if there
    was one and it was replaced, and `rescued` is where what was written in lessons/ is kept.
    """

    changed: tuple[str, ...]
    conflicts: tuple[Conflict, ...]
    kept: Path | None
    rescued: Path | None = None


def carry(course: Course, lesson: Lesson, given: str, prepare: Prepare) -> Outcome:
    """Make a new copy of `lesson` that goes on with the student's own work in an earlier one.

    `given` is the number of the earlier lesson, whose copy is in work/, or a folder. The starter
    grew out of the earlier lesson's solution: where the student's work differs from that, it stays.

    Raises `CourseError` where there is no such work, the copy that is there has work in it, or the
    new one cannot be written.
    """
    folder, earlier = _source(course, lesson, given)
    if lesson.work.is_dir() and copies.worked_on(lesson):
        number = lesson.number
        raise CourseError(
            f"work/{lesson.folder} has work of yours in it: make lesson-{number} goes on with it. "
            f"To begin anew, make reset-{number} first (it keeps what you had), then this again."
        )
    sides = Sides(f"yours, from lesson {earlier.number}", f"starter of lesson {lesson.number}")
    ours, solution = take(folder), take(earlier.solution)
    if ours.files.keys().isdisjoint(solution.files):  # each of its files would be one more
        raise CourseError(f"{folder} holds no file of lesson {earlier.number}: name another.")
    _refuse_marks(ours, folder)
    merged = merge(solution, ours, take(lesson.starter), sides)
    kept = copies.begin(lesson, merged.result, prepare, carried=True)
    return Outcome((), merged.conflicts, kept)


def _source(course: Course, lesson: Lesson, given: str) -> tuple[Path, Lesson]:
    """Return the folder of an earlier lesson, and which lesson it is.

    A folder says it by its name, as `02_blueprint` and what is kept of it do; any other is of the
    lesson before.
    """
    before = course.before(lesson)
    if not before:
        raise CourseError(f"No lesson comes before lesson {lesson.number}: begin it without that.")
    number = number_in(given)
    if number is not None:
        earlier = course.lesson(number)
        folder = earlier.work
    else:
        folder = Path(given)
        named = [each for each in course.lessons if each.folder == folder.name.partition(".")[0]]
        earlier = named[0] if named else before[-1]
    if earlier not in before:
        raise CourseError(
            f"Lesson {lesson.number} can go on with an earlier lesson of yours, "
            f"and {given} is of lesson {earlier.number}."
        )
    return (folder if number is None else copies.existing(earlier)), earlier


def number_in(given: str) -> int | None:
    """Return the lesson's number that `carry` is given; None where it is given a folder."""
    return int(given) if given.isdecimal() and len(given) < 10 else None


def update(lesson: Lesson) -> Outcome | None:
    """Merge the starter as it is now into the student's copy; None where it has all of it.

    Raises `CourseError` where there is no copy, nobody knows which starter it goes back to, or the
    folder cannot be written.
    """
    copies.existing(lesson)
    if edited(lesson):
        raise CourseError(
            f"lessons/{lesson.folder} is not as it came, so it is no update. "
            f"make rescue-{lesson.number} takes what you wrote there into your copy, and mends it."
        )
    base, new = copies.base(lesson), starter(lesson)
    if base is None:
        raise CourseError(
            "It is not known which starter your copy goes back to, so nothing can be merged. "
            f"make reset-{lesson.number} gives you the newest starter, and keeps yours beside it."
        )
    if base.with_plain_line_ends() == new.with_plain_line_ends():
        return None
    sides = Sides("yours", f"new starter of lesson {lesson.number}")
    begun = copies.begun(lesson)
    if begun == base:
        begun = None
    elif begun:  # with work from an earlier lesson, which goes on with the new starter too
        begun = merge(base, begun, new, sides).result
    return _into_copy(lesson, base, new, sides, goes_back_to=new, begun=begun)


def rescue(lesson: Lesson, prepare: Prepare) -> Outcome | None:
    """Move what was written in lessons/ into the student's copy; None where nothing was.

    lessons/ is as it came again, once all that was there is in work/.

    Raises `CourseError` where the course is no clone, git is missing, or a folder cannot be
    written.
    """
    came, written = released(lesson), edited(lesson)
    if came is None:
        run("version", cwd=lesson.root, env=as_set_up())  # tells where git itself is missing
        raise CourseError(
            f"This course is no git clone, so nobody can tell what lessons/{lesson.folder} was. "
            f"Copy what you wrote there to work/{lesson.folder} yourself."
        )
    if not written:
        return None
    copies.refuse_links(lesson.starter, written)
    files = {path: data for path, data in written.items() if data is not None}
    if not files:  # what was only deleted is mended, and not deleted in the copy
        _restore(lesson, came, written)
        return Outcome((), (), None)
    theirs = Snapshot(came.files | files)
    rescued = copies.keep(lesson, theirs)
    try:
        found = _rescue_into_copy(lesson, came, theirs, prepare)
    except BaseException:  # it is all in lessons/ still, and each try would leave one more
        shutil.rmtree(rescued, ignore_errors=True)
        raise
    _restore(lesson, came, written)
    return Outcome(found.changed, found.conflicts, found.kept, rescued)


def _rescue_into_copy(
    lesson: Lesson, came: Snapshot, theirs: Snapshot, prepare: Prepare
) -> Outcome:
    if not lesson.work.is_dir():
        copies.begin(lesson, theirs, prepare)
        return Outcome((), (), None)
    sides = Sides("yours, in work", "yours, in lessons")
    return _into_copy(lesson, came, theirs, sides, goes_back_to=None)


def _restore(lesson: Lesson, came: Snapshot, written: dict[str, bytes | None]) -> None:
    """Make these files of the starter what they were; leave all else."""
    try:
        for path, data in written.items():
            target = lesson.starter / path
            if data != (target.read_bytes() if target.exists() else None):
                raise CourseError(f"{target} was saved just now. Do it again: nothing was lost.")
            if path in came.files:
                target.parent.mkdir(parents=True, exist_ok=True)
                replace(target, came.files[path])
            else:
                target.unlink()
    except OSError as error:
        raise CourseError(
            f"{error.filename or lesson.starter} cannot be mended: {error.strerror}. "
            "What you wrote there is in work/ by now."
        ) from error


def _into_copy(
    lesson: Lesson,
    base: Snapshot,
    theirs: Snapshot,
    sides: Sides,
    goes_back_to: Snapshot | None,
    begun: Snapshot | None = None,
) -> Outcome:
    """Merge what became of `base` in `theirs` into the student's copy, and keep the old one."""
    ours = take(lesson.work)
    _refuse_marks(ours, lesson.work)
    merged = merge(base, ours, theirs, sides)
    changed, kept = _changed(ours, merged), None
    if changed:
        kept = copies.revise(lesson, ours, merged.result, goes_back_to, begun)
    elif goes_back_to:
        copies.remember(lesson, lesson.work, goes_back_to, begun)
    return Outcome(changed, merged.conflicts, kept)


def _changed(ours: Snapshot, merged: Merge) -> tuple[str, ...]:
    old, new = ours.files, merged.result.files
    return tuple(sorted(path for path in old.keys() | new.keys() if old.get(path) != new.get(path)))


def unresolved(ours: Snapshot, folder: Path) -> str:
    """Say where an earlier merge still waits for the student; nothing where none does."""
    for path, data in ours.files.items():
        if mark := _MARK.search(data):
            line = data.count(b"\n", 0, mark.start()) + 1
            return (
                f"{folder / path}, line {line}, still has both sides of an earlier merge. "
                "Choose there first: what stands between <<<<<<< and >>>>>>>."
            )
    return ""


def _refuse_marks(ours: Snapshot, folder: Path) -> None:
    if said := unresolved(ours, folder):
        raise CourseError(said)
