"""The pages of what each lesson adds: nothing is left out, and what a lesson holds is text."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from bs4 import BeautifulSoup, Tag
from conftest import ROOT

from course import steps
from course.catalog import Course, load
from course.errors import CourseError
from course.snapshot import Snapshot, take

LESSONS = load().lessons


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, BeautifulSoup]:
    """All pages, by the name of their lesson's folder."""
    folder = tmp_path_factory.mktemp("步 steps")
    return {path.stem: parsed(path) for path in steps.write(load(), folder)}


def parsed(path: Path) -> BeautifulSoup:
    text = path.read_text("utf-8")
    return BeautifulSoup(text, "html.parser", preserve_whitespace_tags={"td"})


@pytest.mark.parametrize("number", [lesson.number for lesson in LESSONS])
def test_every_line_of_both_sides_is_there(
    number: int, pages: dict[str, BeautifulSoup], course: Course
) -> None:
    lesson = course.lesson(number)
    earlier = course.before(lesson)
    before = take(earlier[-1].solution if earlier else lesson.starter)
    assert shown(pages[lesson.folder], "before") == lines(before)
    assert shown(pages[lesson.folder], "after") == lines(take(lesson.solution))


def lines(side: Snapshot) -> dict[str, list[str]]:
    return {path: data.decode().splitlines() for path, data in side.files.items()}


def shown(page: BeautifulSoup, side: str) -> dict[str, list[str]]:
    """Return the lines of one side that a page shows, by path."""
    found = {}
    for section in page.find_all("section"):
        what = section.h2.small.text
        moved = what.removeprefix("moved from ") if what.startswith("moved") else ""
        if what == {"before": "new", "after": "removed"}[side]:
            continue
        path = moved if moved and side == "before" else section["id"]
        numbers, texts = (
            section.select(f"td.number.{side}"),
            section.select(f"td.{side}:not(.number)"),
        )
        assert [cell.text for cell in numbers] == [str(n + 1) for n in range(len(texts))]
        found[path] = [cell.text for cell in texts]
    return found


def test_what_a_lesson_holds_is_text(pages: dict[str, BeautifulSoup]) -> None:
    for page in pages.values():
        cells = page.find_all("td")
        assert any("<" in cell.text for cell in cells)
        inside = {each.name for cell in cells for each in cell.find_all()}
        assert inside <= {"del", "ins", "mark"}


def test_no_page_asks_for_anything_elsewhere(pages: dict[str, BeautifulSoup]) -> None:
    for page in pages.values():
        names = {f"{name}.html" for name in pages}
        for element in page.find_all(True):
            for name in ("href", "src", "action", "srcset", "data", "poster", "style"):
                link = element.get(name, "#")
                assert link.startswith(("#", "data:,")) or link in names, link
        assert not page.find_all(["script", "iframe"])
        assert not re.search(r"url\(|@import", page.style.text)


def test_the_list_leads_to_each_file(pages: dict[str, BeautifulSoup]) -> None:
    for page in pages.values():
        links = [link["href"] for link in page.main.ul.find_all("a")]
        assert links == [f"#{section['id']}" for section in page.find_all("section")]


# A step of our own, in which each line has a reason.

BEFORE = [*"abcdefghijkl", "app.run(port=5000)", "", "first = 1", "last()"]
AFTER = [*"abcdefghijkl", 'app.run(port="<b>")', "", "print('quite another')", "first = 2"]


@pytest.fixture
def step(course: Course, tmp_path: Path) -> dict[str, Tag]:
    """The sections of a page, by path."""
    text, same = "\n".join, {"same.py": "\n".join("abcdef")}
    sides: list[dict[str, str]] = [
        {"app.py": text(BEFORE), "old.py": "x = 1", "style.css": "b { }"} | same,
        {"app.py": text(AFTER), "new.py": "y = 1", "css/style.css": "b { }"} | same,
    ]
    lessons = tuple(replace(lesson, root=tmp_path) for lesson in course.lessons[:2])
    for lesson, files in zip(lessons, sides, strict=True):
        Snapshot({path: data.encode() for path, data in files.items()}).write(lesson.solution)
    lessons[0].starter.mkdir(parents=True)
    made = steps.write(Course(tmp_path, lessons), tmp_path / "pages")
    return {section["id"]: section for section in parsed(made[1]).find_all("section")}


def test_a_changed_word_is_marked(step: dict[str, Tag]) -> None:
    marked = [
        [mark.text for mark in step["app.py"].select(f"{kind} mark")] for kind in ("del", "ins")
    ]
    assert marked == [["5000", "1"], ['"<b>"', "2"]]


def test_lines_stand_beside_what_they_were(step: dict[str, Tag]) -> None:
    rows = [
        tuple(cell.text for cell in row.find_all("td")[1::2]) for row in step["app.py"].select("tr")
    ]
    assert (BEFORE[12], AFTER[12]) in rows
    assert ("first = 1", "first = 2") in rows
    assert ("", "print('quite another')") in rows
    assert ("last()", "") in rows


def test_what_is_unchanged_is_folded(step: dict[str, Tag]) -> None:
    folded = [cell.text for cell in step["app.py"].select("details td.after:not(.number)")]
    assert folded == BEFORE[: 12 - steps.NEAR]
    assert not step["app.py"].select("details del, details ins")
    assert len(step["same.py"].select("details tr")) == 6


def test_files_that_come_and_go_are_named(step: dict[str, Tag]) -> None:
    said = {path: section.h2.small.text for path, section in step.items()}
    assert said == {
        "app.py": "changed",
        "css/style.css": "moved from style.css",
        "new.py": "new",
        "old.py": "removed",
        "same.py": "as before",
    }


# The command.


def test_the_docs_lead_to_each_page() -> None:
    text = (ROOT / "docs" / "steps.md").read_text("utf-8")
    for lesson in LESSONS:
        assert f"[{lesson.number} {lesson.title}](steps/{lesson.folder}.html)" in text


def test_the_command_says_where_the_pages_are(pristine: Path, tmp_path: Path) -> None:
    code = "from course.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, "diffs"], cwd=pristine, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    names = {f"docs/steps/{lesson.folder}.html" for lesson in LESSONS}
    assert {line.strip() for line in done.stdout.splitlines()[1:]} == names
    made = {path.relative_to(pristine).as_posix() for path in (pristine / "docs/steps").iterdir()}
    assert made == names
    ignored = ["git", "check-ignore", *names]
    listed = subprocess.run(ignored, cwd=ROOT, capture_output=True, text=True, check=True)
    assert set(listed.stdout.split()) == names


def test_where_nothing_can_be_written_it_is_said(course: Course, tmp_path: Path) -> None:
    (tmp_path / "steps").write_text("a file", "utf-8")
    with pytest.raises(CourseError, match="cannot be written"):
        steps.write(course, tmp_path / "steps")
