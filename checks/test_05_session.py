"""Lesson 5: sessions, users, and whose todo it is."""

import json
import re
import socket
import socketserver
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from urllib.parse import urljoin, urlsplit

from flask import Flask
from flask.sessions import SecureCookieSessionInterface

from checks.test_00_request import add
from checks.test_02_blueprint import new_todo
from checks.test_03_sqlalchemy import follow, listed, put, table, todos
from course.answers import Page, expect
from course.browser import Browser
from course.site import Site
from course.verdicts import CheckFailed

PASSWORD = " Correct horse battery"
PRODUCTION = {"APP_ENV": "production", "SECRET_KEY": "9f2c5d1e84b7a3606d0f"}
SERVER_STORES = ("memory", "files", "database")

KEYS = """
import json, os, sys

def key(settings):
    os.environ.pop("SECRET_KEY", None)
    os.environ.update(settings)
    for name in [name for name in sys.modules if name.partition(".")[0] == "App"]:
        del sys.modules[name]
    from App import create_app
    return create_app().secret_key

print(json.dumps([key(settings) for settings in json.loads(os.environ["SETTINGS"])]))
"""

STARTS = """
import json, os, sys

def start(given=None, **environment):
    for name in ("APP_ENV", "SECRET_KEY"):
        os.environ.pop(name, None)
    os.environ.update(environment)
    for name in [name for name in sys.modules if name.partition(".")[0] == "App"]:
        del sys.modules[name]
    try:
        from App import create_app
        return create_app(given).secret_key
    except (Exception, SystemExit) as error:
        return f"stops: {error}"

key = start(APP_ENV="development")
same = key == start(APP_ENV="development")  # one that is made anew each time is nobody's
print(json.dumps({
    "() with APP_ENV=production and a SECRET_KEY":
        start(APP_ENV="production", SECRET_KEY="3d1c" * 8),
    "() with APP_ENV=production and no SECRET_KEY": start(APP_ENV="production"),
    "() with APP_ENV=staging and no SECRET_KEY": start(APP_ENV="staging"),
    "() with APP_ENV=production and SECRET_KEY=": start(APP_ENV="production", SECRET_KEY=""),
    '({"SECRET_KEY": ""}) with APP_ENV=production':
        start({"SECRET_KEY": ""}, APP_ENV="production"),
    "() with APP_ENV=production and the key of development":
        start(APP_ENV="production", SECRET_KEY=key) if same else "stops: SECRET_KEY",
    "() without APP_ENV and SECRET_KEY": start(),
}))
"""

ELSEWHERE = """
import os, sys
sys.path.insert(0, os.getcwd())
os.mkdir("another_folder")
os.chdir("another_folder")
from App import create_app
create_app().test_client().get("/")
for name in sorted(os.listdir()):
    print("left", name)
"""

MANY = """
import re
from datetime import timedelta
from cachelib import FileSystemCache, SimpleCache

def full_sooner(store):  # 505 sessions would take long: every threshold is a 20th here
    begin = store.__init__

    def init(self, *args, **kwargs):
        begin(self, *args, **kwargs)
        self._threshold //= 20

    store.__init__ = init

full_sooner(FileSystemCache)
full_sooner(SimpleCache)
from App import create_app
from flask import session
app = create_app()
first = app.test_client()
app.permanent_session_lifetime = timedelta(hours=1)  # the oldest is whose end comes first
first.get("/")
app.permanent_session_lifetime = timedelta(hours=2)
for number in range(30):
    with app.test_request_context():
        session["number"] = number
        app.session_interface.save_session(app, session, app.response_class())
print(" ".join(re.sub("<[^>]*>", " ", first.get("/").text).split()))
"""

STORE = """
from App import create_app
try:
    create_app()
    print("starts")
except (Exception, SystemExit) as error:
    print("stops:", error)
"""

UNCOMMITTED = """
from App import create_app
from flask import session
from sqlalchemy import func, insert, select

def half_done():
    session["place"] = "in the middle"
    db.session.execute(insert(table), {"title": "Not committed"})
    return "done"

create_app()
app = create_app()
db = app.extensions["sqlalchemy"]
table = next(t for t in db.metadata.tables.values() if "title" in t.c)
app.add_url_rule("/half-done", view_func=half_done)
print("answer", app.test_client().get("/half-done").status_code)
with app.app_context():
    print("rows", db.session.scalar(select(func.count()).select_from(table)))
"""

EXPIRED = """
from datetime import timedelta
from App import create_app
app = create_app({"PERMANENT_SESSION_LIFETIME": timedelta(seconds=-60)})
for _ in range(3):
    app.test_client().get("/")
"""

# What follows stands in for scrypt with something quick, and notes what scrypt would have cost.
CHEAP = """
import hashlib
costs = []

def scrypt(password, *, salt, n, r, p, maxmem=0, dklen=64):
    costs.append(n * r * p)
    return hashlib.sha512(salt + password).digest()[:dklen]

hashlib.scrypt = scrypt
from App import create_app

client = create_app().test_client()
client.post("/register", data={"name": "Ann", "password": "correct horse"})
"""

COSTS = (
    CHEAP
    + """
print("registered", sum(costs))
for name, words in (("Ann", "wrong password"), ("Zoe", "unknown name")):
    client = create_app().test_client()
    costs.clear()
    status = client.post("/login", data={"name": name, "password": "wrong horse"}).status_code
    print(words, status, sum(costs))
"""
)

NEXT = (
    CHEAP
    + """
import json, os
app = create_app()
for url in json.loads(os.environ["URLS"]):
    client = app.test_client()
    data = {"name": "Ann", "password": "correct horse", "next": url}
    answer = client.post("/login", data=data)
    print(json.dumps([url, answer.status_code, answer.headers.get("Location", "")]))
"""
)

TAKEN = """
from App import create_app
from sqlalchemy import text

def register():
    data = {"name": "Eve", "password": "correct horse"}
    with app.test_request_context("/register", method="POST", data=data):
        status = app.full_dispatch_request().status_code
        db.session.execute(text("SELECT 1"))
    return status

app = create_app()
db = app.extensions["sqlalchemy"]
register()
try:
    print("refused with", register(), "and the session goes on")
except Exception as error:
    print(type(error).__name__)
"""

OWNERS = """
from App import create_app
from sqlalchemy import insert
from sqlalchemy.exc import IntegrityError
app = create_app()
db = app.extensions["sqlalchemy"]
todo = next(t for t in db.metadata.tables.values() if "title" in t.c)
owner = next((c for c in todo.c if c.foreign_keys), None)
if owner is None:
    raise SystemExit("No column of the todos is a foreign key.")
with app.app_context():
    try:
        db.session.execute(insert(todo), {"title": "Nobody's", owner.name: 987654})
        print("taken")
    except IntegrityError:
        print("refused")
"""


# 5.1: the signed cookie


def test_visits(site: Site) -> None:
    """The first page counts the visits of each browser by itself."""
    for times in (1, 2, 3):
        visits(site.get("/"), times)
    visits(site.browser().get("/"), 1)
    visits(site.get("/"), 4)


def test_key(site: Site) -> None:
    """SECRET_KEY comes from the environment."""
    key = PRODUCTION["SECRET_KEY"]
    settings: list[dict[str, str]] = [{"SECRET_KEY": key}, {}, {"SECRET_KEY": ""}]
    command = site.probe("create_app()", KEYS, env={"SETTINGS": json.dumps(settings)}).exits(0)
    known, none, empty = json.loads(command.out.splitlines()[-1])
    expect(known == key, "create_app() with SECRET_KEY set", f"key {key}", f"key {known}")
    for words, got in (("without SECRET_KEY", none), ("with SECRET_KEY=", empty)):
        did = f"create_app() {words}, in development"
        expect(bool(got), did, "DEVELOPMENT_KEY as the key", f"key {got!r}")


def test_read_cookie(site: Site) -> None:
    """read_cookie shows what is in a cookie, though it has not the key."""
    command = site.manage("read_cookie", flask_cookie({"visits": 3, "name": "Zoë"})).exits(0)
    command.prints('"visits":3').prints("Zo")
    long = flask_cookie({"text": "very long " * 50})
    site.manage("read_cookie", long).exits(0).prints("very long very long")


def test_read_cookie_refuses(site: Site) -> None:
    """What is no such cookie is refused in words."""
    site.manage("read_cookie", flask_cookie({"here": 1})).exits(0).prints("here")
    for cookie in ("W5cZ8Qf0", ".eJyr.aaaa.bbbb", "€.a.b"):
        command = site.manage("read_cookie", cookie).exits(1)
        expect("Traceback" not in command.err, command.did, "a sentence", "a traceback")


# 5.2: only an id in the cookie


def test_only_an_id(site: Site) -> None:
    """The cookie stays the same while the session changes: it is only an id."""
    visits(site.get("/"), 1)
    before = the_cookie(site)
    visits(site.get("/"), 2)
    after = the_cookie(site)
    expect(before == after, "GET /, twice", "the same cookie, an id", "another cookie")
    site.start()
    page = site.get("/")
    page.did = "GET / after a restart"
    visits(page, 3)
    command = site.probe("GET / of an app that is started in another folder", ELSEWHERE).exits(0)
    left = re.findall(r"^left (.+)$", command.out, re.MULTILINE)
    expect(not left, command.did, "nothing new in that folder", " and ".join(left[:1]))


def test_many_sessions(site: Site) -> None:
    """Where there are many sessions, none is dropped for another."""
    keeps_many(site, "files")


def test_cookie_flags(site: Site) -> None:
    """No script reads the cookie, and no other site's form sends it."""
    cookie = new_cookie(site.get("/"))
    has_flag(bool(cookie["httponly"]), "HttpOnly")
    has_flag(str(cookie["samesite"]).lower() == "lax", "SameSite=Lax")
    expect(not cookie["secure"], "GET / in development", "a cookie without Secure", "Secure")
    ends = cookie["expires"]
    lasts = parsedate_to_datetime(ends) - datetime.now(UTC) if ends else timedelta()
    about = timedelta(days=13, hours=23) < lasts <= timedelta(days=14, minutes=1)
    expect(about, "GET /", "a cookie for 14 days", f"one until {ends or 'the browser ends'}")
    page = site.get("/todos")
    page.did = "GET /todos, which changes nothing in the session"
    expect(not page.cookies, page.did, "no new cookie", "one")
    site.clear_cookies()
    start(site, PRODUCTION)
    cookie = new_cookie(site.get("/"))
    has_flag(bool(cookie["secure"]), "Secure, with APP_ENV=production")
    has_flag(str(cookie["samesite"]).lower() == "lax", "SameSite=Lax, with APP_ENV=production")


def test_key_must_be_set(site: Site) -> None:
    """Outside development, no key, or one that others know, stops the start."""
    starts = json.loads(site.probe("create_app()", STARTS).exits(0).out.splitlines()[-1])
    good = "() with APP_ENV=production and a SECRET_KEY"
    key = "3d1c" * 8
    got = starts.pop(good)
    expect(got == key, f"create_app{good}", f"a start, with the key {key!r}", started(got))
    for words, got in starts.items():
        wanted = "an error that stops the start and names SECRET_KEY"
        stops = str(got).startswith("stops:") and "SECRET_KEY" in got
        expect(stops, f"create_app{words}", wanted, started(got))
    script = "import os\nos.environ.pop('APP_ENV')\nimport manage\nprint('it starts')\n"
    site.probe("python manage.py without APP_ENV", script).exits(0).prints("it starts")


# 5.3: the store is a setting


def test_cookie_store(site: Site) -> None:
    """With SESSION_TYPE=cookie, the session itself is in the cookie."""
    use(site, "cookie")
    visits(site.get("/"), 1)
    cookie = the_cookie(site)
    visits(site.get("/"), 2)
    expect(the_cookie(site) != cookie, "GET /, twice", "another cookie, with 2 in it", "the same")
    site.manage("read_cookie", the_cookie(site)).exits(0)


def test_memory_store(site: Site) -> None:
    """With SESSION_TYPE=memory, it lasts as long as the process."""
    use(site, "memory")
    before = files(site)
    visits(site.get("/"), 1)
    cookie = the_cookie(site)
    visits(site.get("/"), 2)
    expect(the_cookie(site) == cookie, "GET /, twice", "the same cookie, an id", "another cookie")
    expect(files(site) == before, "GET /", "no new file", sorted(files(site) - before))
    site.start()
    page = site.get("/")
    page.did = "GET / after a restart"
    visits(page, 1)


def test_many_in_memory(site: Site) -> None:
    """There too, none is dropped for another."""
    keeps_many(site, "memory")


def test_file_store(site: Site) -> None:
    """With SESSION_TYPE=files, and without one, it is in a file."""
    for settings in ({"SESSION_TYPE": "files"}, {}):
        start(site, settings)
        before = files(site)
        site.browser().get("/").has_status(200)
        did = f"GET / with {'SESSION_TYPE=files' if settings else 'no SESSION_TYPE'}"
        expect(len(files(site) - before) == 1, did, "one new file", len(files(site) - before))


def test_database_store(site: Site) -> None:
    """With SESSION_TYPE=database, it is in a table that a migration has made."""
    use(site, "database")
    before = rows(site)
    visits(site.get("/"), 1)
    visits(site.get("/"), 2)
    expect(rows(site) - before == 1, "GET /, twice", "1 row more", f"{rows(site) - before}")
    with site.database() as db:
        found = the_cookie(site) in "\n".join(db.iterdump())
    expect(not found, "The database", "no id that opens a session", "the cookie's own id")
    site.start()
    page = site.get("/")
    page.did = "GET / after a restart"
    visits(page, 3)
    site.manage("db", "check").exits(0)


def test_database_store_apart(site: Site) -> None:
    """The database store leaves alone what a view has not committed, and create_app() again."""
    env = {"SESSION_TYPE": "database"}
    command = site.probe("A view that has changed session and committed nothing", UNCOMMITTED, env)
    command.exits(0).prints("answer 200").prints("rows 0")


def test_redis_store(site: Site) -> None:
    """With SESSION_TYPE=redis, it is in the Redis that REDIS_URL names."""
    with small_redis(site) as redis:
        start(site, {"SESSION_TYPE": "redis", "REDIS_URL": redis.url})
        visits(site.get("/"), 1)
        got = f"{len(redis.kept)} keys, and of those with an end {len(redis.ending)}"
        one = len(redis.kept) == len(redis.ending) == 1
        expect(one, "GET / with SESSION_TYPE=redis", "one key in Redis, that ends", got)
        site.start()
        page = site.get("/")
        page.did = "GET / after a restart"
        visits(page, 2)


def test_store_refuses(site: Site) -> None:
    """A store that there is not is refused at the start, in words."""
    site.probe("create_app()", STORE, env={"SESSION_TYPE": "files"}).exits(0).prints("starts")
    did = "create_app() with SESSION_TYPE=floppy"
    command = site.probe(did, STORE, env={"SESSION_TYPE": "floppy"}).exits(0).prints("stops:")
    for store in (*SERVER_STORES, "cookie", "redis"):
        command.prints(store)


def test_clean_sessions(site: Site) -> None:
    """clean_sessions deletes what has expired, and nothing else."""
    for store, kept in (("files", lambda: len(files(site))), ("database", lambda: rows(site))):
        use(site, store)
        site.clear_cookies()
        site.get("/").has_status(200)
        before = kept()
        site.probe(f"Visits that have expired, with SESSION_TYPE={store}", EXPIRED).exits(0)
        three = kept() - before
        expect(three == 3, "GET / by 3 browsers", f"3 more sessions in the {store}", three)
        with named(site.env):
            command = site.manage("clean_sessions").exits(0)
        did = f"{command.did} with SESSION_TYPE={store}"
        left = kept() - before
        expect(left == 0, did, "only the session that has not expired", f"{left:+} sessions")
        visits(site.get("/"), 2)
    with named(cookie := {"SESSION_TYPE": "cookie"}):
        site.manage("clean_sessions", env=cookie).exits(0)


# 5.4: users


def test_register(site: Site) -> None:
    """Who registers is in the database, with a hash of the password and not the password."""
    form = site.get("/register").has_status(200)
    form.has("form[method=post i] [name=name]", "a form (post) with an input named name")
    form.has("[name=password][type=password]", "an input of the type password")
    register(site, " Ann <x-name> ")
    with site.database() as db:
        dump = "\n".join(db.iterdump())
    did = "The database after POST /register"
    expect("'Ann <x-name>'" in dump, did, "the name, trimmed", "no such text")
    expect(PASSWORD not in dump, did, "no password", "the password")
    expect("'scrypt:" in dump, did, "a hash that begins with scrypt:", "none")
    command = site.manage("shell", stdin="print('User is', User)\n").exits(0)
    expect("User is" in command.out, command.did, "the shell to know User", "a NameError")


def test_register_refuses(site: Site) -> None:
    """A name that is taken, blank or too long is refused, and a short password."""
    register(site, "Ann")
    before = rows(site)
    for name, password in (
        (" Ann ", "another password"),
        ("  ", PASSWORD),
        ("x" * 41, PASSWORD),
        ("B\0b", PASSWORD),
        ("Bob", "7 chars"),
        ("Bob", ""),
        ("Bob", "x" * 201),
    ):
        page = site.browser().post("/register", data={"name": name, "password": password})
        page.has_status(400).has("form [name=password]", "the form again")
    site.browser().post("/register").has_status(400)
    expect(rows(site) == before, "POST /register, refused", "nothing new", "more rows")
    command = site.probe("The database's session after POST /register, refused", TAKEN).exits(0)
    command.prints("refused with 400 and the session goes on")
    for name, password in (("x" * 40, "8 chars."), ("Bob", "x" * 200)):
        data = {"name": name, "password": password}
        page = site.browser().post("/register", data=data)
        page.did = f"POST /register with a name of {len(name)}, a password of {len(password)}"
        page.redirects_to("/todos")
    with site.database() as db:
        users = f'"{foreign_key(db)["table"]}"'
        columns = db.execute(f"PRAGMA table_info({users})").fetchall()
        names = [f'"{column["name"]}"' for column in columns if not column["pk"]]
        values = ", ".join(f"NEW.{name}" for name in names)
        db.execute(
            f"CREATE TRIGGER first BEFORE INSERT ON {users} "
            f"BEGIN INSERT INTO {users} ({', '.join(names)}) VALUES ({values}); END"
        )
    page = site.browser().post("/register", data={"name": "Zoe", "password": PASSWORD})
    page.did += ", where someone else takes the name at the same moment"
    page.has_status(400)


def test_todos_of_before(site: Site) -> None:
    """The migration keeps every todo, and those of before have no owner."""
    site.new_database()
    site.manage("db", "upgrade", "0002").exits(0)
    with site.database() as db:
        db.execute(
            "INSERT INTO todo (title, completed, created_at, priority) "
            "VALUES ('From before', 1, '2026-01-02 03:04:05', 'high')"
        )
    did = f"{site.manage('db', 'upgrade').exits(0).did} with a todo there"
    with site.database() as db:
        keys = db.execute(f"PRAGMA foreign_key_list({table(db)})").fetchall()
        expect(len(keys) == 1, did, "a foreign key from the todos to the users", f"{len(keys)}")
        found = [dict(row) for row in db.execute(f"SELECT * FROM {table(db)}")]
    got = [(row["title"], row["completed"], row["priority"]) for row in found]
    expect(got == [("From before", 1, "high")], did, "the todo, as it was", got)
    owner = found[0][keys[0]["from"]]
    expect(owner is None, did, "no owner: NULL", owner)
    site.get("/todos").has_status(200).shows("From before")


def test_index(site: Site) -> None:
    """The todos of one owner are found, in their order, without reading those of others."""
    with site.database() as db:
        owner = foreign_key(db)["from"]
        names = [row["name"] for row in db.execute(f"PRAGMA index_list({table(db)})")]
        found = [[row["name"] for row in db.execute(f'PRAGMA index_info("{i}")')] for i in names]
    said = ", ".join(f"({', '.join(columns)})" for columns in found) or "none"
    first = any(columns in ([owner], [owner, "id"]) for columns in found)
    expect(first, "The todos in the database", f"an index of ({owner}, id)", said)


def test_owner_is_a_user(site: Site) -> None:
    """The database refuses an owner that is nobody."""
    command = site.probe("A todo whose owner is no user, in the app's database", OWNERS)
    command.exits(0).prints("refused")


# 5.5: g.user


def test_log_in(site: Site) -> None:
    """Who logs in, or has registered, is known on every page, in that browser alone."""
    register(site, "Ann <x-name>")
    page = site.get("/todos").has_status(200)
    page.did += ", after POST /register"
    page.shows("Ann <x-name>").lacks("x-name", "element")
    other = site.browser()
    other.get("/todos").has_status(200).hides("Ann <x-name>")
    form = other.get("/login").has_status(200)
    form.has("form[method=post i] [name=password]", "a form (post) with an input named password")
    page = other.post("/login", data={"name": " Ann <x-name> ", "password": PASSWORD})
    page.did += ", with spaces around the name as at the registration"
    page.redirects_to("/todos")
    for path in ("/", "/todos", "/account", "/no/such/page"):
        other.get(path).shows("Ann <x-name>")
    with site.database() as db:
        db.execute(f'DELETE FROM "{foreign_key(db)["table"]}"')
    page = other.get("/todos")
    page.did += ", logged in as someone who is no longer in the database"
    page.has_status(200).hides("Ann <x-name>")
    command = site.manage("request", "/todos").exits(0)
    warning = re.search("SAWarning: .*", command.err)
    expect(warning is None, f"{command.did}, as a guest", "no warning", warning and warning[0])


def test_log_out(site: Site) -> None:
    """Logging out is a POST, and ends the session on the server: a kept cookie opens nothing."""
    register(site, "Ann")
    site.get("/todos").has_status(200).shows("Ann")
    thief = site.browser()
    thief.cookies |= site.cookies
    thief.get("/todos").has_status(200).shows("Ann")
    site.get("/logout").has_status(405)
    site.get("/todos").has_status(200).shows("Ann")
    visits(site.get("/"), 1)
    site.post("/logout").redirects_to("")
    site.get("/todos").has_status(200).hides("Ann")
    page = site.get("/")
    page.did += " after the logout"
    visits(page, 1)
    page = thief.get("/todos").has_status(200)
    page.did = "GET /todos with the cookie of before the logout"
    page.hides("Ann")


def test_log_in_fails(site: Site) -> None:
    """An unknown name and a wrong password get one and the same answer."""
    register(site, "Ann")
    guest = site.browser()
    answers = []
    for name in ("Ann", "Zoe"):
        page = guest.post("/login", data={"name": name, "password": "wrong horse"})
        page.has_status(400).has("form [name=password]", "the form again")
        headers = sorted(set(page.headers) - {"server-timing", "date", "content-length"})
        answers.append((page.body.replace(name, "NAME"), headers))
    (wrong, headers), (unknown, other_headers) = answers
    lines = zip(wrong.splitlines(), unknown.splitlines(), strict=False)
    other = next((f"{a.strip()!r} and {b.strip()!r}" for a, b in lines if a != b), "another page")
    did = "POST /login with a wrong password, and with an unknown name"
    expect(wrong == unknown, did, "the same answer", other)
    expect(headers == other_headers, did, "the same headers", f"{headers} and {other_headers}")
    guest.get("/todos").has_status(200).hides("Ann")


def test_log_in_takes_as_long(site: Site) -> None:
    """The slow hash is computed for a name that nobody has, too."""
    command = site.probe("POST /login, with the work of scrypt counted", COSTS).exits(0)
    found = dict(re.findall(r"^(.+?) (?:\d+ )?(\d+)$", command.out, re.M))
    expect(found.get("registered", "0") != "0", command.did, "scrypt at POST /register", found)
    wrong, unknown = found.get("wrong password"), found.get("unknown name")
    expect(wrong not in (None, "0"), "POST /login with a wrong password", "scrypt", "none")
    got = f"{unknown}, against {wrong} for a wrong password"
    expect(wrong == unknown, "POST /login with an unknown name", "the same work of scrypt", got)


# 5.6: pages for users alone


def test_login_required(site: Site) -> None:
    """A guest is sent to the login, and from there to where it was going, below a path too."""
    site.start(mount="/below")
    guest = site.browser()
    page = guest.get("/below/account?tab=2&q=a b")
    page.redirects_to("/below/login")
    register(site, "Ann", "/below")
    site.get("/below/account").has_status(200).shows("Ann")
    form = guest.get(page.headers["Location"]).has_status(200)
    field = form.has("[name=next]", "a field named next")
    data = {"name": "Ann", "password": PASSWORD, "next": str(field.get("value", ""))}
    page = guest.post("/below/login", data=data)
    page.redirects_to("/below/account")
    there = page.headers["Location"]
    whole = re.match(r"tab=2&q=a(\+|%20)b", urlsplit(there).query) is not None
    wanted = "a redirect to /below/account?tab=2&q=a+b"
    expect(whole, page.did, wanted, f"a redirect to {there}")
    guest.get("/below/account").has_status(200).shows("Ann")


def test_next_stays_here(site: Site) -> None:
    """`next` leads to a page of this site, and nowhere else."""
    here = ["/todos?q=milk", "/account"]
    away = [
        "//evil.example",
        "///evil.example/",
        "////evil.example",
        "https://evil.example/",
        "https:evil.example",
        "\\\\evil.example",
        "/\\evil.example",
        "/\t/evil.example",
        "\t//evil.example",
        "/\n/evil.example",
        " //evil.example",
        "\x01//evil.example",
        "javascript:alert(1)",
        "http://localhost@evil.example/",
    ]
    env = {"URLS": json.dumps(here + away)}
    command = site.probe("POST /login with many a next", NEXT, env=env).exits(0)
    answers = [json.loads(line) for line in command.out.splitlines() if line.startswith("[")]
    expect(len(answers) == len(here + away), command.did, "an answer to each", len(answers))
    for url, status, location in answers:
        did = f"POST /login with next={url!r}"
        expect(300 < status < 400, did, "a redirect", f"status {status}")
        there = browsers_url(location)
        where = f"a redirect to {location!r}"
        expect(there.startswith("http://localhost/"), did, "a redirect that stays here", where)
        if url in here:
            expect(there == f"http://localhost{url}", did, f"a redirect to {url}", where)
    register(site, "Bob")
    page = site.get("/login?next=//evil.example")
    page.did += ", logged in"
    there = browsers_url(page.headers.get("Location", ""))
    expect(there.startswith("http://localhost/"), page.did, "no redirect to elsewhere", there)


# 5.7: whose todo is it?


def test_own_list(site: Site) -> None:
    """Each user, and the guests, see and find their own todos alone."""
    named = dict(zip(("Ann", "Bob", "a guest"), three(site), strict=True))
    for name, who in named.items():
        add(who, f"Tea of {name}").redirects_to("/todos")
    for name, who in named.items():
        for path in ("/todos", "/todos?q=tea"):
            page = who.get(path)
            page.did += f" as {name}"
            found = listed(page)
            expect(found == [f"Tea of {name}"], page.did, f"only 'Tea of {name}'", found)
    for q in ("%25", "%00", "x" * 60_000):
        page = named["Ann"].get(f"/todos?q={q}")
        page.did = f"GET /todos?q={q[:9]}{'… (60000 letters)' if q[9:] else ''} as Ann"
        page.has_status(200)
        expect(not listed(page), page.did, "no todos", listed(page))
    page = add(named["Ann"], " ").has_status(400)
    page.shows("Tea of Ann").hides("Tea of a guest").hides("Tea of Bob")
    command = site.manage("find", "tea").exits(0)
    found = [line for line in command.out.splitlines() if "Tea of" in line]
    expect(len(found) == 3, command.did, "3 todos, everyone's", f"{len(found)}")


def test_own_pages(site: Site) -> None:
    """The pages of a list hold the owner's todos alone."""
    register(site, "Ann")
    for title in ("Ann's first", "Ann's second"):
        add(site, title).redirects_to("/todos")
    put(site, todos(25))
    page = site.get("/todos")
    mine = ["Ann's second", "Ann's first"]
    expect(listed(page) == mine, page.did, f"{mine}", listed(page))
    with site.database() as db:
        owner = foreign_key(db)["from"]
        ann = f"(SELECT max({owner}) FROM {table(db)})"
        db.execute(f"UPDATE {table(db)} SET {owner} = {ann} WHERE title = 'Todo 15'")
    guest = site.browser()
    older = follow(guest, guest.get("/todos"), "Older")
    expect(listed(older) == todos(4)[::-1], older.did, "Todo 4 to Todo 1", listed(older))
    newer = follow(guest, older, "Newer")
    wanted = [title for title in todos(25)[:3:-1] if title != "Todo 15"]
    said = "Todo 25 to Todo 5, without Todo 15, which is Ann's now"
    expect(listed(newer) == wanted, newer.did, said, listed(newer))


def test_not_yours(site: Site) -> None:
    """The todo of another is not there: no page, no change, no delete."""
    ann, bob, guest = three(site)
    path = new_todo(ann, "Ann's secret").path
    board = new_todo(guest, "Guest's").path
    for who, there in ((bob, path), (guest, path), (ann, board)):
        who.get(there).has_status(404).hides("secret")
        who.post(there, data={"title": "Mine now"}).has_status(404)
        who.post(f"{there}/delete").has_status(404)
    ann.get(path).has_status(200)
    ann.get("/todos").shows("Ann's secret").hides("Mine now")
    ann.post(path, data={"title": "Ann's own"}).redirects_to("/todos")
    ann.post(f"{path}/delete").redirects_to("/todos")
    ann.get(path).has_status(404)
    guest.get(board).has_status(200)
    ann.get(f"/todos/{2**63}").has_status(404)


# 5.8: what others could do in your name


def test_new_id(site: Site) -> None:
    """A session id that someone else knows from before the login opens nothing after it."""
    for store in ("files", "database"):
        use(site, store)
        victim, planted = site.browser(), site.browser()
        planted.get("/").has_status(200)
        victim.cookies |= planted.cookies
        enter = "registration" if store == "files" else "login"
        if store == "files":
            register(victim, "Ann")
        else:
            victim.post("/login", data={"name": "Ann", "password": PASSWORD}).redirects_to("/todos")
        page = planted.get("/todos").has_status(200)
        page.did = f"GET /todos with the cookie of before the {enter} (SESSION_TYPE={store})"
        page.hides("Ann")
        victim.get("/todos").has_status(200).shows("Ann")
        page = victim.get("/")
        page.did += f", the first after the {enter}"
        visits(page, 1)
    use(site, "cookie")
    page = site.post("/login", data={"name": "Ann", "password": PASSWORD})
    page.did += " and SESSION_TYPE=cookie"
    page.redirects_to("/todos")


def test_other_sites(site: Site) -> None:
    """What another site's page sends changes nothing."""
    path = new_todo(site, "Stay").path
    forms = {
        "/todos": {"title": "From evil"},
        path: {"title": "From evil"},
        f"{path}/delete": {},
        "/register": {"name": "Eve", "password": PASSWORD},
        "/login": {"name": "Eve", "password": PASSWORD},
        "/logout": {},
    }
    for headers in (
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site", "Origin": "http://localhost"},
    ):
        for there, data in forms.items():
            page = site.post(there, data=data, headers=headers)
            page.did += f" and {headers}"
            page.has_status(403)
    elsewhere = ("http://localhost.evil.example", "http://evil-localhost", "http://localhost:8")
    for origin in (*elsewhere, "http://["):  # the last is no address, and urlsplit() refuses it
        headers = {"Origin": origin}
        page = site.post("/todos", data={"title": "From evil"}, headers=headers)
        page.did += f" and {headers}"
        page.has_status(403)
    site.get("/todos").has_status(200).shows("Stay").hides("From evil")


def test_own_forms(site: Site) -> None:
    """What our own pages send is taken, and links from elsewhere lead here."""
    evil = {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}
    site.post("/todos", data={"title": "Evil"}, headers=evil).has_status(403)
    site.get("/todos", headers={"Sec-Fetch-Site": "cross-site"}).has_status(200)
    for headers in (
        {"Origin": "http://localhost", "Sec-Fetch-Site": "same-origin"},
        {"Origin": "http://localhost"},
        {"Sec-Fetch-Site": "same-origin"},
        {"Sec-Fetch-Site": "none"},
        {},
    ):
        page = site.post("/todos", data={"title": f"With {len(headers)}"}, headers=headers)
        page.did += f" and {headers or 'no header that says where it comes from'}"
        page.redirects_to("/todos")


# What the checks need


def visits(page: Page, number: int) -> None:
    """Expect the first page to say how often this browser has been there."""
    page.has_status(200)
    match = re.search(r"been here (\d+) times?", page.words)
    right = bool(match) and match[1] == str(number) and not match[0].endswith(" 1 times")
    wanted = f"'been here {number} time{'' if number == 1 else 's'}' on the page"
    expect(right, page.did, wanted, match[0] if match else "none")


def the_cookie(browser: Browser) -> str:
    """Return what the browser's one cookie says."""
    number = len(browser.cookies)
    expect(number == 1, "GET /", "one cookie, of the session", number or "no cookie")
    return next(iter(browser.cookies.values()))


def keeps_many(site: Site, store: str) -> None:
    """Expect that a store drops no session for another."""
    did = f"GET / again, after many other browsers, with SESSION_TYPE={store}"
    command = site.probe(did, MANY, env={"SESSION_TYPE": store}).exits(0)
    there = "been here 2 time" in command.out.splitlines()[-1]
    expect(there, did, "'been here 2 times': the session is still there", "another session")


def started(got: object) -> str:
    """Return in words how the app has started: what STARTS has found, a key or an error."""
    if str(got).startswith("stops:"):
        return f"the error {str(got).removeprefix('stops: ')!r}"
    return f"a start, with the key {got!r}"


def new_cookie(page: Page) -> dict:
    """Return the cookie that comes with a page."""
    page.has_status(200)
    expect(
        len(page.cookies) == 1, page.did, "a cookie, of the session", len(page.cookies) or "none"
    )
    return next(iter(page.cookies.values()))


def has_flag(so: bool, flag: str) -> None:
    """Expect the session's cookie to have a flag."""
    expect(so, "GET /", f"a session cookie that is {flag}", "one that is not")


def flask_cookie(session: dict) -> str:
    """Return a cookie as Flask's own session makes it, with a key that nobody else has."""
    app = Flask("another")
    app.secret_key = "a key that only this check has"
    serializer = SecureCookieSessionInterface().get_signing_serializer(app)
    assert serializer
    text = serializer.dumps(session)
    return text if isinstance(text, str) else text.decode()


def use(site: Site, store: str) -> None:
    """Serve the app with this SESSION_TYPE; commands have it too."""
    start(site, {"SESSION_TYPE": store})


def start(site: Site, env: dict[str, str]) -> None:
    """Serve the app with this environment; commands have it too."""
    site.env = env
    with named(env):
        site.start()


@contextmanager
def named(env: dict[str, str]) -> Iterator[None]:
    """Have a command that fails in the block named with the environment that it had."""
    try:
        yield
    except CheckFailed as error:
        shown = {name: env[name] for name in env if name != "REDIS_URL"}  # another each time
        raise error.with_env(shown) from None


def files(site: Site) -> set[str]:
    """Return what files there are in the lesson's folder, beside the database's."""
    return {name for name in site.files() if not re.search(r"-(wal|shm|journal)$|\.py$", name)}


def rows(site: Site) -> int:
    """Return how many rows there are in all tables."""
    with site.database() as db:
        names = db.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        return sum(count(db, name) for (name,) in names)


def count(db: sqlite3.Connection, name: str) -> int:
    """Return how many rows a table has."""
    number: int = db.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0]
    return number


def foreign_key(db: sqlite3.Connection) -> sqlite3.Row:
    """Return what leads from a todo to its user: the column `from`, and the `table` of users."""
    row = db.execute(f"PRAGMA foreign_key_list({table(db)})").fetchone()
    expect(row is not None, "The database", "todos with a foreign key to their user", "none")
    found: sqlite3.Row = row
    return found


def register(browser: Browser, name: str, mount: str = "") -> None:
    """Register, which logs in from task 5.5 on. `mount` is the path that the app is below."""
    data = {"name": name, "password": PASSWORD, "next": "//evil.example"}
    page = browser.post(f"{mount}/register", data=data)
    page.redirects_to(f"{mount}/todos")


def three(site: Site) -> tuple[Browser, Browser, Browser]:
    """Return the browsers of two users and of a guest."""
    ann, bob = site.browser(), site.browser()
    register(ann, "Ann")
    register(bob, "Bob")
    return ann, bob, site


def browsers_url(location: str) -> str:
    """Return where a browser goes from /login, which reads an address in its own way."""
    spaces = "".join(map(chr, range(33)))
    text = re.sub(r"[\t\n\r]", "", location.strip(spaces)).replace("\\", "/")
    text = re.sub(r"^(https:)/*|^/{2,}", r"\1//", text)
    return urljoin("http://localhost/login", text)


REDIS_BYTES = 1024 * 1024
"""Bytes that a small Redis keeps, and that a word may have: a program can send without end."""

REDIS_WORDS = 20
"""How many words a command may have."""

REDIS_LINE = 32
"""Bytes of a line that says a number."""


class SmallRedis(socketserver.ThreadingTCPServer):
    """As much of Redis as keeps texts under keys."""

    daemon_threads = True

    def __init__(self, listener: socket.socket) -> None:
        super().__init__(listener.getsockname(), _RedisConnection, bind_and_activate=False)
        self.socket.close()
        self.socket = listener
        self.server_address = listener.getsockname()
        self.url = f"redis://127.0.0.1:{self.server_address[1]}/0"
        self.kept: dict[bytes, bytes] = {}
        self.ending: set[bytes] = set()

    def answer(self, name: bytes, args: list[bytes]) -> bytes:
        """Return what Redis says to a command."""
        if name == b"HELLO":
            return b"%3\r\n+server\r\n+redis\r\n+version\r\n+7.0.0\r\n+proto\r\n:3\r\n"
        if name == b"PING":
            return b"+PONG\r\n"
        if sum(map(len, self.kept.values())) + sum(map(len, args)) > REDIS_BYTES:
            return b"-OOM the memory is full\r\n"
        if name in (b"SET", b"SETEX", b"PSETEX"):
            key, value = args[0], args[1 if name == b"SET" else 2]
            self.kept[key] = value
            (self.ending.add if len(args) > 2 else self.ending.discard)(key)
            return b"+OK\r\n"
        if name in (b"EXPIRE", b"PEXPIRE"):
            self.ending.add(args[0])
            return b":1\r\n"
        if name == b"GET":
            value = self.kept.get(args[0])
            return b"_\r\n" if value is None else b"$%d\r\n%s\r\n" % (len(value), value)
        if name in (b"DEL", b"UNLINK"):
            self.ending -= set(args)
            return b":%d\r\n" % sum(self.kept.pop(key, None) is not None for key in args)
        return b"+OK\r\n"

    def handle_error(self, *_: object) -> None:
        """Say nothing: who speaks no Redis, or too much of it, has no connection any more."""


class _RedisConnection(socketserver.StreamRequestHandler):
    server: SmallRedis

    def handle(self) -> None:
        while line := self.rfile.readline(REDIS_LINE):
            words = [self.word() for _ in range(self.number(line, REDIS_WORDS))]
            self.wfile.write(self.server.answer(words[0].upper(), words[1:]))

    def word(self) -> bytes:
        length = self.number(self.rfile.readline(REDIS_LINE), REDIS_BYTES)
        return self.rfile.read(length + 2)[:-2]

    def number(self, line: bytes, most: int) -> int:
        """Return the number after the first letter of a line. Raises `ValueError` above `most`."""
        number = int(line[1:])
        if not 0 <= number <= most:
            raise ValueError
        return number


@contextmanager
def small_redis(site: Site) -> Iterator[SmallRedis]:
    """Serve a small Redis on a port of its own."""
    with SmallRedis(site.listen()) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        try:
            yield server
        finally:
            server.shutdown()
