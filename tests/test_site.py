"""What a check works with: browsers, the database, and a copy that is prepared."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import socket
import sqlite3
import textwrap
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import IO, Any

import httpx
import pytest
from conftest import NestedChecker, until
from services import program

from checks.test_05_session import small_redis
from course import processes
from course.answers import Page, last_line
from course.catalog import Course, load
from course.checker import BROKEN, Checker, Result, _verdict
from course.diagnosis import Diagnosis
from course.preparing import prepare
from course.processes import COMMAND_SECONDS, Finished, ForkServer, ForkServers
from course.runner import Runner
from course.sandbox import Sandbox
from course.site import Site, free_port
from course.snapshot import Snapshot, take
from course.verdicts import (
    CRASHED,
    NOT_ATTEMPTED,
    PASSED,
    CheckFailed,
    Crashed,
    TimedOut,
    Trace,
)
from course.written import Written

APP = """
import gzip, os, sqlite3, sys, time
from pathlib import Path
from typing import IO
from flask import Flask, request

app = Flask(__name__)
visits = []

def database():
    Path("instance").mkdir(exist_ok=True)
    return sqlite3.connect("instance/todo.db")

@app.get("/cookies")
def cookies():
    return dict(request.cookies)

@app.get("/set/<name>/<value>")
def set_cookie(name, value):
    response = app.make_response("set")
    response.set_cookie(name, value, secure=True, httponly=True, samesite="Lax", path="/far")
    response.set_cookie("seen", "yes")
    return response

@app.get("/drop/<name>")
def drop(name):
    response = app.make_response("dropped")
    response.delete_cookie(name)
    return response

@app.get("/odd")
def odd():
    headers = [("Set-Cookie", 'odd="a\\\\054b"; Partitioned; Path=/'), ("Set-Cookie", "a b=c")]
    headers.append(("Set-Cookie", "old=1; Expires=Thu, 01 Jan 1970 00:00:00 GMT"))
    return "odd", headers

@app.get("/moved/")
def moved():
    return dict(request.cookies)

@app.route("/echo", methods=["GET", "POST"])
def echo():
    return {"type": request.content_type, "body": request.get_data(as_text=True)}

@app.get("/together/<int:n>")
def together(n):
    visits.append(n)
    end = time.monotonic() + 5
    while len(visits) < n and time.monotonic() < end:
        time.sleep(0.005)
    return str(len(visits))

@app.get("/environment-of-request")
def environment_of_request():
    return {"cookie": request.headers.get("Cookie", "")}

@app.post("/packed")
def packed():
    return gzip.compress(bytes(20_000_000)), {"Content-Encoding": "gzip"}

@app.get("/environment")
def environment():
    return {"all": dict(os.environ), "hour": time.localtime(0).tm_hour}

@app.get("/loop")
def loop():
    while True:
        time.sleep(1)

@app.get("/exit")
def exit():
    os._exit(3)

@app.get("/add")
def add():
    with database() as connection:
        connection.execute("insert into todo (title) values ('Buy milk')")
    return "added"

if sys.argv[1:] == ["create_db"]:
    with database() as connection:
        connection.execute("create table todo (id integer primary key, title text not null)")
    print("created")
    print("warned", file=sys.stderr)
elif __name__ == "__main__":
    app.run()
"""


@pytest.fixture(scope="module")
def forks() -> Iterator[ForkServer]:
    with ForkServer(("flask", "sqlite3")) as forks:
        yield forks


@pytest.fixture
def site(forks: ForkServer, tmp_path: Path) -> Iterator[Site]:
    written = Written(Snapshot({"app.py": APP.encode()}), tmp_path / "lesson")
    site = Site(Runner(forks, frozenset()), written, (["app.py"],))
    yield site
    site.stop()


def fails(do: Callable[[], object], *parts: str) -> None:
    with pytest.raises(CheckFailed) as caught:
        do()
    for part in parts:
        assert part in str(caught.value)


# Files


def test_what_a_check_writes_follows_no_link(site: Site, tmp_path: Path) -> None:
    """The student's program may have put one there, which leads anywhere."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "kept").write_text("kept", "utf-8")
    (site._written.folder / "link").symlink_to(outside / "kept")
    (site._written.folder / "folder").symlink_to(outside)
    site.write("link", "new")
    assert (site._written.folder / "link").read_text("utf-8") == "new"
    fails(lambda: site.write("folder/kept", "new"), "The file folder/kept")
    fails(lambda: site.write("nowhere/new", "new"), "The file nowhere/new")
    assert (outside / "kept").read_text("utf-8") == "kept"


def test_a_database_that_is_a_link_is_none(site: Site, tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "mine.db") as connection:
        connection.execute("create table mine (id integer)")
    connection.close()
    (site._written.folder / "todo.db").symlink_to(tmp_path / "mine.db")
    with pytest.raises(CheckFailed, match="one SQLite file"), site.database():
        pass


# Browsers


def test_each_browser_has_its_own_cookies(site: Site) -> None:
    other = site.browser()
    page = site.get("/set/colour/red")
    assert page.cookies["colour"]["httponly"] is True
    assert page.cookies["colour"]["secure"] is True
    assert (page.cookies["colour"]["samesite"], page.cookies["colour"]["path"]) == ("Lax", "/far")
    assert page.cookies["seen"]["httponly"] == ""
    other.get("/set/colour/blue")
    assert site.cookies == {"colour": "red", "seen": "yes"}
    assert site.get("/cookies").json() == site.cookies
    assert other.get("/cookies").json() == {"colour": "blue", "seen": "yes"}
    assert site.browser().get("/cookies").json() == {}


def test_cookies_are_kept_dropped_and_replaced(site: Site) -> None:
    site.get("/set/colour/red")
    site.start()
    assert site.get("/cookies").json()["colour"] == "red"
    site.get("/drop/colour")
    assert site.get("/cookies").json() == {"seen": "yes"}
    site.set_cookie("seen", "no")
    assert site.get("/cookies").json() == {"seen": "no"}
    assert site.get("/cookies", headers={"cookie": "mine=1"}).json() == {"mine": "1"}
    assert site.get("/moved").json() == {"seen": "no"}
    site.clear_cookies()
    assert site.get("/cookies").json() == {}


def test_cookies_that_are_unusual(site: Site) -> None:
    page = site.get("/odd")
    assert page.cookies["odd"].value == "a,b"
    assert site.cookies == {"odd": r'"a\054b"'}
    assert site.get("/cookies").json() == {"odd": "a,b"}


@pytest.mark.parametrize(("path", "kind"), [("/loop", TimedOut), ("/exit", Crashed)])
def test_another_browser_says_why_no_answer_comes(
    path: str, kind: type[CheckFailed], site: Site
) -> None:
    with pytest.raises(kind, match=f"GET {path}: expected an answer"):
        site.browser().get(path)
    assert site.get("/cookies").status == 200  # the app has been started anew


def test_requests_at_once(site: Site) -> None:
    site.set_cookie("colour", "red")
    assert [page.body for page in site.at_once(8, "/together/8")] == ["8"] * 8
    assert [page.json() for page in site.at_once(2, "/cookies")] == [{"colour": "red"}] * 2
    with pytest.raises(Crashed, match="GET /exit, 3 at once: expected an answer"):
        site.at_once(3, "/exit")
    with pytest.raises(TimedOut, match="within 3 seconds"):
        site.at_once(2, "/loop")
    assert site.get("/cookies").status == 200


def test_bodies(site: Site) -> None:
    page = site.post("/echo", json={"title": "Milk"})
    assert page.json() == {"type": "application/json", "body": '{"title":"Milk"}'}
    assert page.did == 'POST /echo with JSON {"title": "Milk"}'
    page = site.post("/echo", content=b"{", headers={"Content-Type": "application/json"})
    assert page.json() == {"type": "application/json", "body": "{"}
    assert page.did == "POST /echo with the body '{'"
    assert site.post("/echo", data={"n": 1}).did == "POST /echo with n='1'"
    assert site.post("/echo", content="x" * 100).did.endswith(f"'{'x' * 20}… (100 characters)'")


def test_a_body_that_is_no_json(site: Site) -> None:
    page = site.get("/drop/x")
    fails(page.json, "GET /drop/x: expected a JSON body, got status 200 OK and dropped.")
    fails(site.get("/none").json, "got status 404 Not Found and <!doctype html>")


# The terminal, and what everything has in its environment


def test_environment(site: Site) -> None:
    site.env["COLOUR"] = "red"
    site.env["SHAPE"] = "round"
    site.start(env={"SHAPE": "square"})
    seen = site.get("/environment").json()["all"]
    assert (seen["COLOUR"], seen["SHAPE"], seen["APP_ENV"]) == ("red", "square", "development")
    code = "import os; print(os.environ['COLOUR'], os.environ['APP_ENV'])"
    site.probe("It", code).prints("red development")
    site.probe("It", code, env={"APP_ENV": "production"}).prints("red production")


def test_time_zone(site: Site) -> None:
    site.start(env={"TZ": "Asia/Tokyo"})
    assert site.get("/environment").json()["hour"] == 9


def test_says(site: Site) -> None:
    command = site.run("app.py", "create_db")
    command.says("created").says("warned")
    fails(lambda: command.says("gone"), "expected 'gone' in what it writes, got created.")


# The database


def test_database(site: Site) -> None:
    def no_table() -> None:
        with site.database() as database:
            database.execute("select * from tasks")

    def written_twice() -> None:
        with site.database() as database:
            database.execute("insert into todo (title) values ('Lost')")
            database.execute("insert into todo (title) values (null)")

    fails(no_table, "The database: expected one SQLite file in the lesson's folder, got none.")
    site.run("app.py", "create_db").exits(0)
    site.get("/add")
    with site.database() as database:
        assert [row["title"] for row in database.execute("select * from todo")] == ["Buy milk"]
        database.execute("insert into todo (title) values ('Read')")
    fails(no_table, "The database instance/todo.db: expected", "got no such table: tasks")
    fails(written_twice, "NOT NULL constraint failed")
    with site.database() as database:
        assert len(database.execute("select * from todo").fetchall()) == 2
    shutil.copy(site._written.folder / "instance" / "todo.db", site._written.folder / "other.data")
    fails(no_table, "got instance/todo.db, other.data.")


def test_new_database(site: Site) -> None:
    site.run("app.py", "create_db").exits(0)
    site.get("/add")
    (site._written.folder / "instance" / "todo.db-wal").touch()
    (site._written.folder / "app.db").write_bytes(
        (site._written.folder / "instance" / "todo.db").read_bytes()
    )
    (site._written.folder / "notes.db").write_text("no database")
    site.new_database()
    names = {path.name for path in site._written.folder.iterdir()} - {"__pycache__"}
    assert names == {"app.py", "notes.db"}
    site.run("app.py", "create_db").exits(0)
    site.get("/add").has_status(200)


# The terminal

HASHES = """
import hashlib
from werkzeug.security import check_password_hash, generate_password_hash

kept = generate_password_hash("open sesame")
print(kept[:17], check_password_hash(kept, "open sesame"), check_password_hash(kept, "sesame"))
print(hashlib.scrypt(b"", salt=b"", n=16, r=1, p=1).hex()[:10])
more = {"salt": b"y", "r": 8, "p": 1, "maxmem": 2**26}
print(hashlib.scrypt(b"x", n=2**15, **more) == hashlib.scrypt(b"x", n=2, **more))
"""


def test_a_password_is_hashed_quickly_and_fits_no_other(site: Site) -> None:
    printed = site.probe("hashes", HASHES).exits(0).out.splitlines()
    from_rfc_7914 = "77d6576238"
    assert printed == ["scrypt:32768:8:1$ True False", from_rfc_7914, "True"]


# A copy that is prepared

CHECKS = """
from course.site import Site

def test_empty(site: Site) -> None:
    site.get("/add").has_status(200)
    with site.database() as database:
        assert len(database.execute("select * from todo").fetchall()) == 1

def test_empty_again(site: Site) -> None:
    test_empty(site)

def test_no_database(site: Site) -> None:
    site.get("/cookies").has_status(200)
"""


@pytest.fixture
def prepared(tmp_path: Path, course: Course) -> Course:
    """A course of two lessons, of which the second is to be prepared."""
    checks = tmp_path / "checks"
    checks.mkdir()
    shutil.copy(course.root / "checks" / "pytest.ini", checks)
    text = ""
    for number, folder in enumerate(("none", "some", "more")):
        (checks / f"test_{folder}.py").write_text(CHECKS)
        text += textwrap.dedent(f"""
            [[lesson]]
            number = {number}
            folder = "{folder}"
            serve = "python app.py"
            imports = ["flask", "sqlite3"]
            task = []
            title = "a"
            adds = "a"
            pain = "a"
            taught = "a"
            edit = "a"
        """)
    text = text.replace("number = 1", 'number = 1\nprepare = "python app.py create_db"')
    (tmp_path / "lessons").mkdir()
    (tmp_path / "lessons" / "course.toml").write_text(text)
    return load(tmp_path)


def states(course: Course, number: int, app: str, *names: str) -> dict[str, str]:
    lesson = course.lesson(number)
    copy = Snapshot({"app.py": app.encode()})
    with ForkServers() as servers:
        checker: Checker = NestedChecker(course, servers)
        found = checker.results(lesson, copy, lesson.checks, frozenset(names))
    return {name: result.state for name, result in found.items()}


def test_each_check_has_a_database_that_was_made_once(prepared: Course, tmp_path: Path) -> None:
    count = f"import os\nos.write(os.open({str(tmp_path / 'count')!r}, 0o2101), b'x')\n"
    app = APP.replace('    print("created")', textwrap.indent(count, "    ") + "    1")
    found = states(prepared, 1, app, "test_empty", "test_empty_again")
    assert found == {"test_empty": PASSED, "test_empty_again": PASSED}
    assert (tmp_path / "count").read_text() == "x"


@pytest.mark.parametrize(
    "wrong",
    ["1 / 0", "os._exit(3)", "os.kill(os.getppid(), 9)", "print('x' * 10**7)", "time.sleep(60)"],
)
def test_checks_go_on_where_nothing_can_be_prepared(wrong: str, prepared: Course) -> None:
    app = APP.replace('    print("created")', f"    {wrong}")
    assert app != APP
    assert states(prepared, 1, app, "test_no_database") == {"test_no_database": PASSED}


def test_ways_to_prepare(prepared: Course) -> None:
    none, some, more = prepared.lessons
    assert prepared.ways_to_prepare(none) == ()
    assert prepared.ways_to_prepare(some) == ("python app.py create_db",)
    assert prepared.ways_to_prepare(more) == ("python app.py create_db",)
    text = (prepared.root / "lessons" / "course.toml").read_text()
    text = text.replace("number = 2", 'number = 2\nprepare = "python app.py db upgrade"')
    (prepared.root / "lessons" / "course.toml").write_text(text)
    course = load(prepared.root)
    ways = ("python app.py db upgrade", "python app.py create_db")
    assert course.ways_to_prepare(course.lesson(2)) == ways
    app = APP.replace("if sys.argv", "assert sys.argv[1:] != ['db', 'upgrade']\nif sys.argv")
    assert states(course, 2, app, "test_empty") == {"test_empty": PASSED}


def test_what_running_makes_is_not_the_students(tmp_path: Path) -> None:
    for name in ("app.py", "migrations/env.py", "migrations/versions/1_.py", "notes.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    written = take(tmp_path)
    for name in ("instance/a.db", "instance/sessions/1", "App/todo.db", "x.sqlite3-wal"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert take(tmp_path) == written
    assert "migrations/versions/1_.py" in written.files
    assert len(take(tmp_path, made=True).files) == len(written.files) + 4


def test_a_server_that_takes_connections_and_does_not_answer(
    solution: Callable[[int], Site],
) -> None:
    """It is not taken for one that does not listen, and no colours of a terminal are quoted."""
    site = solution(1)
    text = (site._written.folder / "app.py").read_text("utf-8")
    loop = "@app.before_request\ndef hang():\n    while True:\n        pass\n\n\n"
    site.write("app.py", text.replace("@app.before_request", loop + "@app.before_request", 1))
    port = free_port()
    with site.runserver("-p", str(port), port=port) as server, pytest.raises(TimedOut) as raised:
        server.get("/")
    assert "got a connection, and no answer" in str(raised.value)
    assert "hang" in raised.value.trace
    site.write("app.py", f"while True:\n    pass\n{text}")
    with site.runserver("-p", str(port), port=port) as server, pytest.raises(TimedOut) as raised:
        server.get("/")
    assert "within 5 seconds, got nothing" in str(raised.value)
    assert "  app.py, line " in raised.value.trace
    site.write("app.py", text)
    with site.runserver("-p", str(free_port()), port=port) as server:
        with pytest.raises(CheckFailed) as failed:
            server.get("/")
        assert type(failed.value) is CheckFailed
    assert "got Press CTRL+C to quit" in str(failed.value)
    coloured = Finished(0, "ended", "", "\x1b[33mPress CTRL+C to quit\x1b[0m\n")
    assert last_line(coloured) == "Press CTRL+C to quit"


def test_one_slow_start_is_not_taken_for_all(site: Site) -> None:
    """An app may hang where it has other settings, and be right without them."""
    text = site.read("app.py")
    site.write("app.py", f"import os\nwhile os.environ.get('SLOW'):\n    pass\n{text}")
    with pytest.raises(TimedOut):
        site.start(env={"SLOW": "1"})
    site.get("/cookies").has_status(200)
    site.write("app.py", f"while True:\n    pass\n{text}")
    with pytest.raises(TimedOut) as first:
        site.start()
    with pytest.raises(TimedOut) as second:
        site.start(env={"SLOW": "1"})
    assert second.value is first.value


@pytest.mark.parametrize(
    "sent",
    [b"*1\r\n$2000000\r\n", b"*99\r\n", b"GET / HTTP/1.1\r\n", b"*1\r\n$" + b"9" * 99],
)
def test_a_small_redis_takes_only_so_much(sent: bytes, site: Site, capfd: Any) -> None:
    with small_redis(site) as redis, socket.create_connection(redis.server_address) as client:
        client.sendall(sent)
        assert client.recv(100) == b""
    assert capfd.readouterr().err == ""


def test_a_small_redis_keeps_only_so_much(site: Site) -> None:
    half = b"x" * 600_000
    with small_redis(site) as redis, socket.create_connection(redis.server_address) as client:
        for name, said in ((b"a", b"+OK\r\n"), (b"b", b"-OOM the memory is full\r\n")):
            client.sendall(b"*3\r\n$3\r\nSET\r\n$1\r\n%s\r\n$600000\r\n%s\r\n" % (name, half))
            assert client.recv(100) == said
        client.sendall(b"*3\r\n$3\r\nSET\r\n$1\r\nc\r\n$0\r\n\r\n")
        assert client.recv(100) == b"+OK\r\n"
        client.sendall(b"*1\r\n$4\r\nPING\r\n")
        assert client.recv(100) == b"+PONG\r\n"
    assert redis.kept.keys() == {b"a", b"c"}


def test_a_clock_that_a_busy_machine_starts_late_is_not_taken_for_a_shared_one(
    course: Course, checker: Checker
) -> None:
    lesson = course.lesson(0)
    start = "    g.started = perf_counter()\n"
    late = f"    __import__('time').sleep(0.1 if request.method == 'POST' else 0)\n{start}"
    copy = take(lesson.solution).replacing("app.py", start, late)
    wanted = frozenset({"test_timing_is_its_own"})
    found = checker.results(lesson, copy, lesson.checks, wanted)
    assert found["test_timing_is_its_own"].state == PASSED


def test_a_check_that_fails_by_itself_costs_its_own_task_alone(prepared: Course) -> None:
    checks = prepared.lesson(0).checks
    checks.write_text(CHECKS.replace('site.get("/add").has_status(200)', "1 / 0"))
    names = ("test_empty", "test_no_database")
    assert states(prepared, 0, APP, *names) == {"test_empty": BROKEN, "test_no_database": PASSED}


@pytest.mark.parametrize("begun", [True, False])
def test_it_is_said_whose_mistake_that_is(begun: bool, course: Course) -> None:
    lesson = course.lesson(0)
    task, starter = lesson.tasks[0], take(lesson.starter)
    copy = take(lesson.solution) if begun else starter
    results = [(next(iter(task.checks)), Result(BROKEN, "test_x: got ValueError."))]
    verdict = _verdict(task, results, starter, Diagnosis(course.mistakes, copy))
    assert verdict.state == (CRASHED if begun else NOT_ATTEMPTED)
    assert verdict.message == (
        "test_x: got ValueError. That is a mistake of ours: yours may well be right. "
        "Go on with the next task."
    )


# What a program that nobody trusts does with its folder

ESCAPES = """
import os, sys
from pathlib import Path
from typing import IO
from flask import Flask

app = Flask(__name__)

@app.get("/swap")
def swap():
    here = Path.cwd()
    here.rename(here.with_name("elsewhere"))
    here.symlink_to({outside!r})
    return "done"

@app.get("/link")
def link():
    Path("link").symlink_to({outside!r})
    Path("page.html").symlink_to({outside!r} + "/secret")
    return "done"

if __name__ == "__main__":
    app.run()
"""


@pytest.fixture
def distrusted(tmp_path: Path) -> Iterator[tuple[Site, Path]]:
    """A copy whose programs run in a sandbox, and a folder that none of it may reach."""
    program("bwrap", "bubblewrap")
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_text("untouched")
    with closing(sqlite3.connect(outside / "theirs.db")) as theirs, theirs:
        theirs.execute("CREATE TABLE todo (title)")
    source = ESCAPES.format(outside=str(outside))
    copy = Snapshot({"app.py": source.encode()})
    with ForkServer(("flask", "sqlite3"), Sandbox()) as forks, forks.written(copy) as written:
        site = Site(Runner(forks, frozenset()), written, (["app.py"],))
        yield site, outside
        site.stop()
    assert {path.name for path in outside.iterdir()} == {"secret", "theirs.db"}
    assert (outside / "secret").read_text() == "untouched"


def test_a_folder_that_is_another_one_now_leads_nothing_elsewhere(
    distrusted: tuple[Site, Path],
) -> None:
    site, _ = distrusted
    site.get("/swap").shows("done")
    site.write("new.txt", "new")
    assert site.read("new.txt") == "new"
    with pytest.raises(CheckFailed, match="one SQLite file"), site.database():
        pass
    site.new_database()


def test_no_link_is_followed(distrusted: tuple[Site, Path]) -> None:
    site, outside = distrusted
    site.get("/link").shows("done")
    for path in ("page.html", "link/secret", "../" * 9 + str(outside / "secret"), "/etc/hosts"):
        with pytest.raises(CheckFailed, match="expected a text"):
            site.read(path)
    with pytest.raises(Crashed, match="expected a place to write it"):
        site.write("link/new", "new")
    site.write("page.html", "new")
    assert site.read("page.html") == "new"


def test_a_folder_is_in_the_sandbox_alone_and_has_a_new_name(
    distrusted: tuple[Site, Path],
) -> None:
    site, _ = distrusted
    names = set()
    for _ in range(3):
        with site._runner.forks.written(Snapshot({"a/b.txt": b"whole"})) as written:
            names.add(written.folder.parent.name)
            assert not written.folder.exists()
            assert (written.found / "a/b.txt").read_bytes() == b"whole"
        assert not list(written.folder.parent.parent.iterdir())
    assert len(names) == 3


def test_what_is_typed_reaches_a_program_whatever_stands_in_the_folder(
    distrusted: tuple[Site, Path],
) -> None:
    site, outside = distrusted
    site.write("app.py", "import os, sys\nprint(sys.stdin.read(), os.listdir('..'))\n")
    assert site.run("app.py", stdin="typed 字").out == "typed 字 ['lesson']\n"
    script = (
        f"import os\nfor name in ('stdin', 'new'): os.symlink({str(outside)!r}, '../' + name)\n"
    )
    site.write("app.py", script)
    assert site.run("app.py", stdin="typed").code == 0
    site.write("app.py", "import sys\nprint(sys.stdin.read())\n")
    assert site.run("app.py", stdin="typed").out == "typed\n"


def put_database(site: Site, *more: str) -> None:
    """Make a database in the sandbox, then do more."""
    begin = "import os, sqlite3, struct\ndb = sqlite3.connect('todos.db')\n"
    table = "db.executescript('CREATE TABLE todo (id INTEGER PRIMARY KEY, title)')\n"
    site.write("make.py", begin + table + "".join(more))
    site.run("make.py").exits(0)


def test_a_database_is_opened_where_the_programs_are(distrusted: tuple[Site, Path]) -> None:
    site, _ = distrusted
    put_database(site)
    with site.database() as db:
        db.executemany("INSERT INTO todo (title) VALUES (:title)", [{"title": "A"}, {"title": "B"}])
        db.execute("INSERT INTO todo (title) VALUES (?)", [b"\0"])
    with site.database() as db:
        rows = db.execute("SELECT id, title FROM todo ORDER BY id").fetchall()
        assert [tuple(row) for row in rows] == [(1, "A"), (2, "B"), (3, b"\0")]
        assert dict(rows[0]) == {"id": 1, "title": "A"}
        assert (rows[1][1], rows[1]["title"]) == ("B", "B")
        assert db.execute("SELECT 1 WHERE 0").fetchone() is None
        assert "VALUES(1,'A')" in "".join(db.iterdump())
    with pytest.raises(CheckFailed, match="UNIQUE constraint"), site.database() as db:
        db.executemany("INSERT INTO todo (id) VALUES (?)", [[9], [9]])
    with site.database() as db:
        (number,) = db.execute("SELECT count(*) FROM todo").fetchone() or ()
    assert number == 3
    with pytest.raises(sqlite3.ProgrammingError), site.database() as db:
        db.execute("SELECT ?")


def test_a_database_that_cannot_be_opened_is_told(distrusted: tuple[Site, Path]) -> None:
    site, _ = distrusted
    put_database(site)
    site.get("/swap").shows("done")
    with pytest.raises(CheckFailed, match="unable to open"), site.database():
        pass


def test_a_journal_deletes_nothing_elsewhere(distrusted: tuple[Site, Path]) -> None:
    """See https://sqlite.org/fileformat2.html: a hot journal may name another file to delete."""
    site, outside = distrusted
    journal = f"""
magic, name = bytes.fromhex("d9d505f920a163d7"), {str(outside / "secret").encode()!r}
size = os.path.getsize("todos.db") // 4096
head = (magic + struct.pack(">IIIII", 0, 0, size, 512, 4096)).ljust(512, b"\\0")
named = name + struct.pack(">II", len(name), sum(name)) + magic
with open("todos.db-journal", "wb") as file:
    file.write(head + struct.pack(">I", 0x40000000 // 4096 + 1) + named)
"""
    put_database(site, journal)
    with site.database() as db:
        db.execute("SELECT * FROM todo")


def test_a_trigger_does_not_work_for_ever(
    distrusted: tuple[Site, Path],
) -> None:
    site, _ = distrusted
    endless = (
        "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT count(*) FROM c"
    )
    trigger = f"CREATE TRIGGER t AFTER INSERT ON todo BEGIN SELECT ({endless}); END"
    put_database(site, f"db.execute({trigger!r})\n")
    with pytest.raises(CheckFailed, match="interrupted"), site.database() as db:
        db.execute("INSERT INTO todo (title) VALUES ('Milk')")


SECRET_LINE = """
import os, sys
os.rename("../lesson", "../old")
os.symlink({outside!r}, "../lesson")
sys.stderr.write('Traceback (most recent call last):\\n')
sys.stderr.write('  File "{file}", line 1, in <module>\\nValueError: x\\n')
os._exit(1)
"""


@pytest.mark.parametrize("file", ["secret", "{folder}/secret", "../outside/secret", "app.py"])
def test_a_trace_shows_lines_of_the_copy_alone(distrusted: tuple[Site, Path], file: str) -> None:
    site, outside = distrusted
    (outside / "app.py").write_text("untouched")
    try:
        path = file.format(folder=site._written.folder)
        site.write("leak.py", SECRET_LINE.format(outside=str(outside), file=path))
        with pytest.raises(CheckFailed) as caught:
            site.run("leak.py").exits(0)
        assert "ValueError: x" in caught.value.trace
        assert "untouched" not in caught.value.trace
    finally:
        (outside / "app.py").unlink()


def test_what_prepares_a_copy_makes_nothing_of_what_is_elsewhere(
    distrusted: tuple[Site, Path],
) -> None:
    site, outside = distrusted
    swap = "import os\nos.mkdir('instance')\nopen('instance/new', 'w')\n"
    swap += f"os.rename('../lesson', '../old')\nos.symlink({str(outside)!r}, '../lesson')\n"
    copy = Snapshot({"manage.py": swap.encode()})
    ready = prepare(site._runner.forks, copy, ("python manage.py create_db",))
    assert ready.copy.files.keys() == {"manage.py", "instance/new"}


DEEP = """
import os
for _ in range(1500):
    os.mkdir("d")
    os.chdir("d")
"""


def test_more_folders_in_folders_than_can_be_walked_are_the_programs_fault(
    distrusted: tuple[Site, Path],
) -> None:
    """The newest Pythons can walk them; none may fail in another way."""
    site, _ = distrusted
    site.write("deep.py", DEEP)
    site.run("deep.py").exits(0)
    for walk in (site.files, site.new_database):
        said = ""
        try:
            walk()
        except Crashed as error:
            said = str(error)
        assert said in (
            "",
            "the lesson's folder: expected files in it, got too many folders in folders.",
        )
    copy = Snapshot({"manage.py": DEEP.encode()})
    ready = prepare(site._runner.forks, copy, ("python manage.py create_db",))
    assert ready.copy.files == copy.files


FORBIDDEN = """
import ctypes, os, platform, socket
libc = ctypes.CDLL(None, use_errno=True)
numbers = {"x86_64": (29, 250, 101), "aarch64": (194, 219, 117)}[platform.machine()]

def refused(call):
    try:
        call()
    except PermissionError:
        return True

print(refused(lambda: os.memfd_create("m")), refused(lambda: os.sched_setaffinity(0, {0})), *(
    libc.syscall(number, 0, 0, 0, 0) == -1 and ctypes.get_errno() == 1 for number in numbers
))
print(*(refused(lambda: socket.socket(family, 2)) for family in (38, 40)))  # AF_ALG, AF_VSOCK
print(*(refused(lambda: socket.socket(family, 2)) for family in (1, 2, 10, 16)))
socket.socketpair()
"""


def test_what_no_limit_counts_is_forbidden(distrusted: tuple[Site, Path]) -> None:
    """Memory and keys that are nobody's, other cores, other processes, ways to the host."""
    site, _ = distrusted
    site.write("ask.py", FORBIDDEN)
    alone, ways, usual = site.run("ask.py").exits(0).out.splitlines()
    assert (alone.split(), ways.split()) == (["True"] * 5, ["True"] * 2)
    assert usual == "None None None None"


OUTLIVES = """
import ctypes, fcntl, os, signal, time
ctypes.CDLL(None).prctl(1, 0, 0, 0, 0)  # not to be killed with the one that has forked this
alive = open("alive", "w")
fcntl.flock(alive, fcntl.LOCK_EX)
if os.fork() == 0:
    os.setsid()
    time.sleep(60)
os.kill(os.getppid(), signal.SIGKILL)
time.sleep(60)
"""


def test_nothing_outlives_what_watches_over_it(distrusted: tuple[Site, Path]) -> None:
    site, _ = distrusted
    site.write("kill.py", OUTLIVES)
    with pytest.raises(Crashed):
        site.run("kill.py").exits(0)
    with open(site._written.found / "alive") as alive:
        until(lambda: not _is_locked(alive), seconds=5)  # it would live for a minute


def _is_locked(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    return False


def test_nobody_else_can_ask_for_a_program(distrusted: tuple[Site, Path]) -> None:
    """No path leads to what forks the jobs, and a job has no descriptor of it."""
    site, _ = distrusted
    source = "import os\nprint(*(sorted(os.listdir(p)) for p in ('/proc/self/fd', '../..')))\n"
    site.write("look.py", source)
    names = [site._written.folder.parent.name]
    assert site.run("look.py").exits(0).out == f"['0', '1', '2', '3'] {names}\n"


WATCHED = """
import os, resource

def refused(call):
    try:
        call()
    except (OSError, ValueError):
        return True

for number in (1, os.getppid()):
    for path in ("mem", "fd/0", "fd/1"):
        print(refused(lambda: open(f"/proc/{number}/{path}", "rb")))
limits = [getattr(resource, name) for name in ("RLIMIT_NOFILE", "RLIMIT_AS", "RLIMIT_FSIZE")]
for limit in limits:
    most = resource.getrlimit(limit)[1]
    print(refused(lambda: resource.setrlimit(limit, (most + 1, most + 1))))
print(refused(lambda: os.chmod("/dev/full", 0o600)))
"""


def test_what_watches_over_a_program_is_out_of_its_reach(distrusted: tuple[Site, Path]) -> None:
    site, _ = distrusted
    site.write("look.py", WATCHED)
    assert set(site.run("look.py").exits(0).out.split()) == {"True"}


def test_a_supervisor_that_was_stopped_is_the_end_of_all(
    distrusted: tuple[Site, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "ANSWER_SECONDS", 0.5)
    site, _ = distrusted
    site.write("app.py", STOPS)
    if os.fork() == 0:  # as the checks are, which share a sandbox
        try:
            site.get("/").shows("Hello")
            site.stop()
        finally:
            os._exit(0)
    os.wait()
    until(lambda: site._runner.forks.ended(), seconds=5)


STOPS = """
import os, signal
from flask import Flask

app = Flask(__name__)

@app.get("/")
def home():
    os.kill(os.getppid(), signal.SIGSTOP)
    return "Hello"

app.run()
"""


@pytest.mark.parametrize(
    "hoard",
    [
        "for n in range(50):\n    os.mkdir('d' * 200); os.chdir('d' * 200)\n"
        "for n in range(6):\n    with open(str(n), 'wb') as file:\n"
        "        os.posix_fallocate(file.fileno(), 0, 50 << 20)",
        "import mmap\nkept = []\nfor n in range(6):\n    with open(str(n), 'w+b') as file:\n"
        "        os.posix_fallocate(file.fileno(), 0, 50 << 20)\n"
        "        kept.append(mmap.mmap(file.fileno(), 4096))\n    os.remove(str(n))",
        "for n in range(20_001): open(str(n), 'w').close()",
        "for n in range(20_001): open(f'/tmp/{n}', 'w').close()",
        "for n in range(20_001): open(f'/dev/shm/{n}', 'w').close()",
        "for n in range(10):\n    file = open(str(n), 'wb'); files = globals().get('files', [])\n"
        "    files.append(file); os.posix_fallocate(file.fileno(), 0, 50 << 20); os.remove(str(n))",
        "import threading\nthreading.stack_size(65536)\n"
        "for _ in range(500): threading.Thread(target=time.sleep, args=(60,)).start()",
        "import ctypes, platform, threading\nos.fork()\n\ndef fill():\n"
        "    kept = bytearray(b'x') * (850 << 20)\n    time.sleep(60)\n"
        "\nthreading.Thread(target=fill).start()\n"
        "ctypes.CDLL(None).syscall({'x86_64': 60}.get(platform.machine(), 93), 0)",
    ],
)
def test_nothing_is_hoarded_where_no_folder_shows_it(
    distrusted: tuple[Site, Path], hoard: str
) -> None:
    site, _ = distrusted
    site.write("hoard.py", f"import os, time\nos.makedirs('../m')\n{hoard}\ntime.sleep(60)\n")
    began = time.monotonic()
    with pytest.raises(Crashed):
        site.run("hoard.py")
    assert time.monotonic() - began < COMMAND_SECONDS - 1


def test_root_cannot_change_the_system_from_inside(distrusted: tuple[Site, Path]) -> None:
    site, _ = distrusted
    site.write("core.py", "import os\nos.open('/proc/sys/kernel/core_pattern', os.O_WRONLY)\n")
    with pytest.raises(CheckFailed, match="Error"):
        site.run("core.py").exits(0)


def test_a_program_cannot_look_into_what_watches_over_it(distrusted: tuple[Site, Path]) -> None:
    site, _ = distrusted
    look = "import os\nopen('/proc/self/mem', 'rb')\nopen(f'/proc/{os.getppid()}/mem', 'rb')\n"
    site.write("look.py", look)
    with pytest.raises(CheckFailed, match=r"Permission denied: '/proc/\d"):
        site.run("look.py").exits(0)


# Odd answers


def odd(body: str, headers: dict[str, str]) -> Page:
    response = httpx.Response(200, headers=headers, content=body.encode())
    return Page("GET /odd", "/odd", response, lambda: Trace((), ""))


def test_a_page_that_takes_for_ever_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("course.answers.PARSE_SECONDS", 0.2)
    page = odd("<a " * 100_000, {})
    began = time.monotonic()
    fails(lambda: page.html, "GET /odd", "got one of 300000 characters")
    assert time.monotonic() - began < 2


def test_a_page_that_is_no_html() -> None:
    fails(lambda: odd("<![x]>", {}).html, "GET /odd", "expected a page of HTML")


def test_a_cookie_in_another_alphabet_is_sent_back(site: Site) -> None:
    site.set_cookie("word", "é字")
    assert "word=" in json.loads(site.get("/environment-of-request").body)["cookie"]


def test_what_is_compressed_is_not_unpacked(site: Site) -> None:
    with site.slow_post("/packed", b"a=1") as post:
        page = post.finish()
    assert len(page.body) < 100_000
