"""What an instructor has decided: which lessons count, how many points, what is late."""

from __future__ import annotations

import csv
import math
import tomllib
import unicodedata
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from pathlib import Path
from typing import Any

from course.catalog import Course, Lesson
from course.errors import CourseError
from course.submissions import without_end
from course.tables import only

EARLIER = "earlier"
"""The name of the task that every earlier lesson's tasks still pass."""


@dataclass(frozen=True)
class Late:
    """What a late submission loses: after `free` days, so many percent for each day begun."""

    due: datetime
    free: int
    percent: float
    table: Path
    """The file that says when each submission came."""
    times: dict[str, datetime]
    others: tuple[str, ...] = ()
    """The names in the table that no submission has."""

    def days(self, name: str) -> int | None:
        """Return how many days late a submission is, begun ones too; None: its time is unknown."""
        if name not in self.times:
            return None
        return max(math.ceil((self.times[name] - self.due).total_seconds() / 86400), 0)

    def lost(self, name: str) -> float | None:
        """Return the share of its points that a submission loses; None if its time is unknown."""
        days = self.days(name)
        return None if days is None else min(max(days - self.free, 0) * self.percent / 100, 1.0)


@dataclass(frozen=True)
class Rules:
    """The rules of one grading."""

    lessons: tuple[int, ...] = ()
    """The lessons that count; every one that a submission holds, where none is named."""
    earlier: bool = True
    """Whether the tasks of the lessons before are checked again in each."""
    points: dict[str, float] = field(default_factory=dict)
    """Points a task, by its id; `default` for the others, `earlier` for that one of each lesson."""
    late: Late | None = None
    path: Path | None = None
    """The file that they are from."""

    @property
    def source(self) -> str:
        """Say which rules these are."""
        if self.path is None:
            return "No rules file: a point a task, nothing is late."
        return f"Rules: {self.path}"

    def checks_earlier(self, course: Course, lesson: Lesson) -> bool:
        """Tell whether the tasks of the lessons before are checked again in a lesson."""
        return self.earlier and lesson.number > course.lessons[0].number

    def tasks(self, course: Course, lesson: Lesson) -> list[tuple[str, str]]:
        """Return the id and the title of each task of a lesson; the last is of the earlier ones."""
        tasks = [(task.id, task.title) for task in lesson.tasks]
        if self.checks_earlier(course, lesson):
            tasks.append((f"{lesson.number}.{EARLIER}", "The earlier lessons' tasks still pass"))
        return tasks

    def points_for(self, task: str) -> float:
        """Return the points of a task; `3.earlier` is the one that lessons 0 to 2 still pass."""
        if task in self.points:
            return self.points[task]
        kind = EARLIER if task.endswith(EARLIER) else "default"
        return self.points.get(kind, 1.0)


def load(path: Path | None, course: Course, names: Collection[str] = ()) -> Rules:
    """Read the rules from a TOML file; without one, a task is a point and nothing is late.

    `names` are the submissions', which the table of times is for. Raises `CourseError` where a
    file cannot be read or says what no rules can.
    """
    if path is None:
        return Rules()
    try:
        data = tomllib.loads(path.read_text("utf-8-sig"))
    except OSError as error:
        raise CourseError(f"{path} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise CourseError(f"{path} is no TOML file: it is no text in UTF-8.") from error
    except (ValueError, RecursionError) as error:
        raise CourseError(f"{path} is no TOML file: {error}.") from error
    try:
        return _rules(data, path, course, names)
    except ValueError as error:
        raise CourseError(f"{path}: {error}") from error


def _rules(data: dict[str, Any], path: Path, course: Course, names: Collection[str]) -> Rules:
    only(data, {"lessons", EARLIER, "points", "late"}, "The rules")
    lessons = _lessons(data["lessons"], course) if "lessons" in data else ()
    earlier = data.get(EARLIER, True)
    if not isinstance(earlier, bool):
        raise ValueError(f"earlier is true or false, not {earlier!r}.")
    points = _points(data.get("points", {}), lessons, course)
    for name in points:
        if name.endswith(EARLIER) and not earlier:
            raise ValueError(f"points: {name!r} is never given, because earlier is false.")
    late = _late(data["late"], path, names) if "late" in data else None
    return Rules(lessons, earlier, points, late, path)


def _lessons(given: Any, course: Course) -> tuple[int, ...]:
    if not isinstance(given, list):
        raise ValueError("lessons is a list, such as [1].")
    if not given:
        raise ValueError("lessons is empty: leave the line out, and all that is handed in counts.")
    lessons = tuple(course.lesson(_whole(number, "A lesson")).number for number in given)
    if len(set(lessons)) < len(lessons):
        raise ValueError("lessons names a lesson twice.")
    return lessons


def _points(given: Any, lessons: tuple[int, ...], course: Course) -> dict[str, float]:
    for name, value in given.items() if isinstance(given, dict) else ():
        if isinstance(value, dict) and value:  # what TOML makes of a dot that is not in quotes
            id_ = f"{name}.{next(iter(value))}"
            raise ValueError(f'points: write {id_} in quotes, "{id_}".')
    tasks = {task.id for lesson in course.lessons for task in lesson.tasks}
    tasks |= {f"{lesson.number}.{EARLIER}" for lesson in course.lessons[1:]}
    only(given, tasks | {"default", EARLIER}, "points")
    for name in given:
        if lessons and name in tasks and int(name.partition(".")[0]) not in lessons:
            raise ValueError(f"points: {name!r} is of a lesson that lessons does not name.")
    points = {name: _number(value, f"points {name}") for name, value in given.items()}
    for name, value in points.items():
        if round(value, 2) != value:  # scores are rounded so: one would be more than all points
            raise ValueError(f"points {name} has two decimals at most, not {value!r}.")
    return points


def _late(data: Any, path: Path, names: Collection[str]) -> Late:
    only(data, {"due", "free_days", "percent_a_day", "submitted"}, "late")
    for name in ("due", "percent_a_day", "submitted"):
        if name not in data:
            raise ValueError(f"late needs {name}.")
    due = data["due"]
    if not isinstance(due, datetime) or due.tzinfo is None:
        raise ValueError("late.due has a time and a zone, such as 2026-11-22T23:59:00+01:00.")
    free = _whole(data.get("free_days", 0), "free_days")
    percent = _number(data["percent_a_day"], "percent_a_day")
    if percent > 100:
        raise ValueError(f"percent_a_day is at most 100, not {percent:g}.")
    table = path.parent / str(data["submitted"])
    try:
        times, others = _times(table, names, due.tzinfo)
    except FileNotFoundError:
        raise CourseError(
            f"{path} names the table {data['submitted']}, and {table.resolve()} is not there."
        ) from None
    except OSError as error:
        raise CourseError(f"{table} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise CourseError(f"{table} is no text in UTF-8: save it as CSV UTF-8.") from error
    return Late(due, free, percent, table, times, others)


def _times(
    table: Path, names: Collection[str], zone: tzinfo | None
) -> tuple[dict[str, datetime], tuple[str, ...]]:
    """Read when each submission came, in `zone` where a row names none, and which rows are of none.

    A row has a submission's name, or that of its file: of `ada` and `ada.zip`, both can be there.
    """
    known = {_composed(name): name for name in names}
    times, others, lines = {}, [], dict[str, int]()
    with table.open(encoding="utf-8-sig", newline="") as file:
        rows = csv.DictReader(file)
        try:
            _needs_columns(table, rows.fieldnames or ())
            for row in rows:
                where = f"{table}, line {rows.line_num}"
                given = (row["submission"] or "").strip()
                if not given:  # a spreadsheet's empty rows
                    continue
                alike = _composed(given)
                name = known.get(alike) or known.get(without_end(alike)) or without_end(given)
                if name in lines:
                    raise CourseError(f"{where}: {given!r} has a row already, line {lines[name]}.")
                lines[name] = rows.line_num
                if said := (row["submitted"] or "").strip():
                    times[name] = _time(said, where, zone)
                if name not in names:
                    others.append(given)
        except csv.Error as error:
            raise CourseError(f"{table} is no CSV file: {error}.") from error
    return times, tuple(others)


def _needs_columns(table: Path, names: Collection[str]) -> None:
    if not {"submission", "submitted"} <= set(names):
        has = f"the columns {', '.join(map(repr, names))}" if names else "no columns"
        raise CourseError(f"{table}, line 1: it has {has}; it needs submission and submitted.")


def _composed(name: str) -> str:
    """Return a name as all machines write it: ö may be one character or, as on a Mac, two."""
    return unicodedata.normalize("NFC", name)


def _time(said: str, where: str, zone: tzinfo | None) -> datetime:
    try:
        time = datetime.fromisoformat(said)
    except ValueError:
        sentence = f"{where}: {said!r} is no time such as 2026-11-22T20:15:00+01:00."
        raise CourseError(sentence) from None
    return time if time.tzinfo else time.replace(tzinfo=zone)


def _number(value: Any, what: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e6:
        raise ValueError(f"{what} is a number from 0 up, not {value!r}.")
    return float(value)


def _whole(value: Any, what: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError(f"{what} is a whole number from 0 up, not {value!r}.")
    return value
