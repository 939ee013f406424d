"""What the course consists of, read from lessons/course.toml."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from course.errors import CourseError
from course.tables import typed

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Task:
    """One task of a lesson: ten minutes' work and one idea. Its number is the id: 3.1, 3.2."""

    id: str
    title: str
    hints: tuple[str, ...]
    checks: dict[str, str]
    """The check functions, and what a failure of each asks the student."""

    @property
    def lesson(self) -> int:
        """The number of the task's lesson."""
        return int(self.id.partition(".")[0])


@dataclass(frozen=True)
class Ended:
    """A check of an earlier lesson that a later lesson rightly replaces."""

    check: str
    why: str


@dataclass(frozen=True)
class Mistake:
    """A mistake, which is known by what the program `says`, or by what a finder `finds`.

    Where it is a finder of `course.diagnosis`, the mend has its values in braces.
    """

    mend: str
    says: str = ""
    finds: str = ""


@dataclass(frozen=True)
class Lesson:
    """One numbered lesson, and where its parts stand below `root`."""

    root: Path
    number: int
    folder: str
    title: str
    adds: str
    pain: str
    taught: str
    edit: str
    serve: str
    serve_on_port: str | None
    prepare: str | None
    """What runs once in a fresh copy; that of the lesson before, where this one names none."""
    imports: tuple[str, ...]
    given: tuple[str, ...]
    ends: tuple[Ended, ...]
    tasks: tuple[Task, ...]

    @property
    def starter(self) -> Path:
        """The folder that a student begins with."""
        return self.root / "lessons" / self.folder

    @property
    def solution(self) -> Path:
        """The folder as it looks when every task is done."""
        return self.root / "solutions" / self.folder

    @property
    def work(self) -> Path:
        """The student's own copy."""
        return self.root / "work" / self.folder

    @property
    def checks(self) -> Path:
        """The file that says what the finished lesson must do."""
        return self.root / "checks" / f"test_{self.folder}.py"

    @property
    def page(self) -> Path:
        """The lesson's page in the docs."""
        return self.root / "docs" / f"{self.folder}.md"

    def anchor(self, task: Task) -> str:
        """Return where the docs explain `task`: the page, and the anchor of the task's heading."""
        return f"docs/{self.folder}.md#task-{task.id.replace('.', '')}"


@dataclass(frozen=True)
class Course:
    """All lessons, in the order in which they are taken."""

    root: Path
    lessons: tuple[Lesson, ...]
    mistakes: tuple[Mistake, ...] = ()
    after: str = ""
    """The page that goes on where the last lesson ends, if one does."""

    def lesson(self, number: int) -> Lesson:
        """Return lesson `number`; raise `CourseError` where there is none."""
        for lesson in self.lessons:
            if lesson.number == number:
                return lesson
        numbers = ", ".join(str(lesson.number) for lesson in self.lessons)
        raise CourseError(f"There is no lesson {number}. The lessons are {numbers}.")

    def up_to(self, number: int) -> tuple[Lesson, ...]:
        """Return the lessons from the first to `number`, which is among them."""
        return tuple(lesson for lesson in self.lessons if lesson.number <= number)

    def before(self, lesson: Lesson) -> tuple[Lesson, ...]:
        """Return the lessons that come before `lesson`, from the first on."""
        return tuple(each for each in self.lessons if each.number < lesson.number)

    def imports(self, lesson: Lesson) -> tuple[str, ...]:
        """Return the modules that the processes of a lesson's checks have imported beforehand."""
        return tuple(name for each in self.up_to(lesson.number) for name in each.imports)

    def ways_to_serve(self, lesson: Lesson) -> tuple[Lesson, ...]:
        """Return the lessons whose ways to serve a copy of `lesson` are tried: its own first.

        That of the lesson before is for a copy in which the student has not written the newer yet.
        """
        own, *older = reversed(self.up_to(lesson.number)[-2:])
        return (own, *(each for each in older if each.serve != own.serve))

    def ways_to_prepare(self, lesson: Lesson) -> tuple[str, ...]:
        """Return the commands that may prepare a copy of `lesson`: its own first.

        As with `ways_to_serve`, that of the lesson before is for what is not written yet.
        """
        commands = (each.prepare for each in reversed(self.up_to(lesson.number)[-2:]))
        return tuple(dict.fromkeys(filter(None, commands)))

    def ended_by(self, number: int) -> frozenset[str]:
        """Return the checks (`file.py::function`) that no longer hold in lesson `number`."""
        return frozenset(ended.check for lesson in self.up_to(number) for ended in lesson.ends)


def load(root: Path = ROOT) -> Course:
    """Read `root`/lessons/course.toml.

    Raises `CourseError` where the file is missing, is not TOML, or lacks what a lesson needs.
    """
    path = root / "lessons" / "course.toml"
    try:
        data = tomllib.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise CourseError(f"{path} cannot be read: {error}") from error
    try:
        typed(data, {"lesson": list}, {"mistake": list, "after": str}, "The course")
        lessons = tuple(_inheriting(_lesson(root, entry) for entry in data["lesson"]))
        numbers = [lesson.number for lesson in lessons]
        if len(set(numbers)) < len(numbers):
            raise ValueError("two lessons have the same number.")
        mistakes = tuple(_mistake(entry) for entry in data.get("mistake", ()))
    except ValueError as error:
        raise CourseError(f"{path}: {error}") from error
    return Course(root, lessons, mistakes, data.get("after", ""))


def _inheriting(lessons: Iterable[Lesson]) -> Iterator[Lesson]:
    """Give the lessons in order, each with the way to prepare that holds for it."""
    prepare = None
    for lesson in sorted(lessons, key=lambda lesson: lesson.number):
        prepare = lesson.prepare or prepare
        yield replace(lesson, prepare=prepare)


def _lesson(root: Path, entry: Any) -> Lesson:
    """Read a lesson; raise `ValueError` where something of it is missing, misspelt or misplaced."""
    who = f"lesson {entry.get('number', '')}".rstrip() if isinstance(entry, dict) else "lesson"
    found = typed(entry, _LESSON, _LESSON_MAY, who)
    for name in ("serve", "serve_on_port"):
        try:
            found.get(name, "").format(port=5000)
        except (LookupError, ValueError):
            raise ValueError(f"{who}: {name} may have {{port}} in braces, and no more.") from None
    tasks, ends = found.pop("task"), found.pop("ends", [])
    for name in ("imports", "given"):
        found[name] = tuple(found.get(name, ()))
    return Lesson(
        root=root,
        **{"serve_on_port": None, "prepare": None} | found,
        ends=tuple(Ended(**typed(each, _ENDS, {}, f"{who}, ends")) for each in ends),
        tasks=tuple(_task(each, found["number"], who) for each in tasks),
    )


def _task(entry: Any, number: int, who: str) -> Task:
    who = f"task {entry.get('id', '')}".rstrip() if isinstance(entry, dict) else f"{who}, task"
    found = typed(entry, _TASK, {}, who)
    before, _, after = found["id"].partition(".")
    if before != str(number) or not after.isdecimal():
        raise ValueError(f"{who}: the id of a task of lesson {number} is like {number}.1.")
    return Task(found["id"], found["title"], tuple(found["hints"]), found["checks"])


def _mistake(entry: Any) -> Mistake:
    found = typed(entry, {"mend": str}, {"says": str, "finds": str}, "A mistake")
    if len(found) != 2:
        raise ValueError(f"A mistake has says, or finds. This is not so: {found['mend']}")
    return Mistake(**found)


_LESSON: dict[str, type] = {
    "number": int, "folder": str, "title": str, "adds": str, "pain": str, "taught": str,
    "edit": str, "serve": str, "imports": list, "task": list,
}  # fmt: skip
_LESSON_MAY: dict[str, type] = {"serve_on_port": str, "prepare": str, "given": list, "ends": list}
_ENDS: dict[str, type] = {"check": str, "why": str}
_TASK: dict[str, type] = {"id": str, "title": str, "hints": list, "checks": dict}
