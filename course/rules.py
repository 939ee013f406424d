"""What an instructor has decided: which lessons count, how many points, what is late."""

from __future__ import annotations

import csv
import math
import tomllib
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from course.catalog import Course, Lesson
from course.errors import CourseError

EARLIER = "earlier"
"""The name of the task that every earlier lesson's tasks still pass."""


@dataclass(frozen=True)
class Late:
    """What a late submission loses: after `days` free ones, so many percent for each day begun."""

    due: datetime
    days: int
    percent: float
    times: dict[str, datetime]

    def lost(self, name: str) -> float | None:
        """Return the share of its points that a submission loses; None if its time is unknown."""
        if name not in self.times:
            return None
        seconds = (self.times[name] - self.due).total_seconds()
        return min(max(math.ceil(seconds / 86400) - self.days, 0) * self.percent / 100, 1.0)


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


def load(path: Path | None, course: Course) -> Rules:
    """Read the rules from a TOML file; without one, a task is a point and nothing is late.

    Raises `CourseError` where the file cannot be read or says what no rules can.
    """
    if path is None:
        return Rules()
    try:
        data = tomllib.loads(path.read_text("utf-8"))
        return _rules(data, path, course)
    except OSError as error:
        raise CourseError(f"{path} cannot be read: {error.strerror}.") from error
    except (ValueError, KeyError, TypeError) as error:
        raise CourseError(f"{path}: {error}") from error


def _rules(data: dict[str, Any], path: Path, course: Course) -> Rules:
    _only(data, {"lessons", EARLIER, "points", "late"}, "The rules")
    lessons = tuple(
        course.lesson(_whole(number, "A lesson")).number for number in data.get("lessons", ())
    )
    earlier = data.get(EARLIER, True)
    if not isinstance(earlier, bool):
        raise ValueError(f"earlier is true or false, not {earlier!r}.")
    given = data.get("points", {})
    tasks = {task.id for lesson in course.lessons for task in lesson.tasks}
    tasks |= {f"{lesson.number}.{EARLIER}" for lesson in course.lessons[1:]}
    _only(given, tasks | {"default", EARLIER}, "points")
    points = {name: _number(value, f"points {name}") for name, value in given.items()}
    return Rules(lessons, earlier, points, _late(data["late"], path) if "late" in data else None)


def _late(data: dict[str, Any], path: Path) -> Late:
    _only(data, {"due", "free_days", "percent_a_day", "submitted"}, "late")
    for name in ("due", "percent_a_day", "submitted"):
        if name not in data:
            raise ValueError(f"late needs {name}.")
    if not isinstance(data["due"], datetime):
        raise ValueError("late.due is a date with a time, such as 2026-11-22T23:59:00+01:00.")
    days = _whole(data.get("free_days", 0), "free_days")
    times = _times(path.parent / str(data["submitted"]))
    return Late(_aware(data["due"]), days, _number(data["percent_a_day"], "percent_a_day"), times)


def _times(path: Path) -> dict[str, datetime]:
    """Read when each submission came: a CSV file with the columns `submission` and `submitted`."""
    times = {}
    with path.open(encoding="utf-8-sig", newline="") as file:
        for number, row in enumerate(csv.DictReader(file), 2):
            try:
                times[row["submission"]] = _aware(datetime.fromisoformat(row["submitted"].strip()))
            except (KeyError, AttributeError, ValueError, TypeError):
                raise ValueError(
                    f"{path}, line {number}: it needs the columns submission and submitted, with a "
                    "time such as 2026-11-22T20:15:00+01:00."
                ) from None
    return times


def _aware(time: datetime) -> datetime:
    """Return a time with its zone: UTC, where it names none."""
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def _only(data: Any, names: set[str], what: str) -> None:
    if not isinstance(data, dict):
        raise ValueError(f"{what} is no table.")
    for name in data:
        if name not in names:
            raise ValueError(f"{what}: there is no {name!r}.")


def _number(value: Any, what: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e6:
        raise ValueError(f"{what} is a number from 0 up, not {value!r}.")
    return float(value)


def _whole(value: Any, what: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError(f"{what} is a whole number from 0 up, not {value!r}.")
    return value
