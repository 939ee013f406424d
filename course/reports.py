"""What an instructor gets of a grading: tables for programs, and a page to read."""

from __future__ import annotations

import base64
import csv
import hashlib
import json
import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader
from markupsafe import Markup

from course import diffs
from course.catalog import Course
from course.console import MARKS, some
from course.errors import CourseError
from course.grading import GRADED, UNREADABLE, Grade, LessonGrade, file_name
from course.rules import EARLIER, Rules
from course.snapshot import take
from course.submissions import without_end
from course.verdicts import CRASHED, NOT_ATTEMPTED, PASSED, STATES, Verdict

_NOT_PLAIN = re.compile(r"[^ -~\n\t]")
_MARKS = {state: MARKS[state][0] for state in STATES} | {CRASHED: "↯", UNREADABLE: "?"}
"""Each state's own mark: in the table, nothing but the mark tells two of them apart."""


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
    graded: datetime = field(default_factory=lambda: datetime.now(UTC))

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
        return round(sum(column.points for column in self.columns), 2)

    def state(self, grade: Grade, column: Column) -> str:
        """Return how a task of a submission stands; what was not handed in is not attempted."""
        if grade.state == UNREADABLE:
            return UNREADABLE
        verdict = grade.task(column.id)
        return verdict.state if verdict else NOT_ATTEMPTED

    def points(self, grade: Grade) -> float:
        """Return the points of a submission, before anything is lost by being late."""
        passed = (c.points for c in self.columns if self.state(grade, c) == PASSED)
        return round(sum(passed), 2)

    def late(self, grade: Grade) -> str:
        """Say what being late costs a submission."""
        if self.rules.late is None:
            return ""
        days, lost = self.rules.late.days(grade.name), self.rules.late.lost(grade.name)
        if days is None:
            return "time unknown"
        return f"-{_number(100 * lost)} %" if lost else f"{_days(days)}, free" if days else ""

    def mark(self, grade: Grade) -> str:
        """Say how the score of a submission comes about."""
        score, late = _number(self.score(grade)), self.rules.late
        said = f"{score} of {_number(self.most)} points."
        days, lost = (late.days(grade.name), late.lost(grade.name)) if late else (None, None)
        if not late or not days or not lost:
            return said
        after = f" after {late.free} free day{'s' * (late.free != 1)}" if late.free else ""
        return (
            f"{said} {_number(self.points(grade))} points, {_days(days - late.free)} late{after}: "
            f"\N{MINUS SIGN}{_number(100 * lost)} %, so {score}."
        )

    def earned(self, verdict: Verdict) -> str:
        """Say how many points of how many a task has brought."""
        points = self.rules.points_for(verdict.id)
        return f"{_number(points if verdict.state == PASSED else 0)} of {_number(points)}"

    def missing(self, grade: Grade) -> list[int]:
        """Return the lessons that count and that a submission, if it can be read, lacks."""
        if grade.state == UNREADABLE:
            return []
        here = {lesson.number for lesson in grade.lessons}
        return sorted({column.lesson for column in self.columns} - here)

    @property
    def timeless(self) -> list[str]:
        """The submissions of which nobody knows when they came."""
        late = self.rules.late
        return [each.name for each in self.grades if late and late.days(each.name) is None]

    @property
    def unfinished(self) -> list[str]:
        """The submissions that something kept from being checked to the end."""
        return [each.name for each in self.grades if not each.key and each.state != UNREADABLE]

    def doubts(self) -> list[str]:
        """Say what is to be looked at: who has a note, or is there twice, or has no time."""
        late, said = self.rules.late, []
        if late and late.others:
            said.append(f"No submission has these names in {late.table.name}: {some(late.others)}.")
        if late and self.timeless:
            have = f"{len(self.timeless)} submissions have"
            have = "1 submission has" if len(self.timeless) == 1 else have
            said.append(f"{have} no time in {late.table.name}: {some(self.timeless)}.")
        if again := self.unfinished:
            said.append(f"Not checked to the end, and graded again the next time: {some(again)}.")
        noted = [each.name for each in self.grades if each.notes and each.state == GRADED]
        if noted:
            said.append(f"With a note in the report: {some(noted)}.")
        names = Counter(without_end(each.name) for each in self.grades)
        twice = [each.name for each in self.grades if names[without_end(each.name)] > 1]
        if twice:
            said.append(f"Handed in more than once, and all graded: {some(twice)}.")
        return said

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


def _number(number: float) -> str:
    """Return a number as all tables and sentences have it: 17.5, and 18 for 18.0."""
    return f"{number:.10g}"


def _days(number: int) -> str:
    return f"{number} day{'s' * (number != 1)}"


def summary(lesson: LessonGrade) -> str:
    """Say how many of a lesson's own tasks pass, and apart from them how the earlier ones stand."""
    own = [task for task in lesson.tasks if not task.id.endswith(EARLIER)]
    said = f"{sum(task.state == PASSED for task in own)} of {len(own)} tasks pass"
    before = [task.state for task in lesson.tasks if task.id.endswith(EARLIER)]
    return f"{said}; the earlier lessons' tasks: {before[0]}" if before else said


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
        _clear(scores, {file_name(grade.name) for grade in report.grades})
        for grade in report.grades:
            file = scores / file_name(grade.name) / "results.json"
            file.parent.mkdir(exist_ok=True)
            file.write_text(json.dumps(_gradescope(report, grade), indent=1) + "\n", "utf-8")
    except OSError as error:
        raise CourseError(f"{folder} cannot be written: {error.strerror}.") from error
    return paths


def _clear(scores: Path, names: set[str]) -> None:
    """Delete the results of those who are not of this class any more, and nothing else.

    What is kept of their grading may stay: it is used only for the same submission.
    """
    for file in scores.glob("*/results.json"):
        if file.parent.name not in names:
            file.unlink()
            with suppress(OSError):  # what else is in it is not ours
                file.parent.rmdir()


def _write_table(report: Report, file: Path) -> None:
    ids = [column.id for column in report.columns]
    # Excel takes a CSV file for UTF-8 only if it begins with a byte order mark.
    with file.open("w", encoding="utf-8-sig", errors="replace", newline="") as opened:
        # Quoted, a name is one cell also where a spreadsheet splits lines at something else.
        table = csv.writer(opened, quoting=csv.QUOTE_ALL)
        table.writerow(["submission", "state", *ids, "points", "late", "score", "of"])
        for grade in report.grades:
            states = [report.state(grade, column) for column in report.columns]
            points, score, most = map(
                _number, (report.points(grade), report.score(grade), report.most)
            )
            ends = [points, report.late(grade), score, most]
            table.writerow([_inert(grade.name), grade.state, *states, *ends])


def _inert(text: str) -> str:
    """Keep a spreadsheet from taking a name for a formula (OWASP: CSV injection)."""
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text


def _data(report: Report) -> dict[str, Any]:
    return {
        "isolated": not report.isolation,
        "rules": str(report.rules.path) if report.rules.path else None,
        "graded": report.graded.isoformat(timespec="seconds"),
        "not_submitted": list(report.rules.late.others) if report.rules.late else [],
        "time_unknown": report.timeless,
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


def _shown(diff: str) -> str:
    """Return a diff without the names that git gives to contents."""
    return re.sub(r"^index .*\n", "", diff, flags=re.MULTILINE)


def _visible(value: Any) -> Any:
    """Return a text with an escape, such as \\x1b, for what would be shown otherwise than it is.

    Some characters turn round what follows them, or are not to be seen. Wide spaces may stay.
    """
    if not isinstance(value, str) or isinstance(value, Markup):  # Markup is our own
        return value
    return _NOT_PLAIN.sub(_escape, value.replace("\r\n", "\n"))


def _escape(match: re.Match[str]) -> str:
    character = match[0]
    if character.isprintable() or unicodedata.category(character) == "Zs":
        return character
    return character.encode("unicode_escape").decode()


def _page(report: Report) -> str:
    """Return the page: what students wrote in it is text, whatever it looks like."""
    templates = Path(__file__).parent
    environment = Environment(
        loader=FileSystemLoader(templates), autoescape=True, trim_blocks=True, finalize=_visible
    )
    environment.filters |= {"number": _number, "diff": _shown, "summary": summary}
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
        marks=_MARKS,
        script=script,
        style=style,
        script_hash=_hash(script),
        style_hash=_hash(style),
    )


def _hash(text: str) -> str:
    """Return the name under which a Content-Security-Policy allows an inline script or style."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
