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
two days more,2026-11-25T20:00:00
three and no zone,2026-11-25T20:00:01
Jo\u0308rg.zip,2026-11-24T20:00:00
a year,2027-11-22
FAY,2026-11-22T18:00:00Z
packed.tar.gz,2026-11-24T18:00:00Z
no time,
,
,
"""
NAMES = ["in time", "a year", "packed", "no time", "not in the list", "J\xf6rg"]
LATE = '[late]\ndue = 2026-11-22T20:00:00Z\npercent_a_day = {}\nsubmitted = "{}"'


@pytest.fixture
def rules(course: Course, tmp_path: Path) -> Rules:
    (tmp_path / "times.csv").write_text(TIMES, "utf-8")
    (tmp_path / "rules.toml").write_text(RULES, "utf-8-sig")  # as Windows' editor saves it
    return load(tmp_path / "rules.toml", course, NAMES)


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
        ("three and no zone", 0.25),
        ("J\xf6rg", 0.75),
        ("a year", 0),
        ("packed", 0.75),
        ("no time", 1),
        ("not in the list", 1),
    ],
)
def test_points_and_late_days(name: str, share: float, rules: Rules, course: Course) -> None:
    report = Report(course, rules, [grade(course, name)], "")
    assert report.most == 5 * 2 + 10 + 5
    assert report.points(report.grades[0]) == report.most
    assert report.score(report.grades[0]) == report.most * share
    unknown = name in ("no time", "not in the list")
    assert (report.late(report.grades[0]) == "time unknown") == unknown


def test_a_row_is_of_the_submission_or_of_its_file(course: Course, tmp_path: Path) -> None:
    (tmp_path / "rules.toml").write_text(LATE.format(10, "times.csv"), "utf-8")
    rows = "ada.tar.gz,2026-11-22\nada.zip,2026-11-24\nfay.zip,2026-11-22\nGUS,2026-11-22\n"
    (tmp_path / "times.csv").write_text(f"submission,submitted\n{rows}", "utf-8")
    late = load(tmp_path / "rules.toml", course, ["ada", "ada.zip", "fay", "gus"]).late
    assert late
    assert [late.days(name) for name in ("ada", "ada.zip", "fay", "gus")] == [0, 2, 0, None]
    assert late.others == ("GUS",)


def test_a_failed_task_costs_its_own_points(rules: Rules, course: Course) -> None:
    report = Report(course, rules, [grade(course, "in time", failed="1.6")], "")
    assert report.score(report.grades[0]) == report.most - 10


def test_hundredths_add_up(course: Course, tmp_path: Path) -> None:
    """In binary fractions, added up one by one, six times 0.07 is a little more than 0.42."""
    (tmp_path / "rules.toml").write_text("lessons = [1]\n[points]\ndefault = 0.07\nearlier = 0")
    report = Report(course, load(tmp_path / "rules.toml", course), [grade(course, "ada")], "")
    assert report.most == report.points(report.grades[0]) == report.score(report.grades[0]) == 0.42


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
        ("lessons = 1", "lessons is a list, such as [1]."),
        ("lessons = []", "lessons is empty: leave the line out"),
        ("lessons = [1, 1]", "lessons names a lesson twice"),
        ("lesson = [1]", "there is no 'lesson'. Did you mean 'lessons'?"),
        ("earlier = 1", "earlier is true or false"),
        ('[points]\n"1.99" = 2', "there is no '1.99'"),
        ("[points]\ndefault = -1", "a number from 0 up"),
        ("[points]\ndefault = nan", "a number from 0 up"),
        ("[points]\n1.6 = 1", 'write 1.6 in quotes, "1.6".'),
        ('lessons = [1]\n[points]\n"2.5" = 1', "'2.5' is of a lesson that lessons does not name"),
        ("[points]\ndefault = 0.125", "points default has two decimals at most, not 0.125."),
        ("earlier = false\n[points]\nearlier = 3", "'earlier' is never given, because earlier"),
        ("points = 3", "points is no table"),
        ("late = 3", "late is no table"),
        (LATE.format(101, "times.csv"), "percent_a_day is at most 100, not 101."),
        ("[late]\ndue = 2026-11-22T20:00:00Z", "late needs percent_a_day"),
        ('[late]\ndue = 2026-11-22\npercent_a_day = 1\nsubmitted = "t.csv"', "a time and a zone"),
        (LATE.format(1, "t.csv").replace("Z", ""), "a time and a zone"),
        (LATE.format(1, "."), "cannot be read"),
        ("lessons = [", "rules.toml is no TOML file: "),
        ("a = " + "[" * 9999, "rules.toml is no TOML file: "),
    ],
)
def test_what_no_rules_can_say(text: str, says: str, course: Course, tmp_path: Path) -> None:
    (tmp_path / "rules.toml").write_text(text, "utf-8")
    with pytest.raises(CourseError) as raised:
        load(tmp_path / "rules.toml", course)
    assert says in str(raised.value)


def test_a_binary_file_is_no_toml(course: Course, tmp_path: Path) -> None:
    (tmp_path / "rules.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(CourseError, match=r"rules\.toml is no TOML file: it is no text in UTF-8"):
        load(tmp_path / "rules.toml", course)


def test_a_table_that_is_missing_is_named(course: Course, tmp_path: Path) -> None:
    (tmp_path / "rules.toml").write_text(LATE.format(1, "none.csv"), "utf-8")
    with pytest.raises(CourseError) as raised:
        load(tmp_path / "rules.toml", course)
    table = (tmp_path / "none.csv").resolve()
    assert str(raised.value).endswith(
        f"rules.toml names the table none.csv, and {table} is not there."
    )


@pytest.mark.parametrize(
    ("table", "says"),
    [
        (
            "submission,submitted\nada,\nbob,22.11.2026 18:02\n",
            "line 3: '22.11.2026 18:02' is no time such as 2026-11-22T20:15:00+01:00.",
        ),
        (
            "Name,When\nada,2026-11-22\n",
            "line 1: it has the columns 'Name', 'When'; it needs submission and submitted.",
        ),
        ("", "line 1: it has no columns; it needs submission and submitted."),
        (
            "submission,submitted\nada,2026-11-22\nada.zip,2026-11-23\n",
            "line 3: 'ada.zip' has a row already, line 2.",
        ),
        ("submission,submitted\nada,\udcff", "times.csv is no text in UTF-8"),
        (f"submission,submitted\n{'a' * 200_000},", "times.csv is no CSV file: field larger than"),
    ],
)
def test_what_no_table_of_times_can_say(
    table: str, says: str, course: Course, tmp_path: Path
) -> None:
    (tmp_path / "times.csv").write_text(table, "utf-8", errors="surrogateescape")
    (tmp_path / "rules.toml").write_text(LATE.format(10, "times.csv"), "utf-8")
    with pytest.raises(CourseError) as raised:
        load(tmp_path / "rules.toml", course, ["ada", "bob"])
    assert says in str(raised.value)
