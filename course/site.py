"""What a check works with: a copy of a lesson, seen as a browser and a terminal see it."""

from __future__ import annotations

import os
import random
import shlex
import socket
import sqlite3
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from http.client import HTTPException, HTTPResponse
from http.cookiejar import CookieJar, DefaultCookiePolicy
from pathlib import PurePath
from typing import Any

import httpx
from bs4 import BeautifulSoup

from course.answers import (
    REQUEST_SECONDS,
    Command,
    Page,
    Server,
    died,
    exit_words,
    expect,
    last_line,
)
from course.browser import Browser
from course.files import inside
from course.processes import SERVE_SECONDS, START_SECONDS, Finished, Job, Program
from course.runner import Runner
from course.snapshot import SIZE_LIMIT, read_file
from course.sql import Database
from course.verdicts import (
    PROBE,
    CheckFailed,
    Crashed,
    ImportFailed,
    TimedOut,
    Trace,
    read_trace,
)
from course.written import Written

BODY_LIMIT = 4 * 1024 * 1024
"""Bytes that an answer may have."""


class Site(Browser):
    """One copy of a lesson, and the first browser that asks it. The app starts at its request.

    `ways` are the lesson's ways to serve it, the newest first: an older one is used where the
    newer ends without an error before it serves, which is what a starter's does.
    """

    def __init__(
        self,
        runner: Runner,
        written: Written,
        ways: tuple[list[str], ...],
    ) -> None:
        super().__init__(self)
        self._written = written
        self.env: dict[str, str] = {}
        """Variables that everything that is run here has in its environment from now on."""
        self._runner = runner
        self._ways = ways
        self._program: Program | None = None
        self._http: httpx.Client | None = None
        self.facts: dict[str, Any] = {}
        """What the app says of itself: `rules`, its URL map, and `blueprints`, name to prefix.

        Beside these `mount`, the path below which it is served.
        """

    # The app

    def serve(self) -> httpx.Client:
        """Return a connection to the app, which is started where it does not run."""
        if self._program is None or self._http is None:
            self.start()
        assert self._http
        return self._http

    def start(
        self,
        env: dict[str, str] | None = None,
        mount: str = "",
        broken: str = "",
        reading: str = "",
    ) -> None:
        """Start the app anew: with more in its environment, below a path, with a view of ours.

        Its folder stays as it is, with the database and all else that it has stored.
        `mount` is the path below which the whole app is served, `broken` that of a view that fails,
        and `reading` that of one that reads the body of a POST to its end.
        """
        self.stop()
        for way in self._ways:
            if (did := f"python {shlex.join(way)}") in self._runner.hung:
                raise self._runner.hung[did]
            self._needs(did, way[0])
            job = self._job(
                way,
                env=env or {},
                seconds=SERVE_SECONDS,
                serve=True,
                mount=mount,
                broken_route=broken,
                reading_route=reading,
            )
            program, facts = self._runner.serve(job, self._written)
            if facts is not None:
                self.facts, self._program = facts | {"mount": mount}, program
                self._http = self.connection()
                return
            finished = program.wait()
            if way == self._ways[-1] or finished.code != 0:  # not just not written yet
                raise self._no_start(job, finished)

    def connection(self) -> httpx.Client:
        """Return one more connection to the app that runs. It keeps no cookies: a browser does."""
        assert self._program
        return httpx.Client(
            transport=httpx.HTTPTransport(uds=str(self._program.address), verify=_NO_TLS),
            base_url="http://localhost",
            timeout=REQUEST_SECONDS,
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
        )

    def stop(self) -> None:
        """Stop the app, if it runs."""
        if self._http:
            self._http.close()
            self._http = None
        if self._program:
            self._program.kill()
            self._program = None

    @contextmanager
    def slow_post(self, path: str, body: bytes) -> Iterator[_SlowPost]:
        """Begin a POST whose body is sent only when `finish` of what is yielded is called."""
        self.serve()
        assert self._program
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(REQUEST_SECONDS)
            connection.connect(str(self._program.address))
            yield _SlowPost(self, connection, path, body)

    def browser(self) -> Browser:
        """Return another browser, without cookies; `get` and `post` of the site are the first."""
        return Browser(self)

    # The database

    @contextmanager
    def database(self) -> Iterator[sqlite3.Connection | Database]:
        """Open the copy's SQLite database. Its rows have names; what is written is kept at the end.

        Raises `CheckFailed` where there is no such file, or several, or SQLite refuses a statement.
        """
        did, files = "The database", sorted(path for path, _ in self._databases())
        names = ", ".join(path.as_posix() for path in files)
        expect(len(files) == 1, did, "one SQLite file in the lesson's folder", names or "none")
        try:
            with closing(self._open(files[0])) as connection:
                yield connection
                connection.commit()
        except sqlite3.ProgrammingError:  # the check's own mistake
            raise
        except sqlite3.DatabaseError as error:
            raise CheckFailed(f"{did} {names}", "what the app keeps", str(error)) from None

    def _open(self, path: PurePath) -> sqlite3.Connection | Database:
        if self._runner.forks.sandboxed:
            return self._runner.forks.database(self._written.folder / path)
        connection = sqlite3.connect(self._written.folder / path, timeout=REQUEST_SECONDS)
        connection.row_factory = sqlite3.Row
        return connection

    def listen(self) -> socket.socket:
        """Return a socket that listens on a free port, for what the app is to connect to."""
        return self._runner.forks.listen()

    def new_database(self) -> None:
        """Stop the app and remove the database, so that a check begins with what is written."""
        self.stop()
        emptied = set()
        for path, folder in self._databases():
            emptied.add(path.parent)
            for end in ("", "-wal", "-shm", "-journal"):
                with suppress(FileNotFoundError):
                    os.unlink(path.name + end, dir_fd=folder)
        for each in emptied - {PurePath()}:
            with suppress(OSError), self._parent(each) as (around, name):
                os.rmdir(name, dir_fd=around)  # fails where it holds something else

    def _databases(self) -> Iterator[tuple[PurePath, int]]:
        """Give each file of SQLite's, and a descriptor of its folder, as `Written.files` does."""
        for path, folder in self._files():
            with suppress(OSError):  # it may be gone again, or be another
                if read_file(path.name, 15, folder) == b"SQLite format 3\0":
                    yield path, folder

    # The files

    def files(self) -> list[str]:
        """Return the paths of all files below the copy's folder, no link followed."""
        return sorted(path.as_posix() for path, _ in self._files())

    def _files(self) -> Iterator[tuple[PurePath, int]]:
        """Give what `Written.files` does. Raises `Crashed` where no walk comes to an end."""
        try:
            yield from self._written.files()
        except (OSError, RecursionError):  # os.fwalk calls itself, and keeps each folder open
            what = "the lesson's folder", "files in it", "too many folders in folders"
            raise Crashed(*what) from None

    def write(self, path: str, text: str | bytes) -> None:
        """Write a file below the copy's folder, where the folders of its path are already.

        A link that the student's program has put there is not followed: it may lead anywhere.
        Raises `Crashed` where that, or what it has filled the disk with, leaves no way to write.
        """
        data = text.encode() if isinstance(text, str) else text
        try:
            self._write(PurePath(path), data)
        except OSError as error:
            what = "a place to write it"
            raise Crashed(f"The file {path}", what, error.strerror or str(error)) from None

    def read(self, path: str) -> str:
        """Return what is in a file below the copy's folder, no link followed.

        Raises `CheckFailed` where there is no such file, or it is no text.
        """
        try:
            with self._parent(PurePath(path)) as (folder, name):
                return read_file(name, SIZE_LIMIT, folder).decode("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise CheckFailed(f"The file {path}", "a text", str(error)) from None

    def _write(self, path: PurePath, data: bytes) -> None:
        with self._parent(path) as (folder, name):
            with suppress(FileNotFoundError):
                os.unlink(name, dir_fd=folder)
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
            with open(os.open(name, flags, 0o666, dir_fd=folder), "wb") as file:
                file.write(data)

    @contextmanager
    def _parent(self, path: PurePath) -> Iterator[tuple[int, str]]:
        """Yield the folder of a file below the copy's, as a descriptor, and the file's name."""
        *folders, name = path.parts
        if ".." in path.parts or path.is_absolute():
            raise PermissionError("it is outside the lesson's folder")
        with inside(self._written.fd, folders) as here:
            yield here, name

    # The terminal

    def run(self, *argv: str, stdin: str = "", env: dict[str, str] | None = None) -> Command:
        """Run `python` with these arguments in the lesson's folder, to its end."""
        did = f"python {shlex.join(argv)}"
        self._needs(did, argv[0])
        job = self._job(list(argv), env=env or {}, stdin=stdin)
        finished = self._runner.run(job, self._written)
        return Command(did, finished, self._written)

    def probe(self, did: str, code: str, env: dict[str, str] | None = None) -> Command:
        """Run code of the check's own beside the lesson's. `did` says in words what it looks at."""
        self.write(PROBE, code)
        command = self._runner.start(self._job([PROBE], env=env or {}))
        return Command(did, command.wait(), self._written)

    def manage(self, *args: str, stdin: str = "", env: dict[str, str] | None = None) -> Command:
        """Run `python manage.py` with these arguments, to its end."""
        return self.run("manage.py", *args, stdin=stdin, env=env)

    @contextmanager
    def runserver(
        self, *args: str, port: int, env: dict[str, str] | None = None
    ) -> Iterator[Server]:
        """Run `python manage.py runserver` for real, on a port that the program chooses itself."""
        argv = ["manage.py", "runserver", *args]
        did = f"python {shlex.join(argv)}"
        self._needs(did, argv[0])
        program = self._runner.start(self._job(argv, env=env or {}))
        try:
            yield Server(did, program, port, self._runner.forks.connect, self._written)
        finally:
            program.kill()

    # How things end

    def trace(self) -> Trace:
        """Return the last error that the running app has written.

        The server writes it when the answer is under way already, so it is waited for a little.
        """
        deadline = time.monotonic() + 0.3
        while True:
            err = self._program.output()[1] if self._program else ""
            trace = read_trace(err, self._written)
            if trace.error or time.monotonic() > deadline:
                return trace
            time.sleep(0.005)

    def ask(
        self, http: httpx.Client, method: str, path: str, options: dict[str, Any]
    ) -> httpx.Response:
        """Send a request; return what comes, or raise what `answer` puts into words."""
        with http.stream(method, path, **options) as response:
            deadline = time.monotonic() + REQUEST_SECONDS
            body = b""
            for chunk in response.iter_raw():
                body += chunk
                if len(body) > BODY_LIMIT:
                    raise _TooLong
                if time.monotonic() > deadline:
                    raise httpx.ReadTimeout("The answer does not end.")
            response._content = body
            return response

    def answer(self, did: str, ask: Callable[[], httpx.Response]) -> httpx.Response:
        """Return what `ask` returns. Where no answer comes, end the app and raise why."""
        try:
            return ask()
        except httpx.TimeoutException:
            raise self._too_slow(did, "an answer", REQUEST_SECONDS) from None
        except _TooLong:
            expected = f"an answer of at most {BODY_LIMIT >> 20} MiB"
            raise self._ended(did, expected, "more") from None
        except httpx.HTTPError:
            raise self._ended(did, "an answer", "") from None

    def _too_slow(self, did: str, expected: str, seconds: float) -> CheckFailed:
        assert self._program
        finished = self._program.kill(too_slow=True)
        self._program = None
        return TimedOut(
            did, f"{expected} within {seconds:g} seconds", "nothing", self._words(finished)
        )

    def _ended(self, did: str, expected: str, got: str) -> CheckFailed:
        """Say why no answer came: the program has ended, or it has closed the connection."""
        assert self._program
        program, self._program = self._program, None
        deadline = time.monotonic() + 0.2
        while not program.ended() and time.monotonic() < deadline:
            time.sleep(0.001)  # a program that ends closes its connections a moment before
        finished = program.kill()
        got = got or {
            "ended": f"the end of the program ({exit_words(finished.code)})",
            "output": "more than 1 MiB of printed text, where the program was stopped",
            "lost": "the end of the program and of what watches it",
            "timeout": f"the end of its {SERVE_SECONDS:g} seconds: the check took too long",
        }.get(finished.reason, "a closed connection, as after sys.exit() in a view")
        return Crashed(did, expected, got, self._words(finished))

    def _job(self, argv: list[str], **fields: Any) -> Job:
        fields["env"] = self.env | fields.get("env", {})
        return Job(argv, self._written.folder, **fields)

    def _needs(self, did: str, script: str) -> None:
        try:
            with self._parent(PurePath(script)) as (folder, name):
                os.stat(name, dir_fd=folder, follow_symlinks=False)
        except OSError:
            raise ImportFailed(did, f"the file {script}", "no such file") from None

    def _no_start(self, job: Job, finished: Finished) -> CheckFailed:
        did = f"python {shlex.join(job.argv)}"
        expected = "the app to serve"
        if finished.reason != "ended" or finished.code <= 0:
            failure = died(did, expected, finished, self._words(finished), START_SECONDS)
            usual = not (job.env or job.mount or job.broken_route or job.reading_route)
            if isinstance(failure, TimedOut) and usual:
                self._runner.hung[did] = failure
            return failure
        trace = read_trace(finished.err, self._written)
        if trace.error:
            return ImportFailed(did, expected, trace.error, str(trace))
        return Crashed(did, expected, f"{exit_words(finished.code)}: {last_line(finished)}")

    def _words(self, finished: Finished) -> str:
        return str(read_trace(finished.err, self._written))


class _SlowPost:
    def __init__(self, site: Site, connection: socket.socket, path: str, body: bytes) -> None:
        self._site, self._connection, self._body = site, connection, body
        self._path, self._did = path, f"POST {path}"
        self._connection.sendall(
            f"POST {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
            "Content-Type: application/x-www-form-urlencoded\r\n"
            f"Cookie: {site.cookie_header()}\r\n"
            f"Content-Length: {len(body)}\r\n\r\n".encode()
        )

    def finish(self) -> Page:
        """Send the body and return the answer."""
        answer = HTTPResponse(self._connection)
        try:
            self._connection.sendall(self._body)
            answer.begin()
            body = answer.read(BODY_LIMIT)
        except (OSError, HTTPException):
            raise self._site._too_slow(self._did, "an answer", REQUEST_SECONDS) from None
        response = httpx.Response(answer.status, headers=answer.getheaders())
        response._content = body  # as it came: what is compressed may become very large
        return Page(self._did, self._path, response, self._site.trace)


class _TooLong(Exception):
    """An answer has more than `BODY_LIMIT` bytes."""


def free_port() -> int:
    """Return a port of this machine that nothing listens on at the moment.

    It is none of those that a system gives to whoever does not name one: such a port can be taken
    by the next connection, or even by one to that port itself.
    """
    while True:
        port = random.randrange(20_000, 32_000)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


_NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""What httpx asks for even where it speaks without TLS."""


def _rehearse() -> None:
    """Do what httpx and bs4 leave to their first use, which is in a process that is forked."""
    httpx.HTTPTransport(verify=_NO_TLS).close()
    BeautifulSoup("&amp;", "html.parser")


_rehearse()
