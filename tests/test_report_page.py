"""The pages that are made for instructors, in a browser: the report of a class, and the steps."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect
from test_browser import DESK, FITS, PHONE, WORD, look_for_barriers

from course import diffs, steps
from course.catalog import Course
from course.grading import TAMPERED, UNREADABLE, Grade, LessonGrade
from course.reports import Report, write
from course.rules import Rules
from course.snapshot import Snapshot, take
from course.verdicts import FAILED, NOT_ATTEMPTED, PASSED, Verdict

STATES = [PASSED, PASSED, FAILED, NOT_ATTEMPTED, PASSED, PASSED]
SAID = f"python manage.py find milk: expected 'Buy milk', got {WORD}.\n  manage.py, line 3"
ODD = "<img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def report(course: Course, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of a class of three, of whom one has a failed task and a line like a diff's."""
    lesson = course.lesson(1)
    starter, solution = take(lesson.starter), take(lesson.solution)
    files = solution.files | {"manage.py": b"-- no code\n++ but a text\n" + b"x" * 400}
    copy = Snapshot(files | {"notes.txt": b"-- one\n"})
    tasks = [
        Verdict(task.id, task.title, state, SAID if state == FAILED else "", 0.1)
        for task, state in zip(lesson.tasks, STATES, strict=True)
    ]
    graded = LessonGrade(1, tasks, diffs.changes(starter, copy))
    grades = [
        Grade("ada", lessons=[graded]),
        Grade(f"{ODD} {WORD}", TAMPERED, ["conftest.py was left out."], [graded]),
        Grade("陈明", UNREADABLE, ["It is a link."]),
    ]
    folder = tmp_path_factory.mktemp("grades 班")
    return write(Report(course, Rules(), grades, "bubblewrap is not installed"), folder)[0]


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page of someone whose browser notes each request and each fault."""
    context = browser.new_context(viewport=DESK)
    page = context.new_page()
    faults: list[str] = []
    page.on("console", lambda message: faults.append(message.text))
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("dialog", lambda dialog: (faults.append("a dialog"), dialog.dismiss()))
    page.on("request", lambda request: faults.append(request.url))
    yield page
    context.close()
    assert not [fault for fault in faults if not fault.startswith("file:")]


def hindrances(browser: Browser, path: Path) -> list[str]:
    """Return what hinders people in a page in which all is unfolded."""
    # What looks for barriers is a script and a style that the page's own policy would refuse.
    context = browser.new_context(viewport=PHONE, bypass_csp=True)
    page = context.new_page()
    page.goto(path.as_uri())
    page.evaluate("document.querySelectorAll('details').forEach(each => each.open = true)")
    found = []
    for size in (PHONE, DESK):
        page.set_viewport_size(size)
        found += [f"scrolls sideways at {size}"] * page.evaluate(FITS)["scrolls"]
        found += look_for_barriers(page)
    context.close()
    return found


def test_the_report_hinders_nobody(browser: Browser, report: Path) -> None:
    assert not hindrances(browser, report)


@pytest.mark.parametrize("number", [0, 2, 3])
def test_a_step_hinders_nobody(
    number: int, browser: Browser, course: Course, tmp_path: Path
) -> None:
    assert not hindrances(browser, steps.write(course, tmp_path)[number])


def test_a_mark_leads_to_its_verdict(page: Page, report: Path) -> None:
    page.goto(report.as_uri())
    verdict = page.locator("#s1-1\\.3")
    expect(verdict).to_be_hidden()
    page.get_by_role("row", name="ada").get_by_role("link", name="✗").click()
    expect(verdict).to_be_in_viewport()
    expect(verdict).to_contain_text("ada · 1.3")
    expect(verdict).to_contain_text("failed, 0 of 1")
    expect(page.get_by_text("expected 'Buy milk'").nth(1)).to_be_visible()


def test_on_a_phone_nothing_that_counts_is_off_the_screen(page: Page, report: Path) -> None:
    page.set_viewport_size({"width": 400, "height": 800})
    page.goto(report.as_uri())
    score = page.locator("tbody strong").first
    expect(score).to_be_in_viewport(ratio=1)
    cells = page.locator(".items tbody td")
    cells.nth(1).evaluate("cell => { cell.textContent = '1\xa0failed, '.repeat(40) }")
    for cell in cells.all():
        assert cell.evaluate("cell => cell.scrollWidth <= cell.clientWidth")


def test_the_diffs_stand_side_by_side_in_colour(page: Page, report: Path) -> None:
    page.goto(report.as_uri())
    page.locator("#s1 summary").click()
    own, solution = page.locator("#s1 .diff").all()
    heads = page.locator("#s1 h4").all_text_contents()
    assert heads == ["What this student changed", "What the solution changes"]
    expect(own.locator(".add").filter(has_text="-- no code")).to_be_visible()
    expect(own.locator(".head").filter(has_text="+++ after/manage.py")).to_have_count(1)
    expect(own.locator(".add", has_text="+++ after/")).to_have_count(0)
    expect(own.locator(".add", has_text="+++ but a text")).to_have_count(1)
    whole = page.locator("#solution-1 .diff").text_content()
    assert whole
    assert (solution.text_content() or "").strip() == whole.strip()
    left, right = own.bounding_box(), solution.bounding_box()
    assert left
    assert right
    assert left["x"] + left["width"] < right["x"]


def test_what_a_student_wrote_is_text(page: Page, report: Path) -> None:
    page.goto(report.as_uri())
    expect(page.get_by_role("heading", name=ODD)).to_be_visible()
    expect(page.locator("img")).to_have_count(0)


def test_a_step_unfolds(page: Page, course: Course, tmp_path: Path) -> None:
    page.goto(steps.write(course, tmp_path)[1].as_uri())
    folded = page.locator("details").first
    line = folded.locator("td").last
    expect(line).to_be_hidden()
    folded.locator("summary").click()
    expect(line).to_be_visible()
    page.get_by_role("navigation").get_by_role("link", name="2").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Lesson 2")
