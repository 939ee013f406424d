"""What the report of a class says, and what `make grade` says around it."""

from __future__ import annotations

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner
from conftest import ROOT, until
from services import program

from course import console
from course.catalog import Course
from course.cli import main
from course.grading import TAMPERED, UNREADABLE, Grade, LessonGrade
from course.reports import Report, summary, write
from course.rules import Late, Rules
from course.verdicts import FAILED, PASSED, Verdict

DUE = datetime(2026, 11, 22, 23, 59, tzinfo=UTC)


def lesson(course: Course, number: int, failed: str = "") -> LessonGrade:
    tasks = [
        Verdict(task.id, task.title, FAILED if task.id == failed else PASSED, "", 0)
        for task in course.lesson(number).tasks
    ]
    return LessonGrade(number, [*tasks, Verdict(f"{number}.earlier", "Earlier", PASSED, "", 0)])


def late(**days: int | None) -> Late:
    """Rules with a free day and 10 % a day, for submissions that are so many days late."""
    times = {name: DUE.replace(day=22 + count) for name, count in days.items() if count is not None}
    return Late(DUE, 1, 10, Path("submitted.csv"), times, ("FAY", "GUS.rar"))


@pytest.fixture
def report(course: Course) -> Report:
    """A class of five: in time, a free day, four days late, without a time, unreadable."""
    rules = Rules(
        (1, 2), points={"default": 2}, late=late(ada=0, bob=1, cyd=4), path=Path("r.toml")
    )
    grades = [
        Grade("ada", lessons=[lesson(course, 1), lesson(course, 2)]),
        Grade("bob", lessons=[lesson(course, 1)]),
        Grade("cyd", lessons=[lesson(course, 1, failed="1.2"), lesson(course, 2)]),
        Grade("dot", lessons=[lesson(course, 2)]),
        Grade("eve", UNREADABLE, ["It is a link."]),
    ]
    return Report(course, rules, grades, "", datetime(2026, 11, 30, 8, 5, tzinfo=UTC))


def text(report: Report, folder: Path) -> str:
    return write(report, folder)[0].read_text("utf-8")


def test_a_mark_is_explained(report: Report, tmp_path: Path) -> None:
    ada, bob, cyd, dot, _ = report.grades
    most, points = report.most, report.points(cyd)
    assert points == most - 2
    score = f"{points * 0.7:g}"
    assert report.mark(ada) == f"{most:g} of {most:g} points."
    assert report.mark(cyd) == (
        f"{score} of {most:g} points. {points:g} points, 3 days late after 1 free day: "
        f"\N{MINUS SIGN}30 %, so {score}."
    )
    assert [report.late(each) for each in (ada, bob, cyd, dot)] == [
        "",
        "1 day, free",
        "-30 %",
        "time unknown",
    ]
    page = text(report, tmp_path)
    assert report.mark(cyd) in page
    assert summary(cyd.lessons[0]).replace("'", "&#39;") in page
    tasks = {task.id: report.earned(task) for task in cyd.lessons[0].tasks}
    assert (tasks["1.1"], tasks["1.2"], tasks["1.earlier"]) == ("2 of 2", "0 of 2", "1 of 1")


def test_a_lesson_that_was_not_handed_in_is_named(report: Report, tmp_path: Path) -> None:
    assert [report.missing(grade) for grade in report.grades] == [[], [2], [], [1], []]
    page = text(report, tmp_path)
    assert page.count("Lesson 2 was not handed in.") == 1
    assert page.count("Lesson 1 was not handed in.") == 1


def test_the_earlier_lessons_tasks_are_counted_apart(course: Course) -> None:
    own = len(course.lesson(2).tasks)
    said = summary(lesson(course, 2, failed="2.1"))
    assert said == f"{own - 1} of {own} tasks pass; the earlier lessons' tasks: passed"
    alone = LessonGrade(2, lesson(course, 2).tasks[:-1])
    assert summary(alone) == f"{own} of {own} tasks pass"


def test_what_the_table_of_times_lacks_is_said(report: Report, tmp_path: Path) -> None:
    names, times, *_ = report.doubts()
    assert names == "No submission has these names in submitted.csv: FAY, GUS.rar."
    assert times == "2 submissions have no time in submitted.csv: dot, eve."
    page = text(report, tmp_path)
    assert names in page
    assert times in page
    data = json.loads((tmp_path / "grades.json").read_text("utf-8"))
    assert (data["not_submitted"], data["time_unknown"]) == (["FAY", "GUS.rar"], ["dot", "eve"])


def test_who_is_to_be_looked_at_is_named(course: Course) -> None:
    grades = [
        Grade("ada", key="k"),
        Grade("ada.zip", key="k"),
        Grade("bob", notes=["Odd."], key="k"),
        Grade("ada b"),
        Grade("cyd", UNREADABLE, ["No archive."]),
    ]
    assert Report(course, Rules(), grades, "").doubts() == [
        "Not checked to the end, and graded again the next time: ada b.",
        "With a note in the report: bob.",
        "Handed in more than once, and all graded: ada, ada.zip.",
    ]


def test_the_page_says_by_which_rules_and_when(report: Report, tmp_path: Path) -> None:
    page = text(report, tmp_path)
    assert "Rules: r.toml" in page
    assert "Due 2026-11-22 23:59+00:00" in page
    assert "Graded 2026-11-30 08:05 UTC." in page
    data = json.loads((tmp_path / "grades.json").read_text("utf-8"))
    assert (data["rules"], data["graded"]) == ("r.toml", "2026-11-30T08:05:00+00:00")
    plain = Report(report.course, Rules(), report.grades[:1], "")
    page = text(plain, tmp_path)
    assert "No rules file: a point a task, nothing is late." in page
    assert "<p>1 submission, " in page
    assert "Due" not in page


def test_how_many_were_told_it_is_said_of_two(report: Report, tmp_path: Path) -> None:
    cyd = report.grades[2].lessons[0]
    cyd.tasks[1] = replace(cyd.tasks[1], message="Said.")
    assert "<td>Said.</td>" in text(report, tmp_path)
    report.grades[1].lessons[0].tasks[1] = cyd.tasks[1]
    assert "<td>Said. (2)</td>" in text(report, tmp_path)


def test_each_state_has_a_mark_of_its_own(report: Report, tmp_path: Path) -> None:
    from course.reports import _MARKS

    assert len(set(_MARKS.values())) == len(_MARKS)


def test_diffs_are_without_gits_own_names(report: Report, tmp_path: Path) -> None:
    diff = "diff --git before/a after/a\nindex 123..456 100644\n--- before/a\n+index 1\n index 2\n"
    report.grades[0].lessons[0].diff = diff
    page = text(report, tmp_path)
    assert "\nindex " not in page
    assert "+index 1\n index 2\n" in page


def test_what_is_not_to_be_seen_is_shown(report: Report, tmp_path: Path) -> None:
    ada = report.grades[0]
    ada.name, ada.notes = "ada\u202egpj", ["a\x1b[2J\udcff b\u3000c\xa0d\te"]
    ada.lessons[0].tasks[0] = replace(ada.lessons[0].tasks[0], message="1\n2\r\n3\r4 é 陈 <")
    ada.lessons[0].diff = "+x = '\u2066'\r\n"
    page = text(report, tmp_path)
    assert "\\u202egpj</a>" in page
    assert "a\\x1b[2J\\udcff b\u3000c\xa0d\te" in page
    assert "<pre>1\n2\n3\\r4 é 陈 &lt;</pre>" in page
    assert "+x = &#39;\\u2066&#39;\n" in page
    assert not {"\u202e", "\u2066", "\x1b", "\r"} & set(page)
    data = json.loads((tmp_path / "grades.json").read_text("utf-8"))
    assert data["submissions"][0]["name"] == ada.name


def test_results_of_who_is_gone_are_deleted(report: Report, tmp_path: Path) -> None:
    scores = tmp_path / "gradescope"
    for name in ("gone", "with notes"):
        (scores / name).mkdir(parents=True)
        (scores / name / "results.json").write_text("{}", "utf-8")
    (scores / "with notes" / "notes.txt").write_text("mine", "utf-8")
    write(report, tmp_path)
    assert {path.name for path in scores.iterdir()} == {
        "ada",
        "bob",
        "cyd",
        "dot",
        "eve",
        "with notes",
    }
    assert [path.name for path in (scores / "with notes").iterdir()] == ["notes.txt"]


def test_numbers_have_one_form(report: Report, tmp_path: Path) -> None:
    report.rules.points["1.1"] = 0.1 + 0.2
    write(report, tmp_path)
    with (tmp_path / "grades.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = {row["submission"]: row for row in csv.DictReader(file)}
    for name, ending in (("ada", ".3"), ("dot", "")):
        grade = next(each for each in report.grades if each.name == name)
        assert rows[name]["points"] == f"{report.points(grade):g}"
        assert rows[name]["points"].endswith(ending)
    assert "." not in rows["dot"]["points"]
    assert rows["ada"]["of"] == f"{report.most:g}"


def test_the_table_of_grades_opens_in_excel(report: Report, tmp_path: Path) -> None:
    """Excel takes it for UTF-8 only where it begins with a byte order mark."""
    report.grades[0].name, report.grades[1].name = "陈明", "a;=1+1"
    write(report, tmp_path)
    table = (tmp_path / "grades.csv").read_bytes()
    assert table.startswith(b'\xef\xbb\xbf"submission","state",')
    assert '\n"陈明","graded",'.encode() in table
    assert b'\n"a;=1+1","' in table


@pytest.mark.parametrize("first", "=+-@\t\r")
def test_no_name_is_a_formula(first: str, report: Report, tmp_path: Path) -> None:
    report.grades[0].name = f"{first}cmd()"
    write(report, tmp_path)
    with (tmp_path / "grades.csv").open(encoding="utf-8-sig", newline="") as file:
        assert f"'{first}cmd()" in [row["submission"] for row in csv.DictReader(file)]


# The terminal.


def test_who_needs_a_look_is_named(report: Report, capsys: pytest.CaptureFixture[str]) -> None:
    grades = [Grade(f"student {n}", TAMPERED) for n in range(12)]
    console.graded([*grades, Grade("kim\x1b\udcff.docx", UNREADABLE)], ["A doubt."], [])
    assert capsys.readouterr().out.splitlines() == [
        "13 submissions: 12 tampered, 1 unreadable",
        "tampered: " + ", ".join(f"student {n}" for n in range(10)) + " and 2 more",
        "unreadable: kim??.docx",
        "A doubt.",
    ]
    console.graded([Grade("ada")], [], [])
    assert capsys.readouterr().out == "1 submission: 1 graded\n"


def test_a_log_has_a_line_now_and_then(capsys: pytest.CaptureFixture[str]) -> None:
    grades = [Grade(str(number)) for number in range(25)]
    assert list(console.counted(grades, 25)) == grades
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 10
    assert (lines[0], lines[-1]) == ("Graded 3 of 25.", "Graded 25 of 25.")


def test_what_cannot_be_read_has_a_sentence_of_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As root may read all, the system's answers are given here."""
    (tmp_path / "in" / "ada").mkdir(parents=True)
    rules = tmp_path / "rules.toml"
    rules.touch()
    read = Path.read_text

    def refuse(path: Path, *args: str) -> str:
        if path == rules:
            raise PermissionError(13, "Permission denied")
        return read(path, *args)

    monkeypatch.setattr(Path, "read_text", refuse)
    monkeypatch.setattr(os, "access", lambda *_: False)
    done = CliRunner().invoke(main, ["grade", str(tmp_path / "in"), "--rules", str(rules)])
    assert (done.exit_code, done.stderr) == (2, f"{rules} cannot be read: Permission denied.\n")


def test_the_command_says_which_rules_and_whom_the_table_lacks(tmp_path: Path) -> None:
    for name in ("ada.tar.gz", "bob.txt"):
        (tmp_path / "in" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "in" / name).write_text("Dear teacher", "utf-8")
    rules, table = tmp_path / "rules.toml", tmp_path / "times.csv"
    table.write_text("submission,submitted\nada.tar.gz,2026-11-22\nFAY,2026-11-22\n", "utf-8")
    due = "due = 2026-11-22T20:00:00Z\npercent_a_day = 10"
    rules.write_text(f'[late]\n{due}\nsubmitted = "times.csv"\n', "utf-8")
    command = [sys.executable, "-m", "course", "grade", tmp_path / "in", "--rules", rules]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert f"Rules: {rules}\n" in done.stderr
    assert done.stdout.splitlines()[1:4] == [
        "unreadable: ada, bob.txt",
        "No submission has these names in times.csv: FAY.",
        "1 submission has no time in times.csv: bob.txt.",
    ]


@pytest.mark.parametrize("out", [".", "ada/grades"])
def test_grades_do_not_go_among_the_submissions(out: str, tmp_path: Path) -> None:
    (tmp_path / "ada").mkdir()
    done = CliRunner().invoke(main, ["grade", str(tmp_path), "--out", str(tmp_path / out)])
    said = "OUT is inside SUBMISSIONS: name another folder.\n"
    assert (done.exit_code, done.stderr) == (2, said)
    assert [path.name for path in tmp_path.iterdir()] == ["ada"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_stopped_it_says_how_far_it_is(number: int, tmp_path: Path) -> None:
    """Two are unreadable, which takes no time; the third does not end by itself."""
    for name in ("ada.txt", "bob.txt"):
        (tmp_path / "in" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "in" / name).write_text("Dear teacher", "utf-8")
    copy = tmp_path / "in" / "cyd" / "work" / "00_request"
    copy.mkdir(parents=True)
    (copy / "app.py").write_text("while True: pass", "utf-8")
    command = [sys.executable, "-m", "course", "grade", str(tmp_path / "in")]
    process = subprocess.Popen(
        command, cwd=ROOT, stderr=subprocess.PIPE, text=True,
        preexec_fn=lambda: signal.signal(number, signal.SIG_DFL),  # nohup would have it ignored
    )  # fmt: skip
    assert process.stderr
    said = []
    while "Graded 2 of 3.\n" not in said:
        said.append(process.stderr.readline())
        assert said[-1], said  # it has ended
    process.send_signal(number)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert err == "Stopped. 2 of 3 are graded; the same command goes on from there.\n"
    assert "No rules file: a point a task, nothing is late.\n" in said


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere there is no bubblewrap")
def test_stopped_while_a_sandbox_starts_it_leaves_nothing(tmp_path: Path) -> None:
    """Where bubblewrap is killed early, the process that it has forked waits for it for ever."""
    bwrap = program("bwrap", "bubblewrap")
    pids = tmp_path / "pids"
    starts = tmp_path / "bin" / "bwrap"
    starts.parent.mkdir()
    starts.write_text(
        f"""#!/bin/sh
        case "$*" in *"--help" | *"-c pass") exec "{bwrap}" "$@";; esac
        setsid sleep 1000 &
        echo $$ $! >"{pids}.new"; mv "{pids}.new" "{pids}"
        exec sleep 1000
        """
    )
    starts.chmod(0o755)
    shutil.copytree(ROOT / "lessons" / "00_request", tmp_path / "in" / "ada" / "00_request")
    command = [sys.executable, "-m", "course", "grade", str(tmp_path / "in")]
    env = os.environ | {"PATH": f"{starts.parent}:{os.environ['PATH']}"}
    process = subprocess.Popen(command, cwd=ROOT, env=env, stderr=subprocess.PIPE)
    until(pids.exists)
    left = [Path("/proc", pid) for pid in pids.read_text().split()]
    assert all(each.exists() for each in left)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    assert process.returncode == 130
    assert not any(each.exists() for each in left)
