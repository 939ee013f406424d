"""Lesson 5's stores, each in the solution, and Redis for real."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from redis import Redis

from course.browser import Browser
from course.site import Site

PASSWORD = "correct horse battery"
STORES = ("cookie", "memory", "files", "database", "redis")


@pytest.fixture
def sites(request: pytest.FixtureRequest, solution: Callable[[int], Site]) -> Callable[[str], Site]:
    """Return the solution, with its sessions in the store that is named."""

    def keeping(store: str) -> Site:
        site = solution(5)
        site.env = {"SESSION_TYPE": store}
        if store == "redis":
            site.env["REDIS_URL"] = request.getfixturevalue("redis")
        return site

    return keeping


@pytest.mark.parametrize("store", STORES)
def test_a_session_in_each_store(sites: Callable[[str], Site], store: str) -> None:
    site = sites(store)
    planted = site.browser()
    planted.get("/").shows("been here 1 time")
    ann = copy_of(site, planted)
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

    stolen = copy_of(site, ann)
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


UNDER_WAY = """
from flask import request
from App import create_app

app = create_app()
ann, thief, other = (app.test_client() for _ in range(3))

@app.before_request
def log_out_meanwhile():
    if request.args.get("slow"):
        print("logout", other.post("/logout").status_code)

ann.post("/register", data={"name": "Ann", "password": "correct horse battery"})
for client in (thief, other):
    client.set_cookie("session", ann.get_cookie("session").value)
print("before", thief.get("/account").status_code)
print("visit", ann.get("/?slow=1").status_code)
print("after", thief.get("/account").status_code)
"""


def test_a_request_under_way_undoes_no_logout(sites: Callable[[str], Site]) -> None:
    """It ends after the logout, and saves its session: in the table that is not there anew."""
    said = sites("database").probe("the script", UNDER_WAY).exits(0).out
    assert said.splitlines() == ["before 200", "logout 302", "visit 200", "after 302"]


def copy_of(site: Site, browser: Browser) -> Browser:
    copy = site.browser()
    copy.cookies |= browser.cookies
    return copy
