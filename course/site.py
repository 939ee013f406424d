"""What a check works with: a copy of a lesson, seen as a browser and a terminal see it."""

from __future__ import annotations

import shlex
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import Any

import httpx

from course.answers import (
    REQUEST_SECONDS,
    Command,
    Page,
    Server,
    died,
    exit_words,
    last_line,
)
from course.processes import SERVE_SECONDS, START_SECONDS, Finished, ForkServer, Job, Program
from course.verdicts import (
    PROBE,
    CheckFailed,
    Crashed,
    ImportFailed,
    TimedOut,
    Trace,
    read_trace,
)

BODY_LIMIT = 4 * 1024 * 1024
"""Bytes that an answer may have."""


class Site:
    """One copy of a lesson. The app starts at the first request.

    `ways` are the lesson's ways to serve it, the newest first: an older one is used where the
    newer ends without an error before it serves, which is what a starter's does.
    """

    def __init__(
        self,
        forks: ForkServer,
        folder: Path,
        scratch: Path,
        ways: tuple[list[str], ...],
        hidden: frozenset[str],
        hung: dict[str, TimedOut],
    ) -> None:
        self.folder = folder
        self._forks = forks
        self._scratch = scratch
        self._ways = ways
        self._hidden = hidden
        self._hung = hung  # ways that did not start in time once: they are not waited for again
        self._program: Program | None = None
        self._http: httpx.Client | None = None
        self.facts: dict[str, Any] = {}
        """What the app says of itself: `rules`, its URL map, and `blueprints`, name to prefix."""

    # The browser

    def get(self, path: str, **options: Any) -> Page:
        """Send a GET; see `request`."""
        return self.request("GET", path, **options)

    def post(self, path: str, **options: Any) -> Page:
        """Send a POST; see `request`. `data` is what a form sends."""
        return self.request("POST", path, **options)

    def request(self, method: str, path: str, **options: Any) -> Page:
        """Send a request and return the answer. Redirects are not followed.

        Redirects that only spell the path otherwise (308) are followed, as every browser does.

        Raises `TimedOut`, `Crashed` or `ImportFailed` where no answer comes.
        """
        if self._program is None:
            self.start()
        sent = (f"{name}={_short(value)}" for name, value in options.get("data", {}).items())
        did = " with ".join(filter(None, [f"{method} {path}", ", ".join(sent)]))
        response = self._send(did, method, path, options)
        if response.status_code in (307, 308):
            path = response.headers.get("Location", path)
            response = self._send(did, method, path, options)
        return Page(did, path, response, self.trace)

    def start(self, env: dict[str, str] | None = None, mount: str = "", broken: str = "") -> None:
        """Start the app anew: with more in its environment, below a path, with a view that fails.

        `mount` is the path below which the whole app is served, and `broken` the path of the view.
        """
        self.stop()
        for way in self._ways:
            if (did := f"python {shlex.join(way)}") in self._hung:
                raise self._hung[did]
            self._needs(did, way[0])
            job = self._job(
                way,
                env=env or {},
                seconds=SERVE_SECONDS,
                serve=True,
                mount=mount,
                broken_route=broken,
            )
            program = self._forks.start(job, self._scratch)
            facts = program.wait_until_serving(START_SECONDS)
            if facts is not None:
                self.facts, self._program = facts, program
                transport = httpx.HTTPTransport(uds=str(program.address), verify=False)
                self._http = httpx.Client(
                    transport=transport,
                    base_url="http://localhost",
                    timeout=REQUEST_SECONDS,
                )
                return
            finished = program.wait()
            if way == self._ways[-1] or finished.code != 0:  # not just not written yet
                raise self._no_start(way, finished)

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
        if self._program is None:
            self.start()
        assert self._program
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(REQUEST_SECONDS)
            connection.connect(str(self._program.address))
            yield _SlowPost(self, connection, path, body)

    # The terminal

    def run(self, *argv: str, stdin: str = "", env: dict[str, str] | None = None) -> Command:
        """Run `python` with these arguments in the lesson's folder, to its end."""
        did = f"python {shlex.join(argv)}"
        self._needs(did, argv[0])
        job = self._job(list(argv), env=env or {}, stdin=stdin)
        return Command(did, self._forks.start(job, self._scratch).wait(), self.folder)

    def probe(self, did: str, code: str, env: dict[str, str] | None = None) -> Command:
        """Run code of the check's own beside the lesson's. `did` says in words what it looks at."""
        (self.folder / PROBE).write_text(code, "utf-8")
        command = self._forks.start(self._job([PROBE], env=env or {}), self._scratch)
        return Command(did, command.wait(), self.folder)

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
        program = self._forks.start(self._job(argv, env=env or {}), self._scratch)
        try:
            yield Server(did, program, port, self.folder)
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
            trace = read_trace(err, self.folder)
            if trace.error or time.monotonic() > deadline:
                return trace
            time.sleep(0.005)

    def _send(self, did: str, method: str, path: str, options: dict[str, Any]) -> httpx.Response:
        assert self._http
        try:
            with self._http.stream(method, path, **options) as response:
                deadline = time.monotonic() + REQUEST_SECONDS
                body = b""
                for chunk in response.iter_raw():
                    body += chunk
                    if len(body) > BODY_LIMIT:
                        raise self._ended(
                            did, f"an answer of at most {BODY_LIMIT >> 20} MiB", "more"
                        )
                    if time.monotonic() > deadline:
                        raise httpx.ReadTimeout("The answer does not end.")
                response._content = body
                return response
        except httpx.TimeoutException:
            raise self._too_slow(did, "an answer", REQUEST_SECONDS) from None
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
        }.get(finished.reason, "a closed connection, as after sys.exit() in a view")
        return Crashed(did, expected, got, self._words(finished))

    def _job(self, argv: list[str], **fields: Any) -> Job:
        return Job(argv, self.folder, hidden=self._hidden, **fields)

    def _needs(self, did: str, script: str) -> None:
        if not (self.folder / script).exists():
            raise ImportFailed(did, f"the file {script}", "no such file")

    def _no_start(self, way: list[str], finished: Finished) -> CheckFailed:
        did = f"python {shlex.join(way)}"
        expected = "the app to serve"
        if finished.reason != "ended" or finished.code <= 0:
            failure = died(did, expected, finished, self._words(finished), START_SECONDS)
            if isinstance(failure, TimedOut):
                self._hung[did] = failure
            return failure
        trace = read_trace(finished.err, self.folder)
        if trace.error:
            return ImportFailed(did, expected, trace.error, str(trace))
        return Crashed(did, expected, f"{exit_words(finished.code)}: {last_line(finished)}")

    def _words(self, finished: Finished) -> str:
        return str(read_trace(finished.err, self.folder))


class _SlowPost:
    def __init__(self, site: Site, connection: socket.socket, path: str, body: bytes) -> None:
        self._site, self._connection, self._body = site, connection, body
        self._path, self._did = path, f"POST {path}"
        self._connection.sendall(
            f"POST {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
            "Content-Type: application/x-www-form-urlencoded\r\n"
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
        response = httpx.Response(answer.status, headers=answer.getheaders(), content=body)
        return Page(self._did, self._path, response, self._site.trace)


def _short(value: str) -> str:
    return repr(value if len(value) <= 40 else f"{value[:20]}… ({len(value)} characters)")


def free_port() -> int:
    """Return a port of this machine that nothing listens on at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
