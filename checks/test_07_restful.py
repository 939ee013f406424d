"""Lesson 7: the todos for programs, as JSON."""

import json
import re
from http import HTTPStatus
from typing import Any
from urllib.parse import urljoin, urlsplit

from checks.test_02_blueprint import blueprint_of, navigation
from checks.test_03_sqlalchemy import insert, put, table
from checks.test_05_session import register
from checks.test_06_caching import loaded, shows_now, visit
from course.answers import Page, expect
from course.browser import Browser
from course.site import Site
from course.verdicts import CheckFailed

API = "/api/todos"
TOO_LARGE = (2**31, 2**63, 10**30)
NO_DIGITS = ("%D9%A1", "1_0", "%2B1", "%201", "1%20", "000001")
"""What int() takes, and no page number is: the first is an Arabic 1, the last has six digits."""
EVIL = (
    {"Origin": "https://evil.example"},
    {"Origin": "null"},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site", "Origin": "http://other.localhost"},
)

RESOURCES = """
import App
from flask_restful import Resource

for number, app in (("first", App.create_app()), ("second", App.create_app())):
    for rule in app.url_map.iter_rules():
        if rule.rule.startswith("/api/todos"):
            view = getattr(app.view_functions[rule.endpoint], "view_class", object)
            kind = "a resource" if issubclass(view, Resource) else "another view"
            print(number, "one" if rule.arguments else "all", kind)
"""

STATEMENTS = """
from sqlalchemy import Engine, event
import App

statements = 0

@event.listens_for(Engine, "before_cursor_execute")
def count(connection, cursor, sql, parameters, context, executemany):
    global statements
    if sql.lstrip().upper().startswith("DELETE"):
        statements += len(parameters) if executemany else 1

print(App.create_app().test_client().delete("/api/todos").status_code)
print(statements, "statements")
"""

# 7.1


def test_list_and_one(site: Site) -> None:
    """The list is a JSON array, the newest first, and each todo has a path of its own."""
    put(site, ["First", "Second"])
    todos = listed(site.get(API))
    expect(titles(todos) == ["Second", "First"], f"GET {API}", "Second, First", titles(todos))
    for todo in todos:
        one = told(site.get(f"{API}/{todo.get('id')}").has_status(200))
        same = (one.get("id"), one.get("title")) == (todo.get("id"), todo.get("title"))
        expect(same, f"GET {API}/{todo.get('id')}", f"the todo {todo['title']!r}", one)
    for id_ in (0, 987654321, *TOO_LARGE, "one"):
        site.get(f"{API}/{id_}").has_status(404)


def test_resources(site: Site) -> None:
    """Both are resources, on a blueprint with a prefix, in every app that create_app() makes."""
    site.start()
    owner = blueprint_of(site, API, API)
    expect(
        site.facts["blueprints"].get(owner) == "/api",
        "The URL map",
        f"a blueprint with the prefix /api that has the rule {API}",
        f"the rule's blueprint {owner!r} and the prefixes {site.facts['blueprints']}",
    )
    command = site.probe("create_app(), twice", RESOURCES).exits(0)
    for number in ("first", "second"):
        for what in ("all", "one"):
            command.prints(f"{number} {what} a resource")


# 7.2


def test_fields(site: Site) -> None:
    """A todo has five fields, and each has its type."""
    put(site, ["Buy milk"])
    with site.database() as db:
        db.execute(f"UPDATE {table(db)} SET completed = 1")
    insert(site, ["Buy tea"])
    tea, milk = listed(site.get(API), 2)
    for todo, title, completed in ((tea, "Buy tea", False), (milk, "Buy milk", True)):
        wanted = {"title": title, "completed": completed, "order": None}
        fields(f"GET {API}", todo, wanted)
        fields(f"GET {API}/{todo['id']}", told(site.get(f"{API}/{todo['id']}")), wanted)


def test_url(site: Site) -> None:
    """The url of a todo is absolute, and leads to it wherever the app stands."""
    put(site, ["Buy milk"])
    leads(site, "", "localhost")
    leads(site, "", "todos.example:8080")
    site.start(mount="/below")
    leads(site, "/below", "localhost")


def test_order_comes_by_migration(site: Site) -> None:
    """The column comes by a migration, to the rows that are there too, and goes without one."""
    insert(site, ["From before"])
    site.manage("db", "downgrade").exits(0)
    insert(site, ["From between"])
    site.manage("db", "upgrade").exits(0)
    did = f"GET {API} after db downgrade, a new row, and db upgrade"
    todos = listed(site.get(API))
    wanted = ["From between", "From before"]
    expect(titles(todos) == wanted, did, str(wanted), titles(todos))
    for todo in todos:
        fields(did, todo, {"order": None})


# 7.3


def test_add(site: Site) -> None:
    """A POST adds a todo and answers with it."""
    todo = add(site, {"title": "  Buy milk "})
    fields(f"POST {API}", todo, {"title": "Buy milk", "completed": False, "order": None})
    for given in ({"order": 0}, {"order": -5, "completed": True}, {"order": 2**31 - 1}):
        more = add(site, {"title": "学习 Flask", **given})
        fields(f"POST {API} with {given}", more, {"title": "学习 Flask", **given})
        expect(more["id"] != todo["id"], f"POST {API}, twice", "two ids", more["id"])
    page = send(site, "POST", API, b'{"title": "Buy tea", "order": 2.0}')
    if page.status != 400:  # it may be refused, too
        fields(page.did, told(page.has_status(200, 201)), {"order": 2})
    first = told(site.get(path_of(todo)).has_status(200))
    expect(first == todo, f"GET {path_of(todo)}", f"what POST has answered: {todo}", first)
    site.get("/todos").has_status(200).shows("Buy milk")


def test_change(site: Site) -> None:
    """A PATCH changes what it names, and nothing else."""
    other = add(site, {"title": "Stay", "order": 7})
    todo = add(site, {"title": "Buy milk"})
    path = path_of(todo)
    for given in (
        {"title": " Buy tea "},
        {"completed": True},
        {"order": 10},
        {"order": 0, "completed": False},
        {"order": None},
        {},
    ):
        todo = {**todo, **given}
        todo["title"] = todo["title"].strip()
        page = site.request("PATCH", path, json=given).has_status(200)
        fields(page.did, told(page), todo)
        fields(f"GET {path} after {page.did}", told(site.get(path)), todo)
    page = site.request("PATCH", path, json={"completed": True, "title": ""})
    refused(page.has_status(400), "title")
    fields(f"GET {path} after {page.did}, refused", told(site.get(path)), todo)
    expect(told(site.get(path_of(other))) == other, "PATCH", "the other todo as it was", "a change")


def test_title_refused(site: Site) -> None:
    """A title that is none is refused, with the field's name."""
    refuses(site, "title", None, 5, True, [], {}, "", "  ", "x" * 201, "a\0b", "a\nb", "a\x7f")
    refuses_body(site, rb'{"title": "\ud800"}', "title")
    refuses_body(site, b'{"title": NaN}', "title")
    refused(site.post(API, json={"order": 1}).has_status(400), "title")
    refused(site.post(API, json={}).has_status(400), "title")
    nothing_stored(site)


def test_completed_refused(site: Site) -> None:
    """Only true and false are true or false."""
    refuses(site, "completed", "false", "true", "", 0, 1, None, [], {})
    nothing_stored(site)


def test_order_refused(site: Site) -> None:
    """An order is null, or a whole number that every database can hold."""
    refuses(site, "order", True, False, "1", 1.5, -(2**31), -(2**70), [], {}, *TOO_LARGE)
    for value in (b"NaN", b"1e400", b"-Infinity"):
        refuses_body(site, b'{"title": "x", "order": %s}' % value, "order")
    nothing_stored(site)


def test_unknown_fields_refused(site: Site) -> None:
    """A field that there is not is refused, and all that is wrong is told at once."""
    for name in ("nope", "id", "url", "owner_id", "priority", ""):
        page = site.post(API, json={"title": "x", name: 1}).has_status(400)
        refused(page, name)
    page = site.post(API, json={"title": "", "completed": 1, "order": "x"}).has_status(400)
    for name in ("title", "completed", "order"):
        refused(page, name)
    nothing_stored(site)


def test_not_json(site: Site) -> None:
    """What is not a JSON object is refused, and is no error of the server."""
    (todo,) = [add(site, {"title": "Stay"})]
    bodies = {
        "nothing": b"",
        "half of an object": b'{"title": "x"',
        "null": b"null",
        "a list": b'[{"title": "x"}]',
        "a text": b'"title"',
        "a number": b"5",
        "NaN": b"NaN",
        "a form": b"title=x",
        "20000 lists in one another": b"[" * 20_000,
        "5000 objects in one another": b'{"title":' * 5_000,
        "é in Latin-1": '{"title": "é"}'.encode("latin-1"),
        "half of a letter in UTF-8": b'{"title": "\xe5\xad"}',
    }
    for words, body in bodies.items():
        for method, path in (("POST", API), ("PATCH", path_of(todo))):
            page = send(site, method, path, body)
            page.did = f"{method} {path} with {words} as the body"
            message(page.has_status(400))
    fields(f"GET {API}", *listed(site.get(API), 1), {"title": "Stay"})


def test_answer_needs_no_second_look(site: Site) -> None:
    """The answer is what was written, though someone else deletes it at once."""
    add(site, {"title": "Stay"})
    with site.database() as db:
        name = table(db)
        db.execute(
            f"CREATE TRIGGER gone AFTER INSERT ON {name} "
            f"BEGIN DELETE FROM {name} WHERE id = NEW.id; END"
        )
    page = site.post(API, json={"title": "Gone"})
    page.did += ", where someone else deletes the todo at once"
    if page.status >= 500:
        raise CheckFailed(page.did, "the todo that was added", server_error(page))


# 7.4


def test_created(site: Site) -> None:
    """What is added is answered with 201, and with where it is."""
    page = site.post(API, json={"title": "Buy milk"}).has_status(201)
    location, url = page.headers.get("Location", ""), told(page).get("url")
    here = urljoin("http://localhost" + API, location)
    expect(bool(location) and here == url, page.did, f"Location: {url}", location or "no Location")


def test_delete(site: Site) -> None:
    """DELETE of one deletes it, and only it."""
    stay, gone = add(site, {"title": "Stay"}), add(site, {"title": "Gone"})
    page = site.request("DELETE", path_of(gone)).has_status(204)
    expect(not page.body, page.did, "an empty body", body(page))
    site.get(path_of(gone)).has_status(404)
    site.request("DELETE", path_of(gone)).has_status(404)
    expect(listed(site.get(API)) == [stay], f"GET {API}", "the other todo", titles_of(site))


def test_errors_are_json(site: Site) -> None:
    """Every error below /api/ is JSON, and on the pages it is the site's page."""
    one = path_of(add(site, {"title": "Stay"}))
    large = json.dumps({"title": "x" * 70_000}).encode()
    for method, path, options, status in (
        ("GET", f"{API}/987654321", {}, 404),
        ("PATCH", f"{API}/987654321", {"json": {}}, 404),
        ("GET", f"{API}/{2**63}", {}, 404),
        ("GET", f"{API}/one", {}, 404),
        ("GET", "/api/nowhere", {}, 404),
        ("PUT", API, {"json": {"title": "x"}}, 405),
        ("POST", one, {"json": {"title": "x"}}, 405),
        ("POST", API, {"content": large, "headers": {"Content-Type": "application/json"}}, 413),
        ("PATCH", one, {"content": large, "headers": {"Content-Type": "application/json"}}, 413),
        ("POST", API, {"content": b'{"title": "x"}'}, 415),
        ("PATCH", one, {"content": b"x", "headers": {"Content-Type": "text/plain"}}, 415),
        ("POST", API, {"data": {"title": "x"}}, 415),
        ("POST", API, {"content": b"{", "headers": {"Content-Type": "application/json"}}, 400),
    ):
        page = site.request(method, path, **options).has_status(status)
        is_error(page)
        if status == 405:
            page.has_header("Allow", r".*\bGET\b.*", "the methods that are allowed")
    page = site.request("POST", API, json={"title": ""})
    is_error(page.has_status(400))
    named = "title" in told(page)["errors"]
    expect(named, page.did, 'a message in {"errors": {"title": "…"}}', body(page))
    expect(titles_of(site) == ["Stay"], "What was refused", "nothing stored", titles_of(site))
    links = set(navigation(site.get("/").has_status(200)))
    for path in ("/nowhere", "/nowhere?x=/api/", "/nowhere/api/", "/apiary"):
        page = site.get(path).has_status(404)
        expect(links <= set(navigation(page)), page.did, "the site's own error page", body(page))


def test_server_error_is_json(site: Site) -> None:
    """So is an error that nobody has foreseen, and it tells no secrets."""
    add(site, {"title": "Lost"})
    with site.database() as db:
        db.execute(f"ALTER TABLE {table(db)} RENAME TO elsewhere")
    page = site.get(API)
    page.did += " with the table gone"
    is_error(page.has_status(500))
    page.hides("Traceback").hides("SELECT")


def test_gone_meanwhile(site: Site) -> None:
    """What someone else has deleted a moment before is 404, as on the pages."""
    todo = add(site, {"title": "Gone"})
    with site.database() as db:
        name = table(db)
        db.execute(f"CREATE TRIGGER gone BEFORE UPDATE ON {name} BEGIN SELECT RAISE(IGNORE); END")
    page = site.request("PATCH", path_of(todo), json={"title": "Too late"})
    page.did += ", which someone else has just deleted"
    is_error(page.has_status(404))


# 7.5


def test_any_origin(site: Site) -> None:
    """Pages of any origin may read every answer of the API, and nothing else."""
    put(site, ["One"])
    for origin in ("https://anywhere.example", "null"):
        headers = {"Origin": origin}
        for method, path in (
            ("GET", API),
            ("GET", f"{API}/1"),
            ("GET", f"{API}/987654321"),
            ("GET", "/api/nowhere"),
            ("PUT", API),
        ):
            page = site.request(method, path, headers=headers)
            page.did += f" from the origin {origin}"
            open_to(page, origin)
            exposed = words(page, "Access-Control-Expose-Headers")
            expect(
                {"link", "location"} <= exposed or "*" in exposed,
                page.did,
                "Access-Control-Expose-Headers: Link, Location",
                ", ".join(sorted(exposed)) or "no such header",
            )
        for path in ("/", "/todos", "/todos?q=/api/", "/nowhere/api/", "/apiary"):
            page = site.get(path, headers=headers).has_status(200, 404)
            allowed = page.headers.get("Access-Control-Allow-Origin")
            expect(not allowed, page.did, "no Access-Control-Allow-Origin on a page", allowed)


def test_preflight(site: Site) -> None:
    """A browser that asks first is told which methods it may send, and JSON."""
    put(site, ["One"])
    for path, methods in ((API, {"GET", "POST"}), (f"{API}/1", {"GET", "PATCH", "DELETE"})):
        headers = {
            "Origin": "https://anywhere.example",
            "Access-Control-Request-Method": max(methods),
            "Access-Control-Request-Headers": "content-type",
        }
        page = site.request("OPTIONS", path, headers=headers).has_status(200, 204)
        open_to(page, headers["Origin"])
        allowed = {word.upper() for word in words(page, "Access-Control-Allow-Methods")}
        missing = ", ".join(sorted(methods - allowed)) if "*" not in allowed else ""
        expect(
            not missing,
            page.did,
            f"{missing} in Access-Control-Allow-Methods",
            ", ".join(sorted(allowed)) or "no such header",
        )
        more = allowed - {word.upper() for word in words(page, "Allow")} - {"*", "HEAD", "OPTIONS"}
        did = f"{page.did}, which has the header Allow: {page.headers.get('Allow')}"
        said = "the same in Access-Control-Allow-Methods"
        expect(not more, did, said, f"{', '.join(sorted(more))} too")
        names = words(page, "Access-Control-Allow-Headers")
        expect(
            "content-type" in names or "*" in names,
            page.did,
            "Content-Type in Access-Control-Allow-Headers",
            ", ".join(sorted(names)) or "no such header",
        )
    is_error(site.request("OPTIONS", "/api/nothing", headers=headers).has_status(404))


# 7.6


def test_own_todos(site: Site) -> None:
    """Who is logged in has her own todos, guests have theirs, and nobody has the other's."""
    ann = site.browser()
    register(ann, "Ann")
    board = add(site, {"title": "On the board"})
    own = add(ann, {"title": "Ann's own"})
    for who, browser, wanted, others in (
        ("a guest", site, board, own),
        ("Ann", ann, own, board),
    ):
        found = titles_of(browser)
        expect(found == [wanted["title"]], f"GET {API} as {who}", wanted["title"], found)
        for method, options in (("GET", {}), ("PATCH", {"json": {"order": 1}}), ("DELETE", {})):
            page = browser.request(method, path_of(others), **options)
            page.did += f" as {who}, of {others['title']!r}"
            page.has_status(404)
    ann.get("/todos").has_status(200).shows("Ann's own").hides("On the board")
    for browser, todo in ((site, board), (ann, own)):
        expect(
            told(browser.get(path_of(todo))) == todo, "The todo", f"as it was: {todo}", "changed"
        )


def test_other_sites_are_guests(site: Site) -> None:
    """What another site sends reaches the guest board alone, with Ann's cookie too."""
    ann = site.browser()
    register(ann, "Ann")
    own = add(ann, {"title": "Ann's own"})
    for headers in EVIL:
        words = f" with Ann's cookie and {headers}"
        page = ann.post(API, json={"title": "From elsewhere"}, headers=headers)
        page.did += words
        todo = told(page.has_status(200, 201))
        found = titles(listed(ann.get(API, headers=headers)))
        expect(found == ["From elsewhere"], f"GET {API}{words}", "the guest board", found)
        for method, options in (("GET", {}), ("PATCH", {"json": {"order": 1}}), ("DELETE", {})):
            page = ann.request(method, path_of(own), headers=headers, **options)
            page.did += words
            page.has_status(404)
        page = ann.request("PATCH", path_of(todo), json={"completed": True}, headers=headers)
        page.did += words
        page.has_status(200)
        page = ann.request("DELETE", API, headers=headers).has_status(204)
        found = titles_of(ann)
        expect(found == ["Ann's own"], page.did + words, "Ann's todo as it was", found)
        for path, data in (("/todos", {"title": "From evil"}), ("/logout?x=/api/", {})):
            page = ann.post(path, data=data, headers=headers)
            page.did += words
            page.has_status(403)
    page = ann.get("/todos?x=/api/", headers={"Sec-Fetch-Site": "cross-site"})
    page.did += " as Ann, who follows another site's link"
    page.has_status(200).shows("Ann's own")
    for headers in ({}, {"Origin": "http://localhost", "Sec-Fetch-Site": "same-origin"}):
        found = titles(listed(ann.get(API, headers=headers)))
        expect(found == ["Ann's own"], f"GET {API} as Ann with {headers}", "Ann's own", found)


# 7.7


def test_pages(site: Site) -> None:
    """The list comes a page at a time, the newest first."""
    put(site, [f"Todo {number}" for number in range(1, 46)])
    for query, newest, oldest in (
        ("", 45, 26),
        ("?page=2", 25, 6),
        ("?page=3", 5, 1),
        ("?page=4", 0, 1),
        ("?per_page=100", 45, 1),
        ("?per_page=10&page=2", 35, 26),
        ("?page=45&per_page=1", 1, 1),
        ("?page=10000&per_page=100", 0, 1),
    ):
        page = site.get(API + query)
        wanted = [f"Todo {number}" for number in range(newest, oldest - 1, -1)]
        found = titles(listed(page))
        expect(found == wanted, page.did, in_short(wanted), in_short(found))


def test_one_page_is_loaded(site: Site) -> None:
    """Of many todos, those of the page are loaded, and no more than a few beside them."""
    put(site, [f"Todo {number}" for number in range(1, 61)])
    did, number = loaded(site, f"{API}?per_page=5")
    expect(number <= 20, did, "about 5 that are loaded", number)


def test_link(site: Site) -> None:
    """The header Link leads to the first page, the one before and the one after."""
    put(site, [f"Todo {number}" for number in range(1, 41)])
    seen, here, rels = [], f"{API}?per_page=10", []
    while here and len(rels) < 6:
        page = site.get(here)
        links = link_header(page)
        seen += titles(listed(page))
        rels.append((page, links))
        here = path_and_query(links.get("next", ""))
    wanted = [f"Todo {number}" for number in range(40, 0, -1)]
    did = f"GET {API}?per_page=10, and rel=next from there"
    expect(seen == wanted, did, in_short(wanted), in_short(seen))
    for number, (page, links) in enumerate(rels, 1):
        for rel, there in (("first", 1), ("prev", number - 1), ("next", (number + 1) % 5)):
            url = path_and_query(links.get(rel, ""))
            expect(
                bool(url) == bool(there),
                page.did,
                f'a link with rel="{rel}"' if there else f'no link with rel="{rel}"',
                page.headers.get("Link", "no header Link"),
            )
            if there:
                same = titles(listed(site.get(url)))
                first = f"Todo {50 - 10 * there}"
                expect(same[:1] == [first], f"GET {url}, which is {rel}", first, same[:1])
    host = "todos.example:8080"
    page = site.get(f"{API}?per_page=10", headers={"Host": host})
    page.did += f" from the host {host}"
    for rel, url in link_header(page).items():
        here = urljoin(f"http://{host}{API}", url)
        expect(urlsplit(here).netloc == host, page.did, f"a link rel={rel} to this host", url)


def test_last_link(site: Site) -> None:
    """There is no next after the last page that may be asked for, though todos follow."""
    put(site, [f"Todo {number}" for number in range(1, 10_003)])
    page = site.get(f"{API}?page=10000&per_page=1").has_status(200)
    links = link_header(page)
    expect("prev" in links, page.did, 'a link with rel="prev"', page.headers.get("Link", "none"))
    expect("next" not in links, page.did, "no link to page 10001, which is refused", links)


def test_page_refuses(site: Site) -> None:
    """A page that is no number within bounds is refused, with the name of what is wrong."""
    put(site, ["One"])
    listed(site.get(f"{API}?page=1&per_page=1"), 1)
    odd = ["", "0", "-1", "x", "1.5", "1e3", "%00", "1%0a", "%ff", "²", "1" * 30, "9" * 5000]
    for name in ("page", "per_page"):
        for value in [*odd, *TOO_LARGE, *NO_DIGITS]:
            page = site.get(f"{API}?{name}={value}")
            page.did = f"GET {API}?{name}={str(value)[:40]}"
            refused(page.has_status(400), name)
    refused(site.get(f"{API}?per_page=101").has_status(400), "per_page")
    refused(site.get(f"{API}?page=10001").has_status(400), "page")
    refused(site.get(f"{API}?pages=2").has_status(400), "pages")


# 7.8


def test_delete_all(site: Site) -> None:
    """DELETE of the list deletes all todos of whoever asks, and nobody else's."""
    ann = site.browser()
    register(ann, "Ann")
    own = add(ann, {"title": "Ann's own"})
    insert(site, ["One", "Two"])
    page = site.request("DELETE", API).has_status(204)
    expect(not page.body, page.did, "an empty body", body(page))
    expect(titles_of(site) == [], f"GET {API} after DELETE {API}", "an empty list", titles_of(site))
    expect(listed(ann.get(API)) == [own], f"DELETE {API} as a guest", "Ann's as it was", "a change")
    insert(site, ["Three"])
    ann.request("DELETE", API).has_status(204)
    expect(titles_of(ann) == [], f"DELETE {API} as Ann", "an empty list", titles_of(ann))
    expect(titles_of(site) == ["Three"], f"DELETE {API} as Ann", "the board's", titles_of(site))


def test_delete_all_is_one_statement(site: Site) -> None:
    """It costs the database the same for many todos."""
    insert(site, [f"Todo {number}" for number in range(50)])
    command = site.probe(f"DELETE {API} with 50 todos", STATEMENTS).exits(0).prints("204")
    found = re.search(r"(\d+) statements", command.out)
    number = int(found[1]) if found else 0
    expect(1 <= number <= 5, command.did, "one statement", f"{number} statements")
    left = titles_of(site)
    expect(left == [], command.did, "an empty list", f"{len(left)} todos")


def test_stats_follow(site: Site) -> None:
    """What the API writes shows on the statistics page at once."""
    visit(site).shows("0 of 0 todos")
    todo = add(site, {"title": "Buy milk"})
    shows_now(site, "0 of 1 todos", "after a POST")
    site.request("PATCH", path_of(todo), json={"completed": True}).has_status(200)
    shows_now(site, "1 of 1 todos", "after a PATCH")
    site.request("DELETE", path_of(todo)).has_status(204)
    shows_now(site, "0 of 0 todos", "after a DELETE")
    put(site, ["One", "Two"])
    add(site, {"title": "Three"})
    shows_now(site, "0 of 3 todos", "after another POST")
    site.request("DELETE", API).has_status(204)
    shows_now(site, "0 of 0 todos", "after a DELETE of all")


# What the checks need


def add(browser: Browser, todo: dict[str, Any]) -> dict[str, Any]:
    """Add a todo with a POST; return what it answers."""
    return told(browser.post(API, json=todo).has_status(200, 201))


def send(browser: Browser, method: str, path: str, body: bytes) -> Page:
    """Send a body that says it is JSON."""
    return browser.request(method, path, content=body, headers={"Content-Type": "application/json"})


def told(page: Page) -> dict[str, Any]:
    """Return the JSON object that an answer is; raise where it is none."""
    found = page.json()
    expect(isinstance(found, dict), page.did, "a JSON object", body(page))
    said = page.headers.get("Content-Type", "none")
    is_json = said.partition(";")[0].strip() == "application/json"
    expect(is_json, page.did, "Content-Type: application/json", said)
    return found


def listed(page: Page, number: int | None = None) -> list[dict[str, Any]]:
    """Return the todos of an answer; raise where it is no list of objects, or not so many."""
    found = page.has_status(200).json()
    right = isinstance(found, list) and all(isinstance(todo, dict) for todo in found)
    expect(right, page.did, "a JSON array of todos", body(page))
    if number is not None:
        like = "1 todo" if number == 1 else f"{number} todos"
        expect(len(found) == number, page.did, like, f"{len(found)}: {titles(found)}")
    return found


def body(page: Page) -> str:
    """Return what came, in short."""
    text = " ".join(page.body.split())
    return text if len(text) <= 160 else text[:160] + " …"


def titles(todos: list[dict[str, Any]]) -> list[Any]:
    """Return the titles of todos."""
    return [todo.get("title") for todo in todos]


def in_short(found: list[Any]) -> str:
    """Return the first and the last title of many."""
    many = f"{found[0]} to {found[-1]} ({len(found)})" if len(found) > 1 else ", ".join(found)
    return many or "an empty list"


def titles_of(browser: Browser) -> list[Any]:
    """Return the titles that the list has for this browser."""
    return titles(listed(browser.get(API)))


def fields(did: str, todo: dict[str, Any], wanted: dict[str, Any]) -> None:
    """Expect the five fields of a todo, of the right types, and some with these values."""
    names = {"id", "title", "completed", "order", "url"}
    expect(todo.keys() == names, did, "the fields id, title, completed, order, url", list(todo))
    for name, kinds in (
        ("id", (int,)),
        ("title", (str,)),
        ("completed", (bool,)),
        ("order", (int, type(None))),
        ("url", (str,)),
    ):
        like = " or ".join("null" if kind is type(None) else kind.__name__ for kind in kinds)
        expect(type(todo[name]) in kinds, did, f"{name}: {like}", repr(todo[name]))
    for name, value in wanted.items():
        expect(todo[name] == value, did, f"{name}: {json.dumps(value)}", json.dumps(todo[name]))


def path_of(todo: dict[str, Any]) -> str:
    """Return the path of a todo."""
    return f"{API}/{todo.get('id')}"


def leads(site: Site, mount: str, host: str) -> None:
    """Expect the url of the one todo to be absolute, and to lead to it, at this host."""
    headers = {"Host": host}
    page = site.get(mount + API, headers=headers)
    (todo,) = listed(page, 1)
    url = str(todo.get("url"))
    like = f"http://{host}{mount}{API}/{todo.get('id')}"
    page.did += f" from the host {host}"
    expect(url.startswith(f"http://{host}{mount}/"), page.did, f"a url like {like}", url)
    same = told(site.get(urlsplit(url).path, headers=headers).has_status(200))
    expect(same == todo, f"GET {url}", f"the todo {todo}", same)


def refuses(site: Site, name: str, *values: Any) -> None:
    """Expect POST and PATCH to refuse each value of a field, and the todo to stay as it was."""
    todo = add(site, {"title": "Stay"})
    for value in values:
        page = site.post(API, json={"title": "x", name: value})
        refused(page.has_status(400), name)
        page = site.request("PATCH", path_of(todo), json={name: value})
        refused(page.has_status(400), name)
    after = told(site.get(path_of(todo)))
    expect(after == todo, f"PATCH {path_of(todo)}, refused", f"no change: {todo}", after)
    site.post(f"/todos/{todo['id']}/delete")


def refuses_body(site: Site, body: bytes, name: str) -> None:
    """Expect a body to be refused for the field of this name."""
    refused(send(site, "POST", API, body).has_status(400), name)


def refused(page: Page, name: str) -> None:
    """Expect a message for the field of this name."""
    errors = told(page).get("errors")
    said = errors.get(name) if isinstance(errors, dict) else None
    like = json.dumps({"errors": {name: "…"}}, ensure_ascii=False)
    expect(isinstance(said, str) and bool(said), page.did, f"a message in {like}", body(page))
    pythons = re.search("invalid literal|could not convert|Exceeds the limit", str(said))
    expect(pythons is None, page.did, "a message in words of your own", f"Python's: {said}")


def message(page: Page) -> None:
    """Expect that an error says in JSON what is wrong."""
    said = told(page).get("message")
    expect(isinstance(said, str) and bool(said), page.did, 'a "message" in the JSON', body(page))


def is_error(page: Page) -> None:
    """Expect an error as all of the API are."""
    message(page)
    right = isinstance(told(page).get("errors"), dict)
    expect(right, page.did, 'JSON with "message" and "errors", {} where there are none', body(page))
    said, phrase = told(page)["message"], HTTPStatus(page.status).phrase
    expect(said != phrase, page.did, "a message that says more than the status", said)


def nothing_stored(site: Site) -> None:
    """Expect no todo."""
    found = titles_of(site)
    expect(found == [], "What was refused", "nothing stored", found)


def server_error(page: Page) -> str:
    """Return what a page of status 500 says in the log."""
    return f"status {page.status}: {page._trace().error}"


def open_to(page: Page, origin: str) -> None:
    """Expect that pages of the origin may read the answer, without a cookie."""
    allowed = page.headers.get("Access-Control-Allow-Origin", "no such header")
    varies = "origin" in words(page, "Vary")
    right = allowed == "*" or (allowed == origin and varies)
    expect(right, page.did, "Access-Control-Allow-Origin: *", allowed)
    cookies = page.headers.get("Access-Control-Allow-Credentials")
    expect(not cookies, page.did, "no Access-Control-Allow-Credentials", cookies)


def words(page: Page, header: str) -> set[str]:
    """Return the words of a header that lists some, in small letters."""
    values = page.headers.get_list(header, split_commas=True)
    return {value.strip().lower() for value in values if value.strip()}


def link_header(page: Page) -> dict[str, str]:
    """Return the links in the header Link, by their rel (RFC 8288)."""
    links = {}
    for url, parameters in re.findall(r"<([^>]*)>([^<]*)", page.headers.get("Link", "")):
        rels = re.search(r';\s*rel\s*=\s*"?([^";,]+)', parameters, re.IGNORECASE)
        for rel in rels[1].lower().split() if rels else ():
            links.setdefault(rel, url)
    return links


def path_and_query(url: str) -> str:
    """Return what a browser asks for when it follows a link of the list."""
    parts = urlsplit(urljoin("http://localhost" + API, url)) if url else urlsplit("")
    return f"{parts.path}?{parts.query}" if parts.query else parts.path
