"""Lesson 6's solution with each CACHE_TYPE: what is kept, who sees it, and what forgets it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from redis import Redis
from services import redis_server

from checks.test_05_session import register
from checks.test_06_caching import TYPES
from course.site import Site

SHARED = ("FileSystemCache", "RedisCache")
"""The types that other processes see."""


@pytest.fixture
def sites(request: pytest.FixtureRequest, solution: Callable[[int], Site]) -> Callable[[str], Site]:
    """Return the solution, with the cache that is named."""

    def caching(kind: str) -> Site:
        site = solution(6)
        site.env["CACHE_TYPE"] = kind
        if kind == "RedisCache":
            site.env["REDIS_URL"] = request.getfixturevalue("redis")
            Redis.from_url(site.env["REDIS_URL"]).flushall()
        return site

    return caching


@pytest.mark.parametrize("kind", TYPES)
def test_numbers_are_kept(sites: Callable[[str], Site], kind: str) -> None:
    site = sites(kind)
    kept = "miss" if kind == "NullCache" else "hit"
    assert stats(site) == ("miss", 0)
    assert stats(site) == (kept, 0)
    site.start()
    assert stats(site) == ("hit" if kind in SHARED else "miss", 0)


@pytest.mark.parametrize("kind", TYPES)
def test_a_write_on_a_page_shows(sites: Callable[[str], Site], kind: str) -> None:
    site = sites(kind)
    stats(site)
    site.post("/todos", data={"title": "Tea"}).redirects_to("/todos")
    assert stats(site) == ("miss", 1)


@pytest.mark.parametrize("kind", TYPES)
def test_a_command_reaches_the_cache(sites: Callable[[str], Site], kind: str) -> None:
    """With SimpleCache it does not: that cache is in the server's memory."""
    site = sites(kind)
    stats(site)
    site.manage("seed", "2").exits(0)
    assert stats(site) == (("hit", 0) if kind == "SimpleCache" else ("miss", 2))
    stats(site)
    site.manage("clear_cache").exits(0)
    assert stats(site) == (("hit", 0) if kind == "SimpleCache" else ("miss", 2))


def test_clear_cache_leaves_what_else_is_in_redis(sites: Callable[[str], Site]) -> None:
    site = sites("RedisCache")
    site.env["SESSION_TYPE"] = "redis"
    client = Redis.from_url(site.env["REDIS_URL"])
    client.set("of another program", "stays")
    register(site, "Ann")
    assert stats(site)[0] == "miss"
    assert stats(site)[0] == "hit"
    before = set(client.keys())
    ours = {key for key in before if key.startswith(b"todo_cache_")}
    assert ours
    assert len(before - ours) == 2, "a session, and another program's key"
    site.manage("clear_cache").exits(0)
    assert set(client.keys()) == before - ours
    site.get("/account").has_status(200).shows("Ann")
    assert stats(site)[0] == "miss"


def test_what_a_guest_writes_is_no_error_where_redis_is_down(
    solution: Callable[[int], Site],
) -> None:
    site = solution(6)
    ann = site.browser()
    with redis_server() as url:
        site.env |= {"CACHE_TYPE": "RedisCache", "SESSION_TYPE": "redis", "REDIS_URL": url}
        register(ann, "Ann")
        assert stats(site) == ("miss", 0)
    ann.get("/todos").has_status(500)
    site.post("/todos", data={"title": "Tea"}).redirects_to("/todos")
    site.get("/todos").has_status(200).shows("Tea")
    assert site.trace().error.startswith("redis.exceptions.ConnectionError")  # in the log
    site.get("/stats").has_status(500)


def stats(site: Site) -> tuple[str, int]:
    """Visit the page of the statistics; return what X-Cache says, and the number of todos."""
    page = site.get("/stats").has_status(200)
    return page.headers["X-Cache"], int(page.words.partition(" of ")[2].partition(" ")[0])
