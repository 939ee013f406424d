"""What course.toml may say: whoever misspells something there is told what, and where."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import pytest
from test_docs import wrong_in_make

from course.catalog import ROOT, Lesson, load
from course.errors import CourseError
from course.snapshot import take
from course.tables import typed

TEXT = (ROOT / "lessons" / "course.toml").read_text("utf-8")
TEXT = TEXT[TEXT.index("[[mistake]]\n") :]  # without the comments at its head


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("title = ", "titel = ", "lesson 0: there is no 'titel'. Did you mean 'title'?"),
        ("number = 1", 'number = "1"', "lesson 1: number is a whole number, not '1'."),
        ("serve = ", "sarve = ", "lesson 0: there is no 'sarve'. Did you mean 'serve'?"),
        ('id = "1.1"', "id = 1.1", "task 1.1: id is a text, not 1.1."),
        ('id = "1.1"', 'id = "one"', "task one: the id of a task of lesson 1 is like 1.1."),
        (
            "hints = [",
            'hints = ["", ',
            "task 0.1: hints has something that is no text, or an empty",
        ),
        (
            'imports = ["flask"',
            'imports = [3, "flask"',
            "lesson 0: imports has something that is no text",
        ),
        ("{port}", "{prt}", "lesson 0: serve_on_port may have {port} in braces, and no more."),
        ("serve_on_port", "serve_at_port", "Did you mean 'serve_on_port'?"),
        ("why = ", "wy = ", "ends: there is no 'wy'. Did you mean 'why'?"),
        ("[[mistake]]\n", "[[mistake]]\nmend = 'm'\n[[mistake]]\n", "This is not so: m"),
        ("[[lesson]]", "lesson = 1", "The course: lesson is a list, not 1."),
    ],
)
def test_what_is_wrong_is_said(old: str, new: str, says: str, tmp_path: Path) -> None:
    text = TEXT.replace(old, new, 1)
    assert text != TEXT
    if new == "lesson = 1":
        text = new
    (tmp_path / "lessons").mkdir()
    (tmp_path / "lessons" / "course.toml").write_text(text, "utf-8")
    with pytest.raises(CourseError) as raised:
        load(tmp_path)
    assert says in str(raised.value)


def test_a_number_is_one_lessons(tmp_path: Path) -> None:
    (tmp_path / "lessons").mkdir()
    first = TEXT[TEXT.index("[[lesson]]\n") :].split("\n[[lesson]]\n")[0]
    (tmp_path / "lessons" / "course.toml").write_text(f"{TEXT}\n{first}\n", "utf-8")
    with pytest.raises(CourseError, match=r"two lessons have the same number\."):
        load(tmp_path)


# What the student is told names what is there.

COURSE = load()
TASKS = {task.id for lesson in COURSE.lessons for task in lesson.tasks}


def nowhere(text: str, *lessons: Lesson) -> Iterator[str]:
    """Give the tasks, commands and files that a text names, and that these lessons do not have."""
    folders = [folder for lesson in lessons for folder in (lesson.starter, lesson.solution)]
    files = {PurePosixPath("/", path) for folder in folders for path in take(folder).files}
    below = {str(parent) for path in files for parent in path.parents}
    for task in re.findall(r"\b(?:[Tt]ask|[Ii]f) (\d+\.\d+)", text):
        if task not in TASKS:
            yield f"there is no task {task}"
    for command in re.findall(r"\bmake ([a-z]+(?:-\w+)+)", text):
        yield from wrong_in_make(command)
    for path in re.findall(r"(?<![\w./])\w[\w/]*\.(?:py|html|css)\b", text):
        if not any(file.match(path) for file in files):
            yield f"there is no {path}"
    for path in re.findall(r"(?<![\w./])(?:App|migrations)(?:/\w+)+\b(?!/|\.\w)", text):
        if f"/{path}" not in below:
            yield f"there is no folder {path}"


@pytest.mark.parametrize("lesson", COURSE.lessons, ids=lambda lesson: lesson.folder)
def test_hints_and_questions_name_what_is_there(lesson: Lesson) -> None:
    texts = {
        f"task {task.id}: {text}": text
        for task in lesson.tasks
        for text in (*task.hints, *task.checks.values())
    }
    wrong = [f"{where}: {why}" for where, text in texts.items() for why in nowhere(text, lesson)]
    assert not wrong, "\n".join(wrong)


def test_mends_name_what_is_there() -> None:
    mends = [mistake.mend for mistake in COURSE.mistakes]
    wrong = [f"{mend}: {why}" for mend in mends for why in nowhere(mend, *COURSE.lessons)]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("Task 7.12 must be done.", "there is no task 7.12"),
        ("Say make hnit-5 first.", "there is no target hnit-5"),
        ("Look into App/views/nowhere.py.", "there is no App/views/nowhere.py"),
        ("It stands in nowhere.html.", "there is no nowhere.html"),
        ("A form is in App/templtes.", "there is no folder App/templtes"),
    ],
)
def test_what_is_nowhere_is_noticed(text: str, why: str) -> None:
    assert list(nowhere(text, COURSE.lesson(5))) == [why]


def test_a_type_is_not_known_by_its_name() -> None:
    other = type("int", (), {})()
    with pytest.raises(ValueError, match="number is a whole number, not"):
        typed({"number": other}, {"number": int}, {}, "It")
