"""An instructor's rules: what counts, how much, and what is late."""

from __future__ import annotations

from pathlib import Path

import pytest

from course.catalog import Course
from course.errors import CourseError
from course.grading import Grade, LessonGrade
from course.reports import Report
from course.rules import Rules, load
from course.verdicts import FAILED, NOT_ATTEMPTED, PASSED, Verdict

RULES = """
lessons = [1]

[points]
default = 2
earlier = 5
"1.6" = 10

[late]
due = 2026-11-22T20:00:00+01:00
free_days = 1
percent_a_day = 25
submitted = "times.csv"
"""

TIMES = """\
submission,submitted
in time,2026-11-22T19:59:59+01:00
a free day,2026-11-23T20:00:00+01:00
a second more,2026-11-23T20:00:01+01:00
in another zone,2026-11-23T19:00:01+00:00
two days more,2026-11-25T19:00:00
a year,2027-11-22
"""


@pytest.fixture
def rules(course: Course, tmp_path: Path) -> Rules:
    (tmp_path / "times.csv").write_text(TIMES, "utf-8")
    (tmp_path / "rules.toml").write_text(RULES, "utf-8")
    return load(tmp_path / "rules.toml", course)


def grade(course: Course, name: str, failed: str = "") -> Grade:
    tasks = [
        Verdict(task.id, task.title, FAILED if task.id == failed else PASSED, "", 0)
        for task in course.lesson(1).tasks
    ]
    tasks.append(Verdict("1.earlier", "Earlier", PASSED, "", 0))
    return Grade(name, lessons=[LessonGrade(1, tasks)])


@pytest.mark.parametrize(
    ("name", "share"),
    [
        ("in time", 1),
        ("a free day", 1),
        ("a second more", 0.75),
        ("in another zone", 0.75),
        ("two days more", 0.5),
        ("a year", 0),
        ("not in the list", 1),
    ],
)
def test_points_and_late_days(name: str, share: float, rules: Rules, course: Course) -> None:
    report = Report(course, rules, [grade(course, name)], "")
    assert report.most == 5 * 2 + 10 + 5
    assert report.points(report.grades[0]) == report.most
    assert report.score(report.grades[0]) == report.most * share
    assert (report.late(report.grades[0]) == "time unknown") == (name == "not in the list")


def test_a_failed_task_costs_its_own_points(rules: Rules, course: Course) -> None:
    report = Report(course, rules, [grade(course, "in time", failed="1.6")], "")
    assert report.score(report.grades[0]) == report.most - 10


def test_a_lesson_that_is_not_there_is_not_attempted(rules: Rules, course: Course) -> None:
    report = Report(course, rules, [Grade("in time")], "")
    assert {report.state(report.grades[0], each) for each in report.columns} == {NOT_ATTEMPTED}
    assert report.score(report.grades[0]) == 0


def test_items_say_what_most_were_told(rules: Rules, course: Course) -> None:
    grades = [grade(course, name, failed="1.2") for name in "abc"] + [grade(course, "d")]
    for number, each in enumerate(grades[:3]):
        (lesson,) = each.lessons
        said = f"GET /todos/{1000 + number}: expected one thing, got another."
        lesson.tasks[1] = Verdict("1.2", "Two", FAILED, f"{said}\napp.py, line {number}", 0)
    item = Report(course, rules, grades, "").items()[1]
    assert (item.percent, item.states[FAILED], item.by) == (25, 3, 3)
    assert item.commonest == "GET /todos/…: expected one thing, got another."


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("lessons = [99]", "There is no lesson 99"),
        ('lessons = ["1"]', "A lesson is a whole number"),
        ("lesson = [1]", "there is no 'lesson'"),
        ("earlier = 1", "earlier is true or false"),
        ('[points]\n"1.99" = 2', "there is no '1.99'"),
        ("[points]\ndefault = -1", "a number from 0 up"),
        ("[points]\ndefault = nan", "a number from 0 up"),
        ("points = 3", "points is no table"),
        ("[late]\ndue = 2026-11-22T20:00:00Z", "late needs percent_a_day"),
        ('[late]\ndue = 2026-11-22\npercent_a_day = 1\nsubmitted = "t.csv"', "with a time"),
        (
            '[late]\ndue = 2026-11-22T20:00:00Z\npercent_a_day = 1\nsubmitted = "none.csv"',
            "cannot be read",
        ),
        (
            '[late]\ndue = 2026-11-22T20:00:00Z\npercent_a_day = 1\nsubmitted = "bad.csv"',
            "bad.csv, line 2: it needs the columns",
        ),
        ("lessons = [", "rules.toml"),
    ],
)
def test_what_no_rules_can_say(text: str, says: str, course: Course, tmp_path: Path) -> None:
    (tmp_path / "bad.csv").write_text("submission,submitted\nada,yesterday\n", "utf-8")
    (tmp_path / "rules.toml").write_text(text, "utf-8")
    with pytest.raises(CourseError) as raised:
        load(tmp_path / "rules.toml", course)
    assert says in str(raised.value)
