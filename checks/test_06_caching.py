"""Lesson 6: what all todos say in numbers, counted once and kept."""

import json
import re
import sqlite3
from datetime import UTC, datetime, timedelta
from typing import Any

from checks.test_00_request import add
from checks.test_02_blueprint import navigation
from checks.test_03_sqlalchemy import filler, table, titles
from checks.test_05_session import foreign_key, register
from course.answers import Command, Page, expect
from course.browser import Browser
from course.site import Site

CACHES = """
import json, os, sys
from redis import Redis
import App
from App import ext

found = {}
for name in json.loads(os.environ["TYPES"]):
    os.environ.pop("CACHE_TYPE", None)
    if name:
        os.environ["CACHE_TYPE"] = name
    sys.modules.pop("App.settings", None)
    try:
        app = App.create_app()
    except (Exception, SystemExit) as error:
        found[name] = f"refused: {error}"
        continue
    caches = app.extensions.get("cache")
    if not caches:
        raise SystemExit("create_app() binds no Cache object to the app")
    cache, store = next(iter(caches.items()))
    if not any(value is cache for value in vars(ext).values()):
        raise SystemExit("The Cache object is not in App/ext.py")
    found[name] = type(store).__name__
    for value in vars(store).values():
        if isinstance(value, Redis):
            found["url"] = "{host}:{port}/{db}".format(**value.connection_pool.connection_kwargs)
print(json.dumps(found))
"""

HEADERS = """
import json
from flask import session
import App

app = App.create_app()

@app.before_request
def note_visit():
    session["visits to all pages"] = session.get("visits to all pages", 0) + 1

found = []
for client in (app.test_client(), app.test_client()):
    headers = client.get("/stats").headers
    found.append([headers.get(name) for name in ("X-Cache", "Vary", "Set-Cookie")])
print(json.dumps(found))
"""

MEANWHILE = """
import json, re, threading
from sqlalchemy import Engine, event
import App

app = App.create_app()
client = app.test_client()
store = next(iter(app.extensions["cache"].values()))
set_many, add = store.set_many, store.add
threads, todos, comes_before_commit = [], [1], []

def write():
    todos.append(1)
    data = {"title": "Added while the others are counted"}
    app.test_client().post("/todos", data=data, follow_redirects=True)

def write_meanwhile():
    threads.append(threading.Thread(target=write))
    threads[-1].start()
    threads[-1].join(0.5)  # some lock the writer out until the count is done

@event.listens_for(Engine, "after_cursor_execute")
def while_counting(connection, cursor, sql, *args):
    if not threads and threading.current_thread() is threading.main_thread():
        write_meanwhile()

def while_storing(*args, **kwargs):
    store.set_many = set_many
    write_meanwhile()
    return set_many(*args, **kwargs)

def another_first(key, value, *args, **kwargs):
    store.add = add
    add(key, f"not {value}", *args, **kwargs)
    return add(key, value, *args, **kwargs)

def another_after(*args, **kwargs):
    store.add = add
    added = add(*args, **kwargs)
    write_meanwhile()
    return added

@event.listens_for(Engine, "commit")
def before_commit(connection):
    if comes_before_commit:
        thread = threading.Thread(target=comes_before_commit.pop(), args=["/stats"])
        thread.start()
        thread.join(0.5)

def numbers(page):
    text = " ".join(re.sub("<[^>]*>", " ", page.text).split())
    found = re.search(r"\\d+ of (\\d+) todos", text)
    return (found[0], int(found[1])) if found else ("no numbers", 0)

def then():
    client.get("/stats")
    for thread in threads:
        thread.join()
    return numbers(client.get("/stats"))[0]

found = [then()]
write()
store.set_many = while_storing
found.append(then())
if len(threads) == 1:  # nothing was stored in that way
    write()
    found[-1] = then()
store.clear()
store.add = another_first
client.get("/stats")
found.append(client.get("/stats").headers.get("X-Cache"))
for _ in range(2):
    write()
    store.add = another_after
    least = len(todos)
    said, number = numbers(client.get("/stats"))
found += [said, number, least]
comes_before_commit.append(app.test_client().get)
write()
print(json.dumps([*found, numbers(client.get("/stats"))[0], f"0 of {len(todos)} todos"]))
"""

EXPIRED = """
import json, sys, time
import App

client = App.create_app().test_client()

def state():
    return client.get("/stats").headers.get("X-Cache", "none").lower()

state()
modules = [module for name, module in sys.modules.items() if name.startswith("cachelib")]
for module in [module for module in modules if hasattr(module, "time")]:
    module.time = lambda: time.time() + 2 * 24 * 60 * 60
print(json.dumps([state() for _ in range(4)]))
"""

FULL = """
import App

client = App.create_app({"CACHE_TYPE": "SimpleCache", "CACHE_THRESHOLD": 10}).test_client()

def state():
    return client.get("/stats").headers.get("X-Cache", "none").lower()

for number in range(30):
    client.post("/todos", data={"title": f"Todo {number}"})
    state()
print([state() for _ in range(3)][-1])
"""

LOADS = """
import os
from sqlalchemy import event
import App

app, loaded = App.create_app(), []

@event.listens_for(app.extensions["sqlalchemy"].Model, "load", propagate=True)
def note(row, context):
    loaded.append(row)

print(app.test_client().get(os.environ["ASKED"]).status_code, len(loaded))
"""

AT_ONCE = """
import os, sys, threading, time
from sqlalchemy import Engine, event
import App

app = App.create_app()
store = next(iter(app.extensions["cache"].values()))
get, add = store.get, store.add
here = os.path.realpath(os.getcwd()) + os.sep
arrived, inside, counting, misses = set(), set(), set(), []
looks, adding, seen = {}, [], threading.Event()

@app.before_request
def arrive():
    arrived.add(threading.get_ident())

def ask():
    misses.append(app.test_client().get("/stats").headers.get("X-Cache", "").lower() == "miss")

def waiting():
    \"\"\"Return where each of the others waits, or None where one is not in a lock.\"\"\"
    found = []
    for ident, frame in sys._current_frames().items():
        if ident in arrived - inside:
            file = os.path.realpath(frame.f_code.co_filename)
            if file != threading.__file__ and not file.startswith(here):
                return None
            found.append((ident, frame.f_lasti))
    return found if len(arrived) == 20 else None

def let_the_others_come():
    \"\"\"Hold the first thread until a second is as far, or all others wait for it.\"\"\"
    inside.add(threading.get_ident())
    deadline = time.monotonic() + 1
    while len(inside) == 1 and time.monotonic() < deadline:
        before = waiting()
        time.sleep(0.002)
        if before is not None and before == waiting():
            break

def get_slowly(key, *args, **kwargs):
    found = looks[threading.get_ident(), key] = get(key, *args, **kwargs)
    if adding and found is not None:
        seen.set()
    let_the_others_come()
    return found

def add_late(key, *args, **kwargs):
    \"\"\"Add as FileSystemCache can: it looks, and then sets what another has set meanwhile.\"\"\"
    if looks.get((threading.get_ident(), key), "not looked") is not None:
        return add(key, *args, **kwargs)
    adding.append(key)
    if len(adding) > 1:
        seen.wait(1)
    return store.set(key, *args, **kwargs)

@event.listens_for(Engine, "before_cursor_execute")
def count(*args):
    counting.add(threading.get_ident())
    let_the_others_come()

store.get, store.add = get_slowly, add_late

threads = [threading.Thread(target=ask) for _ in range(20)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(len(counting), "of 20 count,", sum(misses), "of 20 say miss")
"""

POOL = """
import threading
from sqlalchemy import event
from sqlalchemy.pool import Pool
import App

app = App.create_app(
    {"SQLALCHEMY_ENGINE_OPTIONS": {"pool_size": 1, "max_overflow": 0, "pool_timeout": 1}}
)
ann, guest = app.test_client(), app.test_client()
data = {"name": "Ann", "password": "correct horse"}
ann.post("/register", data=data, follow_redirects=True)
store = next(iter(app.extensions["cache"].values()), None)
get, connected, came = store.get, threading.Event(), []

def ask():
    came.append(ann.get("/stats").status_code)

@event.listens_for(Pool, "checkout")
def note(*args):
    if threading.current_thread() is thread:
        connected.set()

def get_late(*args, **kwargs):
    store.get = get
    thread.start()
    connected.wait(1)
    return get(*args, **kwargs)

thread = threading.Thread(target=ask)
store.get = get_late
status = guest.get("/stats").status_code
if store.get is not get:
    thread.start()
thread.join()
print("guest", status, "user", came[0])
"""

TYPES = ("FileSystemCache", "SimpleCache", "RedisCache", "NullCache")


# 6.1


def test_totals(site: Site) -> None:
    """The page says how many todos there are, whose ever they are, and how many are completed."""
    ann = insert_users(site, "Ann")[0]
    old = datetime.now(UTC) - timedelta(days=400)
    insert_todos(site, [{"completed": 1, "created": old}, {"owner": ann}, {"owner": ann}])
    visit(site).shows("1 of 3 todos are completed (33 %)")
    links = navigation(site.get("/todos").has_status(200))
    expect("/stats" in links, "GET /todos", "a link to /stats in the navigation", links)


def test_no_todos(site: Site) -> None:
    """Where there are no todos, the page says so."""
    visit(site).shows("0 of 0 todos are completed").hides("%")


def test_by_day(site: Site) -> None:
    """The page has a row for each of the last 30 days on which todos were added."""
    today = datetime.now(UTC)
    insert_todos(site, [{"created": today - timedelta(days=day)} for day in (0, 1, 1, 29, 30, 31)])
    has_rows(visit(site), [[date(0), "1"], [date(1), "2"], [date(29), "1"]], r"\d{4}-\d\d-\d\d")


def test_by_user(site: Site) -> None:
    """The page has a row for each of the ten users who have the most todos, of all time."""
    names = [f"User {i:02}" for i in range(1, 13)]
    for number, user in enumerate(insert_users(site, *names), start=1):
        old = datetime.now(UTC) - timedelta(days=5 * number)
        insert_todos(site, [{"owner": user, "created": old}] * number)
    insert_todos(site, [{}] * 20)
    wanted = [[f"User {number:02}", str(number)] for number in range(12, 2, -1)]
    has_rows(visit(site), wanted, r"User \d\d")


def test_the_database_counts(site: Site) -> None:
    """The app does not load the todos to count them: of a million, that takes very long."""
    insert_todos(site, [{}] * 60)
    did, number = loaded(site, "/stats")
    expect(number < 60, did, "that the database counts", f"{number} rows that were loaded")


# 6.2


def test_cache(site: Site) -> None:
    """App/ext.py holds the Cache object, and init_ext binds it to every app."""
    found = caches(site, "")[""]
    expect(found == "FileSystemCache", "create_app()", "a FileSystemCache", found)


def test_cache_types(site: Site) -> None:
    """CACHE_TYPE says where the cache is, and REDIS_URL where Redis is."""
    found = caches(site, *TYPES, env={"REDIS_URL": "redis://127.0.0.1:6398/5"})
    for name in TYPES:
        expect(found[name] == name, f"create_app() with CACHE_TYPE={name}", name, found[name])
    url = found.get("url")
    did = "create_app() with REDIS_URL=redis://127.0.0.1:6398/5"
    expect(url == "127.0.0.1:6398/5", did, "the cache in that Redis", url)


def test_unknown_cache_type(site: Site) -> None:
    """Another type, such as the "redis" of old, stops the start, and the error names the types."""
    for name, found in caches(site, "redis", "simple", "Redis").items():
        did = f"create_app() with CACHE_TYPE={name}"
        expect(found.startswith("refused:"), did, "an error", found)
        for word in ("CACHE_TYPE", *TYPES):
            expect(word in found, did, f"an error that names {word}", found[:200])


# 6.3


def test_counted_once(site: Site) -> None:
    """The second visit shows what was counted for the first, also after a restart."""
    insert_todos(site, [{}, {"completed": 1}])
    is_a("miss", visit(site).shows("1 of 2 todos"))
    is_a("hit", visit(site).shows("1 of 2 todos"))
    insert_todos(site, [{}])  # past the app, which cannot know
    page = visit(site)
    page.did += " after a todo was put into the database by hand"
    is_a("hit", page.shows("1 of 2 todos"))
    site.start()
    page = visit(site)
    page.did += " after a restart"
    is_a("hit", page)
    page.shows("1 of 2 todos")


def test_own_page(site: Site) -> None:
    """The numbers are kept, and the page is each visitor's own."""
    ann, bob = site.browser(), site.browser()
    for browser, name in ((ann, "Ann Early"), (bob, "Bob Late")):
        register(browser, name)
    is_a("miss", visit(ann).shows("Ann Early"))
    for browser, shown in ((bob, "Bob Late"), (ann, "Ann Early"), (site, None)):
        page = visit(browser)
        page.did += f" by {shown or 'a guest'}, after Ann Early"
        for rows in page.html("table"):
            rows.decompose()  # there may be users without todos in them
        for name in ("Ann Early", "Bob Late"):
            page.shows(name) if name == shown else page.hides(name)
        is_a("hit", page)


def test_headers_of_a_hit(site: Site) -> None:
    """A page with kept numbers still says Vary: Cookie, and sets a cookie of its visitor's own."""
    site.get("/stats").has_status(200)
    did = "Two visitors of /stats, whose sessions change there"
    first, second = json.loads(site.probe(did, HEADERS).exits(0).out.splitlines()[-1])
    for hit, vary, cookie in (first, second):
        expect(str(hit).lower() == "hit", did, "X-Cache: hit", hit)
        expect("cookie" in str(vary).lower(), did, "Vary: Cookie", vary)
        expect(bool(cookie), did, "the header Set-Cookie", "none")
    expect(first[2] != second[2], did, "a cookie for each", "one cookie for both")


# 6.4


def test_days(site: Site) -> None:
    """?days=N is the number of days, today included, from 1 to 366."""
    today = datetime.now(UTC)
    insert_todos(site, [{"created": today - timedelta(days=day)} for day in (0, 6, 7, 365, 366)])
    for days, shown in ((1, [0]), (7, [0, 6]), (366, [0, 6, 7, 365])):
        has_rows(visit(site, f"/stats?days={days}"), [[date(n), "1"] for n in shown], r"\d{4}-.*")


def test_each_question_has_its_answer(site: Site) -> None:
    """Numbers are kept for each number of days, and for nothing else in the address."""
    today = datetime.now(UTC)
    insert_todos(site, [{"created": today - timedelta(days=day)} for day in (0, 3, 20)])
    week, month = [[date(0), "1"], [date(3), "1"]], [[date(n), "1"] for n in (0, 3, 20)]
    for state, path, wanted in (
        ("miss", "/stats", month),
        ("miss", "/stats?days=7", week),
        ("hit", "/stats", month),
        ("hit", "/stats?days=30", month),
        ("hit", "/stats?days=7&x=1", week),
    ):
        page = visit(site, path)
        has_rows(page, wanted, r"\d{4}-.*")
        is_a(state, page)
    for path, wanted in (("/stats?days=007", week), ("/stats?days=x", month)):
        page = site.get(path)
        if page.status != 400:  # it may be refused, too
            has_rows(page.has_status(200), wanted, r"\d{4}-.*")
            is_a("hit", page)


def test_odd_days(site: Site) -> None:
    """Other numbers of days are refused, and what is no number is no error of the server."""
    visit(site)
    for days in ("0", "-1", "367", "1" + "0" * 12, "1" * 30):
        site.get(f"/stats?days={days}").has_status(400)
    for days in ("", "x", "7.5", "%00", "1" * 5000):
        page = site.get(f"/stats?days={days}")
        page.did = (
            f"GET /stats?days={days}" if len(days) < 9 else "GET /stats?days=1111… (5000 digits)"
        )
        expect(page.status < 500, page.did, "a page, or status 400", f"status {page.status}")


def test_errors_are_not_kept(site: Site) -> None:
    """After an error there are numbers again, and a POST is never answered in place of a GET."""
    insert_todos(site, [{}])
    site.get("/stats?days=0").has_status(400)
    site.post("/stats").has_status(405)
    with site.database() as db:
        todos = table(db)
        db.execute(f"ALTER TABLE {todos} RENAME TO away")
    site.get("/stats").has_status(500)
    with site.database() as db:
        db.execute(f"ALTER TABLE away RENAME TO {todos}")
    page = visit(site)
    page.did += " after status 500"
    is_a("miss", page.shows("0 of 1 todos"))
    is_a("hit", visit(site))
    site.post("/stats").has_status(405)
    site.get("/stats?days=0").has_status(400)


# 6.5


def test_a_write_shows(site: Site) -> None:
    """What is added, changed or deleted on a page shows at the next visit."""
    is_a("miss", visit(site).shows("0 of 0 todos"))
    add(site, "Buy milk").redirects_to("/todos")
    shows_now(site, "0 of 1 todos", "after a todo was added")
    todo = site.get("/todos").has_status(200).link("Buy milk")
    box = site.get(todo).has("[name=completed]", "a checkbox named completed")
    data = {"title": "Buy milk", "completed": box.get("value", "on")}
    site.post(todo, data=data).redirects_to("/todos")
    shows_now(site, "1 of 1 todos", "after it was completed")
    site.post(f"{todo}/delete").redirects_to("/todos")
    shows_now(site, "0 of 0 todos", "after it was deleted")


def test_a_commands_write_shows(site: Site) -> None:
    """So does what a command writes, which is another process."""
    is_a("miss", visit(site).shows("0 of 0 todos"))
    site.write("new.csv", "title,completed\nTea,no\nCake,yes\n")
    site.manage("import", "new.csv").exits(0)
    shows_now(site, "1 of 2 todos", "after manage.py import of 2 todos")
    site.manage("seed", "5").exits(0)
    shows_now(site, "of 7 todos", "after manage.py seed 5")


def test_an_old_count_is_not_kept(site: Site) -> None:
    """What was counted before a write, and comes after it, is not shown to the next visitor."""
    insert_todos(site, [{}])
    did = "GET /stats, twice, with a todo"
    out = site.probe(did, MEANWHILE).exits(0).out
    counted, stored, state, said, number, least, committed, now = json.loads(out.splitlines()[-1])
    meanwhile = f"{did} that is added while the first"
    expect(counted == "0 of 2 todos", f"{meanwhile} counts", "0 of 2 todos", counted)
    expect(stored == "0 of 4 todos", f"{meanwhile} stores its numbers", "0 of 4 todos", stored)
    did = (
        "GET /stats, twice, where the first finds an empty cache, and another process writes there"
    )
    expect(str(state).lower() == "hit", did, "X-Cache: hit", state)
    did = "GET /stats, where another process writes between two looks into the cache, once more"
    expect(number >= least, did, f"at least 0 of {least} todos", said)
    did = "GET /stats after a commit, and a visit just before it"
    expect(committed == now, did, now, committed)


def test_after_the_timeout(site: Site) -> None:
    """What was kept is forgotten, and then kept anew, once, also where nobody has written since."""
    insert_todos(site, [{}])
    out = site.probe("GET /stats, four times, two days after the last", EXPIRED).exits(0).out
    states = json.loads(out.splitlines()[-1])
    did = "GET /stats two days after the last write and the last visit, four times"
    expect(states[0] == "miss", did, "X-Cache: miss at first", ", ".join(states))
    expect(states[-2:] == ["hit", "hit"], did, "X-Cache: hit from the third on", ", ".join(states))


def test_a_full_cache(site: Site) -> None:
    """What is kept of old numbers does not push out what the new ones are found by."""
    did = "GET /stats, after 30 writes and visits, where the cache holds 10 entries"
    state = site.probe(did, FULL).exits(0).out.split()[-1]
    expect(state == "hit", did, "X-Cache: hit", state)


def test_without_a_cache(site: Site) -> None:
    """With NullCache, which keeps nothing, every visit is answered, and is a miss."""
    insert_todos(site, [{}])
    site.start(env={"CACHE_TYPE": "NullCache"})
    for _ in range(2):
        page = visit(site)
        page.did += " with CACHE_TYPE=NullCache"
        is_a("miss", page.shows("0 of 1 todos"))


# 6.6


def test_one_counts(site: Site) -> None:
    """Of twenty who ask at once where nothing is kept, one counts, and all get the numbers."""
    insert_todos(site, [{}] * 3)
    pages = site.at_once(20, "/stats")
    for page in pages:
        page.has_status(200).shows("0 of 3 todos")
    misses = [page.headers.get("X-Cache", "").lower() for page in pages].count("miss")
    expect(misses == 1, pages[0].did, "X-Cache: miss for 1 of them", f"miss for {misses}")
    did = "GET /stats, 20 at once, where the first is slow"
    command = site.probe(did, AT_ONCE, env={"CACHE_TYPE": "SimpleCache"}).exits(0)
    likely = "1 of 20 count, 1 of 20 say miss"
    command.prints_line(likely, likely)


def test_waiting_takes_no_connection(site: Site) -> None:
    """Who waits for the numbers holds no connection to the database: the one who counts needs it.

    A user is loaded from the database before the view, and so has a connection.
    """
    visit(site)
    site.manage("seed", "1").exits(0)
    did = "/stats for a guest, and for a user who waits, with 1 connection to the database"
    site.probe(did, POOL).exits(0).prints_line("guest 200 user 200", "guest 200 user 200")


# 6.7


def test_clear_cache(site: Site) -> None:
    """The command forgets the numbers, and nothing else: todos and sessions stay."""
    add(site, "Stay").redirects_to("/todos")
    site.get("/").has_status(200).shows("1 time")
    is_a("miss", visit(site).shows("0 of 1 todos"))
    is_a("hit", visit(site))
    site.manage("clear_cache").exits(0)
    page = visit(site)
    page.did += " after clear_cache"
    is_a("miss", page.shows("0 of 1 todos"))
    expect(titles(site) == ["Stay"], "clear_cache", "the todo to stay", titles(site))
    page = site.get("/")
    page.did += " after clear_cache, with the session of before"
    page.shows("2 time")


def caches(site: Site, *types: str, env: dict[str, str] | None = None) -> dict[str, str]:
    """Return for each CACHE_TYPE, an empty one for none, what cache an app has then."""
    env = {"TYPES": json.dumps(types)} | (env or {})
    command: Command = site.probe("create_app()", CACHES, env=env).exits(0)
    found: dict[str, str] = json.loads(command.out.strip().splitlines()[-1])
    return found


def visit(browser: Browser, path: str = "/stats") -> Page:
    """Return the page of the statistics."""
    return browser.get(path).has_status(200)


def is_a(state: str, page: Page) -> None:
    """Expect that the page says whether its numbers were kept: `state` is hit or miss."""
    page.has_header("X-Cache", f"(?i){state}", state)


def shows_now(site: Site, words: str, when: str) -> None:
    """Expect new numbers, which are kept again."""
    page = visit(site)
    page.did += f" {when}"
    is_a("miss", page)
    page.shows(words)
    is_a("hit", visit(site).shows(words))


def has_rows(page: Page, wanted: list[list[str]], pattern: str) -> None:
    """Expect these rows, of those whose first cell a regular expression matches whole."""
    rows = [[c.get_text().strip() for c in row.select("td, th")] for row in page.html.select("tr")]
    rows = [row[:2] for row in rows]  # more may stand beside them
    found = [row for row in rows if row and re.fullmatch(pattern, row[0])]
    likely = ", ".join(" ".join(row) for row in wanted)
    expect(
        found == wanted, page.did, f"the rows {likely}", ", ".join(map(" ".join, found)) or "none"
    )


def date(days: int) -> str:
    """Return the date of the day, in UTC, so many days ago."""
    return f"{datetime.now(UTC) - timedelta(days=days):%Y-%m-%d}"


def insert_users(site: Site, *names: str) -> list[int]:
    """Make users of these names, and return their ids: the first registers, the rest are copies."""
    register(site.browser(), names[0])
    with site.database() as db:
        users = f'"{foreign_key(db)["table"]}"'
        row = dict(db.execute(f"SELECT * FROM {users}").fetchone() or {})
        key = next((column for column, value in row.items() if value == names[0]), None)
        expect(key is not None, "The database", f"a user with the name {names[0]}", row or "none")
        copy = {column: value for column, value in row.items() if column != "id"}
        if names[1:]:
            insert(db, users, [copy | {key: name} for name in names[1:]])
        return [user[0] for user in db.execute(f"SELECT id FROM {users} ORDER BY id")]


def loaded(site: Site, path: str) -> tuple[str, int]:
    """Return how many rows the app makes objects of to answer, and what was done in words."""
    did = f"GET {path} with 60 todos"
    status, number = site.probe(did, LOADS, env={"ASKED": path}).exits(0).out.split()[-2:]
    expect(status == "200", did, "status 200", f"status {status}")
    return did, int(number)


def insert_todos(site: Site, rows: list[dict[str, Any]]) -> None:
    """Put todos into the database, past the app: `completed`, `owner`, `created` may be missing."""
    site.serve()  # it runs beforehand, which is quickest
    now = datetime.now(UTC)
    with site.database() as db:
        todos = table(db)
        owner = foreign_key(db)["from"]
        columns = db.execute(f"PRAGMA table_info({todos})").fetchall()
        created = next(row["name"] for row in columns if re.search("DATE|TIME", row["type"], re.I))
        values = [
            {
                "title": "Counted",
                "completed": row.get("completed", 0),
                owner: row.get("owner"),
                created: f"{row.get('created', now):%Y-%m-%d %H:%M:%S.%f}",
            }
            for row in rows
        ]
        insert(db, todos, values)


def insert(db: sqlite3.Connection, name: str, rows: list[dict[str, Any]]) -> None:
    """Put rows into a table, with something in every column that must have a value."""
    fillers = {
        column["name"]: filler(column["name"], column["type"])
        for column in db.execute(f"PRAGMA table_info({name})")
        if column["notnull"] and not column["pk"] and column["dflt_value"] is None
    }
    columns = list(fillers | rows[0])
    names = ", ".join(f'"{column}"' for column in columns)
    marks = ", ".join(f":{column}" for column in columns)
    db.executemany(
        f"INSERT INTO {name} ({names}) VALUES ({marks})", [fillers | row for row in rows]
    )
