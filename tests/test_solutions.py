"""What the solutions do beyond what the checks ask: where things fail that are not their fault."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from checks.test_05_session import register
from course.site import Site

FAILS = {
    404: "SELECT RAISE(IGNORE)",  # as where someone else has deleted it a moment before
    500: "SELECT RAISE(ABORT, 'as where the database is locked')",
}


@pytest.mark.parametrize("status", FAILS)
@pytest.mark.parametrize("lesson", [3, 5, 6, 7])
def test_after_a_write_that_fails(
    lesson: int, status: int, solution: Callable[[int], Site]
) -> None:
    site = solution(lesson)
    browser = site.browser()
    if lesson >= 5:
        register(browser, "Ann")
    browser.post("/todos", data={"title": "Tea"}).redirects_to("/todos")
    with site.database() as db:
        db.execute(f"CREATE TRIGGER fails BEFORE UPDATE ON todo BEGIN {FAILS[status]}; END")
    page = browser.post("/todos/1", data={"title": "Coffee"}).has_status(status)
    page.shows("Todos")  # the navigation, and not what Flask shows where the error page fails
    if lesson >= 5:
        page.shows("Ann")
    browser.get("/todos").has_status(200).shows("Tea")


@pytest.mark.parametrize("lesson", [3, 4, 5, 6, 7])
@pytest.mark.parametrize("host", ["a..b", ".", "a" * 300])
def test_a_host_that_is_none(lesson: int, host: str, solution: Callable[[int], Site]) -> None:
    solution(lesson).get("/", headers={"Host": host}).has_status(400)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ('title\n"a"b\n', 2),  # csv itself refuses these
        ('title\nTea\n"a"b\nCake\n', 3),
        ('title\nTea\n"Cake\n', 3),
        ('"title\n', 1),
        ("title\nTea\n,\n", 3),  # and the lesson these
        ("", 1),
    ],
)
def test_the_line_of_a_bad_row(text: str, line: int, solution: Callable[[int], Site]) -> None:
    site = solution(3)
    site.write("todos.csv", text)
    said = site.manage("import", "todos.csv")
    assert f"Line {line}: " in said.out + said.err
    assert said.code != 0


def test_a_number_that_no_database_has(solution: Callable[[int], Site]) -> None:
    site = solution(3)
    site.manage("seed", "1").exits(0)
    site.manage("find", "Todo", "-n", "9" * 30).exits(0).prints("Todo 1")
    site.get("/todos", params={"after": "9" * 30}).has_status(200)
