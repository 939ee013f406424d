"""Real programs for the tests: a browser, and servers, each begun with nothing on a free port.

A test that takes the fixture `postgresql` or `redis` gets the URL. The server stays for all tests
of the process, and goes with it, however that ends. Where the program is missing, the test is
skipped; in CI it fails.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING
from uuid import uuid4

import psycopg
import pytest
import redis as redis_client
from psycopg import sql
from sqlalchemy.engine import make_url

from course import sandbox
from course.site import free_port

if TYPE_CHECKING:
    from playwright.sync_api import Browser

START_SECONDS = 60
PAGE_SECONDS = 30
"""How long a page may take, on a machine that has much else to do."""
# Runs a server until its standard input ends: so it never outlives the process that started it.
UNTIL_STDIN_ENDS = """
exec 3<&0 </dev/null
"$@" 3<&- &
server=$!
(read -r _ <&3; kill -"$0" $server) &
exec 3<&-
wait $server
"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium, without a window."""
    from playwright.sync_api import expect, sync_playwright

    chromium = program("chromium", "chromium")
    args = ["--no-sandbox"] if os.geteuid() == 0 else []
    expect.set_options(timeout=PAGE_SECONDS * 1000)
    with (
        sync_playwright() as playwright,
        playwright.chromium.launch(executable_path=chromium, args=args) as browser,
    ):
        yield browser


@pytest.fixture(scope="session")
def isolated() -> None:
    """A machine that can isolate a submission."""
    program("bwrap", "bubblewrap")
    if why_not := sandbox.missing():  # as where a system allows it to nobody
        (pytest.fail if os.environ.get("CI") else pytest.skip)(why_not)


@pytest.fixture(scope="session")
def postgresql() -> Iterator[str]:
    """The URL of a PostgreSQL server; the one database there is called postgres."""
    with postgresql_server() as url:
        yield url


@pytest.fixture(scope="session")
def redis() -> Iterator[str]:
    """The URL of a Redis server. It keeps what each test leaves there."""
    with redis_server() as url:
        yield url


@pytest.fixture
def database(postgresql: str) -> Iterator[str]:
    """The URL of a new, empty PostgreSQL database, which is dropped after the test."""
    with new_database(postgresql) as url:
        yield url


@contextmanager
def postgresql_server() -> Iterator[str]:
    initdb, postgres = program("initdb", "postgresql"), program("postgres", "postgresql")
    user = unprivileged_user()
    with TemporaryDirectory(prefix="postgresql-", ignore_cleanup_errors=True) as name:
        data, log = Path(name, "data"), Path(name, "log")
        if user:
            shutil.chown(name, user)
        subprocess.run(
            [initdb, "-D", str(data), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-locale",
             "--no-sync"],
            cwd=name, user=user, env=environment(), check=True, stdout=subprocess.DEVNULL,
        )  # fmt: skip

        def command(port: int) -> list[str]:
            at = ["-h", "127.0.0.1", "-p", str(port), "-k", ""]
            return [postgres, "-D", str(data), *at, "-c", "fsync=off"]

        def answers(port: int) -> bool:
            try:
                psycopg.connect(f"postgresql://postgres@127.0.0.1:{port}/postgres").close()
            except psycopg.OperationalError:
                return False
            return True

        # TERM would wait until all clients have gone.
        with server(command, answers, log, user=user, end="INT") as port:
            yield f"postgresql://postgres@127.0.0.1:{port}/postgres"


@contextmanager
def redis_server() -> Iterator[str]:
    path = program("redis-server", "redis-server")
    with TemporaryDirectory(prefix="redis-") as name:

        def command(port: int) -> list[str]:
            return [path, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", name]

        def answers(port: int) -> bool:
            try:
                with redis_client.Redis(port=port) as client:
                    return bool(client.ping())
            except redis_client.ConnectionError:
                return False

        with server(command, answers, Path(name, "log")) as port:
            yield f"redis://127.0.0.1:{port}/0"


@contextmanager
def new_database(postgresql: str) -> Iterator[str]:
    name = f"todos_{uuid4().hex[:8]}"
    identifier = sql.Identifier(name)
    with psycopg.connect(postgresql, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(identifier))
        try:
            yield make_url(postgresql).set(database=name).render_as_string(hide_password=False)
        finally:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(identifier))


@contextmanager
def server(
    command: Callable[[int], list[str]],
    answers: Callable[[int], object],
    log: Path,
    *,
    folder: Path | None = None,
    variables: dict[str, str] | None = None,
    user: str | None = None,
    end: str = "TERM",
) -> Iterator[int]:
    """Run the command that serves at a port, and give the port once the server answers there.

    The signal `end` ends it.
    """
    for _ in range(5):  # between our look and the server's, someone else may take the port
        port = free_port()
        with log.open("w") as output:
            process = subprocess.Popen(
                ["/bin/sh", "-c", UNTIL_STDIN_ENDS, end, *command(port)],
                stdin=subprocess.PIPE, stdout=output, stderr=output, start_new_session=True,
                cwd=folder or log.parent, env=variables or environment(), user=user,
            )  # fmt: skip
        try:
            if wait_for(partial(answers, port), process):
                yield port
                return
        finally:
            stop(process)
    pytest.fail(f"{command(port)} does not start:\n{log.read_text()}")


def stop(process: subprocess.Popen[bytes]) -> None:
    assert process.stdin
    process.stdin.close()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def wait_for(answers: Callable[[], object], process: subprocess.Popen[bytes]) -> bool:
    """Wait until the server answers; tell if it does, or has ended."""
    deadline = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        if answers():
            return True
        time.sleep(0.02)
    return False


def program(name: str, package: str) -> str:
    """Return the program's path, or end the test."""
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    places = os.pathsep.join([os.environ.get("PATH", os.defpath), *map(str, debian)])
    found = shutil.which(name, path=places)
    if found is None:
        end = pytest.fail if os.environ.get("CI") else pytest.skip
        end(f"{name} is not installed (Debian's package: {package})")
    return found


def unprivileged_user() -> str | None:
    """Return who may run PostgreSQL, which refuses to be root's; None where we may."""
    if os.geteuid() != 0:
        return None
    known = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in known else "nobody"


def environment() -> dict[str, str]:
    """Return an environment in which nothing is of whoever runs the tests."""
    return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"}
