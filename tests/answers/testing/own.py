"""The exercise of docs/testing.md, done: the tests of a student who has thought of everything."""

import re

import pytest


def test_another_users_todo(browser_of):
    ann, bob = browser_of("Ann"), browser_of("Bob")
    ann.post("/todos", data={"title": "Ring the doctor"})
    page = re.search(r'href="(/todos/\d+)"', ann.get("/todos").text)[1]

    assert "Ring the doctor" not in bob.get("/todos").text
    assert bob.get(page).status_code == 404
    assert bob.post(page, data={"title": "Bob was here"}).status_code == 404
    assert bob.post(f"{page}/delete").status_code == 404

    seen = ann.get(page)
    assert seen.status_code == 200
    assert 'value="Ring the doctor"' in seen.text


@pytest.mark.parametrize("closed", ["/account"])
def test_old_cookie(browser_of, app, closed):
    ann, thief = browser_of("Ann"), app.test_client()
    stolen = ann.get_cookie("session").value
    thief.set_cookie("session", stolen)
    assert "logged in as Ann" in thief.get(closed).text

    ann.post("/logout")

    thief.set_cookie("session", stolen)
    assert "Ann" not in thief.get(closed, follow_redirects=True).text
