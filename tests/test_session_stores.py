"""Lesson 5's stores, each in the solution, and Redis for real."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from redis import Redis

from course.browser import Browser
from course.catalog import Course
from course.checker import Checker
from course.preparing import prepare
from course.site import Site
from course.snapshot import take

PASSWORD = "correct horse battery"
STORES = ("cookie", "memory", "files", "database", "redis")
LESSON = 5


@pytest.fixture
def sites(
    request: pytest.FixtureRequest, course: Course, checker: Checker, tmp_path: Path
) -> Iterator[Callable[[str], Site]]:
    """Return the solution, with its sessions in the store that is named."""
    lesson = course.lesson(LESSON)
    forks = checker.servers.get(course.imports(lesson))
    ready = prepare(forks, take(lesson.solution), course.ways_to_prepare(lesson)).copy
    ready.write(tmp_path / "lesson")
    way = lesson.serve.format(port=5000).split()[1:]
    site = Site(forks, tmp_path / "lesson", tmp_path, (way,), frozenset(), {})

    def keeping(store: str) -> Site:
        site.env = {"SESSION_TYPE": store}
        if store == "redis":
            site.env["REDIS_URL"] = request.getfixturevalue("redis")
        return site

    yield keeping
    site.stop()


@pytest.mark.parametrize("store", STORES)
def test_a_session_in_each_store(sites: Callable[[str], Site], store: str) -> None:
    site = sites(store)
    planted = site.browser()
    planted.get("/").shows("been here 1 time")
    ann = copy_of(planted)
    ann.get("/").shows("been here 2 times")
    data = {"name": "Ann", "password": PASSWORD}
    ann.post("/register", data=data).redirects_to("/todos")
    ann.get("/account").has_status(200).shows("Ann")
    planted.get("/account").redirects_to("/login")

    site.start()
    kept = ann.get("/account")
    assert (kept.status == 200) == (store != "memory"), kept.status
    if store == "memory":
        ann.post("/login", data=data).redirects_to("/todos")

    stolen = copy_of(ann)
    stolen.get("/account").has_status(200)
    ann.post("/logout").redirects_to("")
    ann.get("/account").redirects_to("/login")
    dead = stolen.get("/account")
    assert (dead.status != 200) == (store != "cookie"), dead.status
    site.manage("clean_sessions").exits(0)


def test_redis_lets_sessions_expire(redis: str, sites: Callable[[str], Site]) -> None:
    site, client = sites("redis"), Redis.from_url(redis)
    client.flushall()
    site.get("/").has_status(200)
    [key] = client.keys()
    assert 13 * 24 * 3600 < client.ttl(key) <= 14 * 24 * 3600
    client.delete(key)
    site.get("/").shows("been here 1 time")


def copy_of(browser: Browser) -> Browser:
    copy = Browser(browser._site)
    copy.cookies |= browser.cookies
    return copy
