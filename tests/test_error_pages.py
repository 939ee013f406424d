"""The error pages of the solutions, to someone whose name stands on them, after a failed write."""

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
