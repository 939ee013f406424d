"""The finished app as docs/for_real.md starts it: gunicorn with workers, PostgreSQL, Redis.

The scripts are those of the page; what is replaced in them are addresses and the number of workers.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import Message
from functools import partial
from http.client import HTTPConnection, HTTPException
from http.cookies import SimpleCookie
from pathlib import Path
from socket import socket
from threading import Event
from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

import psycopg
import pytest
from conftest import ROOT, until
from services import environment, new_database, program, server
from sqlalchemy.engine import make_url
from test_docs import DOCS, read

PAGE = read(DOCS / "for_real.md").examples
PASSWORD = "correct horse battery"
SECONDS = 120
"""How long one request or command may take, on a machine that has much else to do."""

# A file of settings for gunicorn: a worker says when it is ready, and its name in each answer.
NAMED_WORKERS = """
import os

def post_worker_init(worker):
    app = worker.wsgi
    worker.log.info("Ready: %s", os.getpid())

    def named(environ, start_response):
        def start(status, headers, *more):
            return start_response(status, [*headers, ("X-Worker", str(os.getpid()))], *more)
        return app(environ, start)

    worker.wsgi = named
"""


# A visitor.


@dataclass
class Answer:
    status: int
    headers: Message
    text: str

    @property
    def worker(self) -> int:
        return int(self.headers["X-Worker"])

    @property
    def json(self) -> Any:
        return json.loads(self.text)


@dataclass
class Visitor:
    """Keeps cookies as a browser does behind HTTPS. Each request has a connection of its own."""

    port: int
    cookies: dict[str, str] = field(default_factory=dict)

    @property
    def cookie(self) -> str:
        return "; ".join(f"{name}={value}" for name, value in self.cookies.items())

    def ask(
        self, method: str, path: str, form: Any = None, body: Any = None, **more: str
    ) -> Answer:
        headers = {"Cookie": self.cookie} | more
        data = None
        if form is not None:
            data, headers["Content-Type"] = urlencode(form), "application/x-www-form-urlencoded"
        if body is not None:
            data, headers["Content-Type"] = json.dumps(body), "application/json"
        connection = HTTPConnection("127.0.0.1", self.port, timeout=SECONDS)
        try:
            connection.request(method, path, data, headers)
            response = connection.getresponse()
            answer = Answer(response.status, response.headers, response.read().decode())
        finally:
            connection.close()
        for line in response.headers.get_all("Set-Cookie", []):
            for name, cookie in SimpleCookie(line).items():
                self.cookies[name] = cookie.value
        return answer

    def get(self, path: str, **headers: str) -> Answer:
        return self.ask("GET", path, **headers)

    def register(self, name: str) -> None:
        answer = self.ask("POST", "/register", {"name": name, "password": PASSWORD})
        assert answer.status // 100 == 3, answer.text

    def name(self) -> str | None:
        """Tell who the site says that we are."""
        answer = self.get("/")
        assert answer.status == 200
        found = re.search(r'<a href="/account">(.*?)</a>', answer.text)
        return found and found[1]

    def todos(self) -> dict[int, dict]:
        """Return all todos by id, as the API lists them."""
        found: list[dict] = []
        while page := self.get(f"/api/todos?per_page=100&page={len(found) // 100 + 1}").json:
            found += page
            if len(page) < 100:
                break
        return {todo["id"]: todo for todo in found}


def counted(answer: Answer) -> int:
    """Return how many todos there are, as /stats has it."""
    assert answer.status == 200
    found = re.search(r"of (\d+) todos", answer.text)
    assert found
    return int(found[1])


# The service.


@dataclass
class Service:
    """The app in `folder`, where the page's scripts are, served at `port`."""

    folder: Path
    variables: dict[str, str]
    port: int = 0

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text()

    def visitor(self) -> Visitor:
        return Visitor(self.port)

    @property
    def workers(self) -> list[int]:
        """The processes that serve now."""
        ready = map(int, re.findall(r"Ready: (\d+)", self.log))
        return [pid for pid in ready if is_alive(pid)]

    @contextmanager
    def only(self, worker: int) -> Iterator[None]:
        """Stop the other workers for a while, so that this one answers."""
        others = [pid for pid in self.workers if pid != worker]
        try:
            for pid in others:
                os.kill(pid, signal.SIGSTOP)
            until(lambda: states(others) <= {"T"}, SECONDS)
            yield
        finally:
            for pid in others:
                os.kill(pid, signal.SIGCONT)

    def ask(self, worker: int, question: Callable[[], Any]) -> Any:
        with self.only(worker):
            answer = question()
        assert not isinstance(answer, Answer) or answer.worker == worker
        return answer

    def run(self, command: str) -> str:
        done = run(command, self.folder, self.variables)
        assert done.returncode == 0, done.stdout
        return done.stdout

    @contextmanager
    def serve(self) -> Iterator[None]:
        script = self.folder / "serve.sh"
        number = int(re.search(r"--workers (\d)", script.read_text())[1])

        def command(port: int) -> list[str]:
            replace(script, r"(?<=--bind 127\.0\.0\.1:)\d+", str(port))
            return ["sh", "serve.sh"]

        def answers(port: int) -> bool:
            listens = f"Listening at: http://127.0.0.1:{port} " in self.log
            return listens and len(self.workers) == number

        with server(
            command, answers, self.folder / "log", folder=self.folder, variables=self.variables
        ) as port:
            self.port = port
            yield


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def states(pids: list[int]) -> set[str]:
    """Return the first letters of the processes' states: T is stopped."""
    ps = ["ps", "-o", "state=", "-p", ",".join(map(str, pids))]
    return {line[:1] for line in subprocess.check_output(ps, text=True).split()}


def run(command: str, folder: Path, variables: dict[str, str]) -> subprocess.CompletedProcess:
    return subprocess.run(
        ["sh", "-c", command], cwd=folder, env=variables, text=True, timeout=SECONDS,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip


def lay_out(folder: Path, lesson: str = "07_restful", **replaced: str) -> Service:
    """Copy the lesson and write the page's scripts there, with `replaced` among its settings."""
    ignored = shutil.ignore_patterns("__pycache__", "instance")
    shutil.copytree(ROOT / "solutions" / lesson, folder, ignore=ignored)
    for name, text in PAGE.items():
        (folder / name).write_text(text)
    for name, value in replaced.items():
        replace(folder / "settings.sh", rf"(?<=export {name}=).*", value)
    workers = folder / "gunicorn_workers.py"
    workers.write_text(NAMED_WORKERS)
    python = {"PYTHONDONTWRITEBYTECODE": "1", "GUNICORN_CMD_ARGS": f"-c {workers}"}
    path = f"{Path(sys.executable).parent}{os.pathsep}{environment()['PATH']}"
    return Service(folder, environment() | python | {"PATH": path, "HOME": str(folder)})


def replace(script: Path, pattern: str, value: str) -> None:
    text, times = re.subn(pattern, lambda match: value, script.read_text())
    assert times == 1, f"{pattern} in {script.name}"
    script.write_text(text)


# The ways to set it up.


@contextmanager
def as_on_the_page(folder: Path, url: Callable[[str], str]) -> Iterator[Service]:
    """Do all that the page says, with our servers in place of the machine's own."""
    postgresql = make_url(url("postgresql"))
    service = lay_out(folder, REDIS_URL=url("redis"))
    address = f"{postgresql.host}:{postgresql.port}"
    replace(folder / "settings.sh", "127.0.0.1:5432", address)
    programs = Path(program("createdb", "postgresql")).parent
    service.variables |= {
        "PATH": f"{service.variables['PATH']}{os.pathsep}{programs}",
        "PGHOST": str(postgresql.host), "PGPORT": str(postgresql.port), "PGUSER": "postgres",
    }  # fmt: skip
    service.run("sh -e database.sh")
    try:
        service.run("sh -e install.sh")
        with service.serve():
            yield service
    finally:
        service.run("dropdb --force todos && dropuser todos")


@contextmanager
def database_on_postgresql(folder: Path, url: Callable[[str], str]) -> Iterator[Service]:
    with new_database(url("postgresql")) as database:
        settings = {"SESSION_TYPE": "database", "CACHE_TYPE": "FileSystemCache"}
        with two_workers(lay_out(folder, DATABASE_URL=database, **settings)) as service:
            yield service


@contextmanager
def on_sqlite(folder: Path, url: Callable[[str], str], sessions: str) -> Iterator[Service]:
    settings = {"SESSION_TYPE": sessions, "CACHE_TYPE": "FileSystemCache"}
    with two_workers(lay_out(folder, DATABASE_URL="sqlite:///todos.db", **settings)) as service:
        yield service


@contextmanager
def two_workers(service: Service) -> Iterator[Service]:
    replace(service.folder / "serve.sh", "--workers 3", "--workers 2")
    service.run("sh -e install.sh")
    with service.serve():
        yield service


WAYS = {
    "as on the page": as_on_the_page,
    "database on PostgreSQL": database_on_postgresql,
    "files on SQLite": partial(on_sqlite, sessions="files"),
    "database on SQLite": partial(on_sqlite, sessions="database"),
    "cookie on SQLite": partial(on_sqlite, sessions="cookie"),
}


@pytest.fixture(scope="module")
def service(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("served") / "app"
    with WAYS[request.param](folder, request.getfixturevalue) as service:
        yield service


def served(*ways: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("service", ways, indirect=True)


on_the_page = served("as on the page")
in_every_way_but_cookie = served(*(way for way in WAYS if way != "cookie on SQLite"))


# What workers share.


@served(*WAYS)
def test_every_worker_knows_who_has_logged_in(service: Service, request) -> None:
    ada, first = service.visitor(), service.workers[0]
    service.ask(first, lambda: ada.register("Ada"))
    copy = Visitor(service.port, dict(ada.cookies))
    for worker in service.workers:
        assert service.ask(worker, ada.name) == "Ada"
    assert service.ask(first, lambda: ada.ask("POST", "/logout")).status // 100 == 3
    kept_by_server = "cookie" not in request.node.callspec.id
    for worker in service.workers:
        assert service.ask(worker, ada.name) is None
        assert service.ask(worker, copy.name) == (None if kept_by_server else "Ada")


@in_every_way_but_cookie
def test_every_worker_shows_at_once_what_another_has_written(service: Service) -> None:
    guest = service.visitor()
    stats = partial(guest.get, "/stats")
    number = counted(stats())
    for writer in service.workers:
        add = partial(guest.ask, "POST", "/api/todos", body={"title": "Seen by all"})
        assert service.ask(writer, add).status == 201
        number += 1
        for reader in service.workers:
            assert counted(service.ask(reader, stats)) == number
    service.run(". ./settings.sh; python manage.py seed 1")  # another process
    for reader in service.workers:
        assert counted(service.ask(reader, stats)) == number + 1


@in_every_way_but_cookie
def test_a_worker_counts_once_a_change(service: Service) -> None:
    guest = service.visitor()
    want(guest.ask("POST", "/api/todos", body={"title": "A change"}), 201)
    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(guest.get, ["/stats"] * 24))
    misses = Counter(answer.worker for answer in answers if answer.headers["X-Cache"] == "miss")
    assert misses
    # FileSystemCache looks, and then writes: of two processes that look at once, each may write a
    # text of its own, and one of them counts once more. Redis adds in one step.
    spare = 0 if "RedisCache" in (service.folder / "settings.sh").read_text() else 1
    assert misses.total() <= len(service.workers) + spare
    assert max(misses.values()) <= 1 + spare
    for worker in service.workers:
        assert service.ask(worker, lambda: guest.get("/stats")).headers["X-Cache"] == "hit"


def test_workers_share_no_memory(tmp_path: Path) -> None:
    settings = {"SESSION_TYPE": "memory", "CACHE_TYPE": "SimpleCache"}
    service = lay_out(tmp_path / "app", DATABASE_URL="sqlite:///todos.db", **settings)
    with two_workers(service):
        ada, (one, other) = service.visitor(), service.workers
        service.ask(one, lambda: ada.register("Ada"))
        assert service.ask(one, lambda: ada.get("/account")).status == 200
        assert service.ask(other, lambda: ada.get("/account")).status // 100 == 3  # to the login
        for worker, number in [(one, 0), (other, 0)]:
            assert counted(service.ask(worker, lambda: ada.get("/stats"))) == number
        service.ask(one, lambda: ada.ask("POST", "/api/todos", body={"title": "Milk"}))
        for worker, number in [(one, 1), (other, 0)]:
            assert counted(service.ask(worker, lambda: ada.get("/stats"))) == number


# Load.


def want(answer: Answer, *statuses: int) -> Answer:
    assert answer.status in statuses, f"{answer.status} {answer.text}"
    return answer


def use_the_api(guest: Visitor, number: int) -> dict[int, tuple]:
    """Add, change and delete; return what must be there at the end."""
    kept = {}
    for i in range(12):
        title, completed = f"{number}.{i}", i % 3 == 0
        todo = want(guest.ask("POST", "/api/todos", body={"title": title}), 201).json
        path = f"/api/todos/{todo['id']}"
        if completed:
            want(guest.ask("PATCH", path, body={"completed": True}), 200)
        if i % 4 == 3:
            want(guest.ask("DELETE", path), 204)
            again = want(guest.get(path), 200, 404)
            assert again.status == 404 or again.json["title"] != title  # SQLite reuses an id
        else:
            kept[todo["id"]] = title, completed
        want(guest.get(["/stats", "/api/todos?per_page=5", "/todos?q=1"][i % 3]), 200)
    return kept


def use_the_pages(ada: Visitor) -> int:
    """Add todos, as the user that other threads are too; return how many."""
    for i in range(8):
        want(ada.ask("POST", "/todos", {"title": f"Page {i}"}), 302, 303)
        want(ada.get(["/todos", "/", "/account", "/stats"][i % 4]), 200)
    return 8


def come_and_go(bob: Visitor) -> None:
    for _ in range(3):
        want(bob.ask("POST", "/logout"), 302, 303)
        want(bob.ask("POST", "/login", {"name": "Bob", "password": PASSWORD}), 302, 303)
        assert bob.name() == "Bob"


def delete_all(carol: Visitor) -> None:
    for i in range(6):
        want(carol.ask("POST", "/api/todos", body={"title": f"Short of life {i}"}), 201)
        want(carol.ask("DELETE", "/api/todos"), 204)


def quarrel(visitor: Visitor, path: str) -> None:
    """Change a todo that another thread changes too, and delete it."""
    for i in range(8):
        want(visitor.ask("PATCH", f"/api{path}", body={"order": i}), 200, 404)
        want(visitor.ask("POST", path, {"title": f"Mine {i}"}), 302, 303, 404)
    want(visitor.ask("POST", f"{path}/delete"), 302, 303, 404)


@in_every_way_but_cookie
def test_no_write_is_lost_and_nothing_fails_under_load(service: Service) -> None:
    guest = service.visitor()
    named = {name: service.visitor() for name in ("Ada L.", "Bob", "Carol", "Dora")}
    for name, visitor in named.items():
        visitor.register(name)
    ada, bob, carol, dora = named.values()
    doras = dora.ask("POST", "/api/todos", body={"title": "Dora's?"}).json["id"]
    disputed = guest.ask("POST", "/api/todos", body={"title": "Whose?"}).json["id"]
    want(guest.ask("POST", "/api/todos", body={"title": "Keeps that id from being reused"}), 201)
    before = guest.todos().keys()

    with ThreadPoolExecutor() as pool:
        guests = [pool.submit(use_the_api, service.visitor(), number) for number in range(3)]
        pages = [pool.submit(use_the_pages, ada) for _ in range(2)]
        others = [pool.submit(come_and_go, bob)]
        others += [pool.submit(delete_all, carol) for _ in range(2)]
        others += [pool.submit(quarrel, guest, f"/todos/{disputed}") for _ in range(2)]
        others += [pool.submit(quarrel, dora, f"/todos/{doras}") for _ in range(2)]

    kept = {id: todo for future in guests for id, todo in future.result().items()}
    for future in others:
        future.result()
    there = {id: (todo["title"], todo["completed"]) for id, todo in guest.todos().items()}
    assert there == {id: there[id] for id in before - {disputed}} | kept
    assert len(ada.todos()) == sum(future.result() for future in pages)
    assert carol.todos() == {}
    nothing_went_wrong(service.log)


def nothing_went_wrong(log: str) -> None:
    """See that the log has no traceback but those of one warning, which is of no consequence.

    cachelib gives it where a file of the cache, just written, is deleted by another thread.
    """
    assert log.count("Traceback") == log.count("Exception raised while handling cache file"), log


@dataclass
class Poster:
    """Posts todos until it is told to stop, and knows which were answered."""

    visitor: Visitor
    name: str
    answered: dict[int, str] = field(default_factory=dict)
    unanswered: set[str] = field(default_factory=set)
    workers: set[int] = field(default_factory=set)

    def post(self, stop: Event) -> None:
        while not stop.is_set():
            title = f"{self.name}.{len(self.answered)}"
            try:
                answer = self.visitor.ask("POST", "/api/todos", body={"title": title})
            except (OSError, HTTPException):
                self.unanswered.add(title)
                continue
            self.answered[want(answer, 201).json["id"]] = title
            self.workers.add(answer.worker)


@served("as on the page", "files on SQLite")
def test_a_killed_worker_loses_no_todo(service: Service) -> None:
    before, victim = set(service.workers), service.workers[0]
    posters = [Poster(service.visitor(), f"Poster {number}") for number in range(3)]
    stop = Event()

    def answered_by(known: Callable[[int], bool]) -> bool:
        return any(known(worker) for poster in posters for worker in list(poster.workers))

    with ThreadPoolExecutor() as pool:
        try:
            posting = [pool.submit(poster.post, stop) for poster in posters]
            until(lambda: answered_by(lambda worker: worker == victim), SECONDS)
            os.kill(victim, signal.SIGKILL)
            until(lambda: answered_by(lambda worker: worker not in before), SECONDS)
        finally:
            stop.set()
    for future in posting:
        future.result()

    answered = {id: title for poster in posters for id, title in poster.answered.items()}
    unanswered = {title for poster in posters for title in poster.unanswered}
    there = {id: todo["title"] for id, todo in service.visitor().todos().items()}
    assert answered.items() <= there.items()
    more = [title for id, title in there.items() if id not in answered and "Poster" in title]
    assert set(more) <= unanswered
    assert len(more) <= len(posters)
    assert len(service.workers) == len(before)
    nothing_went_wrong(service.log)


@on_the_page
def test_the_database_may_close_all_connections(service: Service, postgresql: str) -> None:
    ada = service.visitor()
    ada.register("Ada K.")
    with ThreadPoolExecutor() as pool:
        for answer in pool.map(ada.get, ["/account"] * 20):
            want(answer, 200)
    with psycopg.connect(postgresql) as connection:
        closed = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'todos'"
        assert connection.execute(closed).rowcount >= len(service.workers)
    for worker in service.workers * 3:
        assert service.ask(worker, partial(ada.get, "/account")).status == 200


# How it starts, and what stands in front of it.


@on_the_page
def test_what_the_page_installs_is_what_the_models_say(service: Service) -> None:
    printed = service.run(". ./settings.sh; python manage.py db check")
    assert "No new upgrade operations detected." in printed
    assert re.fullmatch("[0-9a-f]{64}\n", (service.folder / "secret_key").read_text())
    assert (service.folder / "secret_key").stat().st_mode & 0o077 == 0


@on_the_page
def test_the_cookie_is_for_https_alone(service: Service) -> None:
    cookie = service.visitor().get("/").headers["Set-Cookie"]
    assert {"Secure", "HttpOnly", "SameSite=Lax"} <= set(cookie.split("; "))


@on_the_page
def test_a_proxy_says_where_the_visitor_is(service: Service) -> None:
    visitor = service.visitor()
    proxy = {"Host": "todos.example.org", "X-Forwarded-Proto": "https"}
    todo = visitor.ask("POST", "/api/todos", body={"title": "Far"}, **proxy).json
    assert todo["url"] == f"https://todos.example.org/api/todos/{todo['id']}"
    for origin, status in [("https://todos.example.org", 3), ("https://example.net", 4)]:
        sent = visitor.ask("POST", "/todos", {"title": "Near"}, Origin=origin, **proxy)
        assert sent.status // 100 == status
    moved = visitor.get("/", **{"SCRIPT_NAME": "/elsewhere"})
    assert (moved.status, "/elsewhere" in moved.text) == (200, False)


@served("database on PostgreSQL")
def test_expired_sessions_go_every_night(service: Service) -> None:
    visitors = [service.visitor(), service.visitor()]
    for visitor in visitors:
        visitor.get("/")
    url = re.search("DATABASE_URL=(.*)", (service.folder / "settings.sh").read_text())[1]
    with psycopg.connect(url) as connection:
        gone = connection.execute(
            "UPDATE session SET expires_at = now() - interval '1 day'"
            " WHERE id = (SELECT min(id) FROM session)"
        ).rowcount
    left = "SELECT count(*) FROM session"
    with psycopg.connect(url) as connection:
        before = connection.execute(left).fetchone()[0]
    line = PAGE["crontab"].removeprefix("0 4 * * * ").replace("/srv/todos", str(service.folder))
    service.run(line.replace(".venv/bin/python", sys.executable))
    with psycopg.connect(url) as connection:
        assert connection.execute(left).fetchone()[0] == before - gone == before - 1


def test_without_a_key_it_does_not_start_and_says_why(tmp_path: Path) -> None:
    service = lay_out(tmp_path / "app", SECRET_KEY="")
    replace(service.folder / "serve.sh", "127.0.0.1:8000", "127.0.0.1:0")
    done = run("sh serve.sh", service.folder, service.variables)
    assert done.returncode != 0
    assert "RuntimeError: Set SECRET_KEY to" in done.stdout
    assert "Ready" not in done.stdout


# The database.

MIGRATE = """
import sys, flask_migrate, App
with App.create_app({"APP_ENV": "development"}).app_context():
    for step in sys.argv[1:]:
        command, *revision = step.split(":")
        getattr(flask_migrate, command)(**({"revision": revision[0]} if revision else {}))
"""


def test_postgresql_migrates_through_the_lessons_and_keeps_its_rows(
    database: str, tmp_path: Path
) -> None:
    def migrate(lesson: str, *steps: str) -> None:
        service = lay_out(tmp_path / uuid4().hex, lesson)
        (service.folder / "migrate.py").write_text(MIGRATE)
        variables = service.variables | {"DATABASE_URL": database}
        done = run(f"python migrate.py {' '.join(steps)}", service.folder, variables)
        assert done.returncode == 0, done.stdout

    def rows(query: str) -> list[tuple]:
        with psycopg.connect(database) as connection:
            cursor = connection.execute(query)
            return cursor.fetchall() if cursor.description else []

    first = "SELECT title, completed, created_at FROM todo ORDER BY id"
    add = "INSERT INTO todo (title, completed, created_at, {}) VALUES ({}, now(), {})"
    migrate("04_migrate", "upgrade", "check")
    rows(add.format("priority", "'Old', true", "'high'"))
    migrate("05_session", "upgrade", "check")
    rows("""INSERT INTO "user" (name, password_hash) VALUES ('Ada', '')""")
    rows(add.format("owner_id", "'Ada''s', false", '(SELECT id FROM "user")'))
    migrate("06_caching", "check")
    kept, more = rows(first), rows("SELECT priority, owner_id FROM todo ORDER BY id")
    migrate("07_restful", "upgrade", "check")
    assert rows("SELECT priority, owner_id FROM todo ORDER BY id") == more
    assert more == [("high", None), ("normal", more[1][1])]
    assert [title for title, *_ in kept] == ["Old", "Ada's"]
    assert rows(first) == kept
    migrate("07_restful", "downgrade:0001")
    assert rows(first) == kept
    migrate("07_restful", "upgrade", "check")
    assert rows(first) == kept
    migrate("07_restful", "downgrade:base", "upgrade", "check")
    assert rows(first) == []


def test_more_users_wait_for_a_count_than_there_are_connections(
    database: str, tmp_path: Path
) -> None:
    app = lay_out(tmp_path / "app")
    variables = app.variables | {"DATABASE_URL": database}
    assert run("python manage.py db upgrade", app.folder, variables).returncode == 0

    def command(port: int) -> list[str]:
        return ["python", "manage.py", "runserver", "-p", str(port)]

    def answers(port: int) -> bool:
        with socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    log = app.folder / "log"
    with server(command, answers, log, folder=app.folder, variables=variables) as port:
        ada = Visitor(port)
        ada.register("Ada")
        waiting = [HTTPConnection("127.0.0.1", port, timeout=SECONDS) for _ in range(30)]
        with psycopg.connect(database) as connection:
            connection.execute("LOCK TABLE todo")  # nobody can count until this is over
            for request in waiting:
                request.request("GET", "/stats", headers={"Cookie": ada.cookie})
            for _ in range(20):
                assert ada.get("/account").status == 200
        answered = [request.getresponse() for request in waiting]
        assert {answer.status for answer in answered} == {200}
        assert Counter(answer.headers["X-Cache"] for answer in answered) == {"miss": 1, "hit": 29}
        for request in waiting:
            request.close()
