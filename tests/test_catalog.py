"""What course.toml may say: whoever misspells something there is told what, and where."""

from __future__ import annotations

from pathlib import Path

import pytest

from course.catalog import ROOT, load
from course.errors import CourseError

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
