"""What an instructor gets of a grading: tables for programs, and a page to read."""

from __future__ import annotations

import base64
import csv
import hashlib
import json
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader
from markupsafe import Markup

from course import diffs
from course.catalog import Course
from course.console import MARKS
from course.errors import CourseError
from course.grading import UNREADABLE, Grade, file_name
from course.rules import Rules
from course.snapshot import take
from course.verdicts import NOT_ATTEMPTED, PASSED, STATES, Verdict


@dataclass(frozen=True)
class Column:
    """One task of the class's table."""

    lesson: int
    id: str
    title: str
    points: float


@dataclass
class Item:
    """How a class did on one task."""

    column: Column
    states: Counter[str]
    commonest: str
    """What those who did not pass were told most often."""
    by: int

    @property
    def percent(self) -> int:
        """How many of a hundred passed."""
        return round(100 * self.states[PASSED] / max(self.states.total(), 1))


@dataclass
class Report:
    """The grades of a class. `isolation` says why nothing was isolated, where that is so."""

    course: Course
    rules: Rules
    grades: Sequence[Grade]
    isolation: str

    @cached_property
    def columns(self) -> list[Column]:
        """The tasks of every lesson that counts."""
        numbers = self.rules.lessons or {
            lesson.number for grade in self.grades for lesson in grade.lessons
        }
        columns = []
        for number in sorted(numbers):
            tasks = self.rules.tasks(self.course, self.course.lesson(number))
            columns += [
                Column(number, id_, title, self.rules.points_for(id_)) for id_, title in tasks
            ]
        return columns

    @property
    def most(self) -> float:
        """The points of someone who has done everything."""
        return sum(column.points for column in self.columns)

    def state(self, grade: Grade, column: Column) -> str:
        """Return how a task of a submission stands; what was not handed in is not attempted."""
        if grade.state == UNREADABLE:
            return UNREADABLE
        verdict = grade.task(column.id)
        return verdict.state if verdict else NOT_ATTEMPTED

    def points(self, grade: Grade) -> float:
        """Return the points of a submission, before anything is lost by being late."""
        passed = (c.points for c in self.columns if self.state(grade, c) == PASSED)
        return sum(passed)

    def late(self, grade: Grade) -> str:
        """Say what being late costs a submission."""
        if self.rules.late is None:
            return ""
        lost = self.rules.late.lost(grade.name)
        return "time unknown" if lost is None else f"-{100 * lost:g} %" if lost else ""

    def score(self, grade: Grade) -> float:
        """Return what a submission gets in the end."""
        lost = self.rules.late.lost(grade.name) if self.rules.late else 0
        return round(self.points(grade) * (1 - (lost or 0)), 2)

    def items(self) -> list[Item]:
        """Return how the class did, task by task."""
        return [self._item(column) for column in self.columns]

    def _item(self, column: Column) -> Item:
        states = Counter(self.state(grade, column) for grade in self.grades)
        verdicts = [grade.task(column.id) for grade in self.grades]
        said = Counter(
            _kind_of(verdict) for verdict in verdicts
            if verdict and verdict.state not in (PASSED, NOT_ATTEMPTED)
        )  # fmt: skip
        commonest, by = said.most_common(1)[0] if said else ("", 0)
        return Item(column, states, commonest, by)


def _kind_of(verdict: Verdict) -> str:
    """Return what a verdict says without what differs from one student to the next."""
    first = verdict.message.partition("\n")[0]
    return re.sub(r"0x[0-9a-f]+|\d{4,}", "…", first)[:300]


def write(report: Report, folder: Path) -> list[Path]:
    """Write all files of a report below `folder`; return those to look at first.

    Raises `CourseError` where they cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        paths = [folder / name for name in ("report.html", "grades.csv", "grades.json")]
        page, table, data = paths
        page.write_text(_page(report), "utf-8", errors="replace")
        _write_table(report, table)
        data.write_text(json.dumps(_data(report), indent=1) + "\n", "utf-8")
        scores = folder / "gradescope"
        scores.mkdir(exist_ok=True)
        for grade in report.grades:
            file = scores / file_name(grade.name) / "results.json"
            file.parent.mkdir(exist_ok=True)
            file.write_text(json.dumps(_gradescope(report, grade), indent=1) + "\n", "utf-8")
    except OSError as error:
        raise CourseError(f"{folder} cannot be written: {error.strerror}.") from error
    return paths


def _write_table(report: Report, file: Path) -> None:
    ids = [column.id for column in report.columns]
    with file.open("w", encoding="utf-8", errors="replace", newline="") as opened:
        table = csv.writer(opened)
        table.writerow(["submission", "state", *ids, "points", "late", "score", "of"])
        for grade in report.grades:
            states = [report.state(grade, column) for column in report.columns]
            ends = [report.points(grade), report.late(grade), report.score(grade), report.most]
            table.writerow([_inert(grade.name), grade.state, *states, *ends])


def _inert(text: str) -> str:
    """Keep a spreadsheet from taking a name for a formula (OWASP: CSV injection)."""
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text


def _data(report: Report) -> dict[str, Any]:
    return {
        "isolated": not report.isolation,
        "points": {column.id: column.points for column in report.columns},
        "submissions": [
            {
                "name": grade.name,
                "state": grade.state,
                "notes": grade.notes,
                "points": report.points(grade),
                "late": report.late(grade),
                "score": report.score(grade),
                "lessons": [
                    {
                        "lesson": lesson.number,
                        "tasks": [asdict(task) for task in lesson.tasks],
                    }
                    for lesson in grade.lessons
                ],
            }
            for grade in report.grades
        ],
    }


def _gradescope(report: Report, grade: Grade) -> dict[str, Any]:
    """Return one submission's results in the form that Gradescope reads.

    https://gradescope-autograders.readthedocs.io/en/latest/specs/
    """
    tests = []
    for column in report.columns:
        verdict = grade.task(column.id)
        state = report.state(grade, column)
        tests.append(
            {
                "number": column.id,
                "name": column.title,
                "score": column.points if state == PASSED else 0,
                "max_score": column.points,
                "status": "passed" if state == PASSED else "failed",
                "output": verdict.message if verdict and verdict.message else state,
                "output_format": "text",
                "visibility": "visible",
            }
        )
    said = [*grade.notes, f"Late: {late}." if (late := report.late(grade)) else ""]
    return {
        "score": report.score(grade),
        "output": "\n".join(filter(None, said)),
        "output_format": "text",
        "visibility": "visible",
        "tests": tests,
    }


def _page(report: Report) -> str:
    """Return the page: what students wrote in it is text, whatever it looks like."""
    templates = Path(__file__).parent
    environment = Environment(loader=FileSystemLoader(templates), autoescape=True, trim_blocks=True)
    script, style = (
        Markup((templates / f"report.{end}").read_text("utf-8")) for end in ("js", "css")
    )
    numbers = sorted({column.lesson for column in report.columns})
    lessons = [report.course.lesson(number) for number in numbers]
    solutions = {
        each.number: diffs.changes(take(each.starter), take(each.solution)) for each in lessons
    }
    return environment.get_template("report.html").render(
        report=report,
        lessons=lessons,
        items=report.items(),
        solutions=solutions,
        marks={state: MARKS[state][0] for state in STATES} | {UNREADABLE: "!"},
        script=script,
        style=style,
        script_hash=_hash(script),
        style_hash=_hash(style),
    )


def _hash(text: str) -> str:
    """Return the name under which a Content-Security-Policy allows an inline script or style."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
