"""What a check works with: a copy of a lesson, seen as a browser and a terminal see it."""

from __future__ import annotations

import re
import shlex
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import Any, Self

import httpx
from bs4 import BeautifulSoup, Tag

from course.processes import COMMAND_SECONDS, START_SECONDS, Finished, ForkServer, Job, Program
from course.verdicts import CheckFailed, Crashed, ImportFailed, TimedOut, Trace, read_trace

REQUEST_SECONDS = 3.0
"""How long the app may take to answer."""

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
        self._cookies = httpx.Cookies()
        self._options: dict[str, Any] = {}
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
        """Send a request and return the answer. Cookies are kept, redirects are not followed.

        Redirects that only spell the path otherwise (308) are followed, as every browser does.

        Raises `TimedOut`, `Crashed` or `ImportFailed` where no answer comes.
        """
        if self._program is None:
            self.start(**self._options)
        did = f"{method} {path}"
        response = self._send(did, method, path, options)
        if response.status_code in (307, 308):
            response = self._send(did, method, response.headers["Location"], options)
        return Page(self, did, response)

    def start(self, env: dict[str, str] | None = None, mount: str = "", broken: str = "") -> None:
        """Start the app anew: with more in its environment, below a path, with a view that fails.

        `mount` is the path below which the whole app is served, and `broken` the path of the view.
        """
        self.stop()
        self._options = {"env": env, "mount": mount, "broken": broken}
        for way in self._ways:
            if (did := f"python {shlex.join(way)}") in self._hung:
                raise self._hung[did]
            self._needs(did, way[0])
            job = self._job(
                way, env=env or {}, seconds=60, serve=True, mount=mount, broken_route=broken
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
                    cookies=self._cookies,
                )
                return
            finished = program.wait()
            if way == self._ways[-1] or finished.code != 0:  # not just not written yet
                raise self._no_start(way, finished)

    def restart(self) -> None:
        """Stop the app and start it again, as it was started."""
        self.start(**self._options)

    def stop(self) -> None:
        """Stop the app, if it runs."""
        if self._http:
            self._cookies = self._http.cookies
            self._http.close()
            self._http = None
        if self._program:
            self._program.kill()
            self._program = None

    @contextmanager
    def slow_post(self, path: str, body: bytes) -> Iterator[_SlowPost]:
        """Begin a POST whose body is sent only when `finish` of what is yielded is called."""
        if self._program is None:
            self.start(**self._options)
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
        return Command(self, did, self._forks.start(job, self._scratch).wait())

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
            yield Server(self, did, program, port)
        finally:
            program.kill()

    # How things end

    def trace(self) -> Trace:
        """Return the last error that the running app has written."""
        err = self._program.output()[1] if self._program else ""
        return read_trace(err, self.folder)

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
            "ended": f"the end of the program ({_code(finished.code)})",
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
            died = _died(did, expected, finished, self._words(finished), START_SECONDS)
            if isinstance(died, TimedOut):
                self._hung[did] = died
            return died
        trace = read_trace(finished.err, self.folder)
        if trace.error:
            return ImportFailed(did, expected, trace.error, str(trace))
        return Crashed(did, expected, f"{_code(finished.code)}: {_last(finished)}")

    def _words(self, finished: Finished) -> str:
        return str(read_trace(finished.err, self.folder))


class Page:
    """An answer. Its methods that begin with a verb raise `CheckFailed` where it is not so."""

    def __init__(self, site: Site, did: str, response: httpx.Response) -> None:
        self._site = site
        self.did = did
        self.path = did.partition(" ")[2].rstrip("/")
        self.status = response.status_code
        self.headers = response.headers
        self.body = response.content.decode("utf-8", "replace")
        self.html = BeautifulSoup(self.body, "html.parser")
        strings = [
            text for text in self.html.strings if text.parent and text.parent.name != "title"
        ]
        self.words = " ".join(" ".join(strings).split())
        self._glued = " ".join("".join(strings).split())

    def has_status(self, *expected: int) -> Self:
        """Expect one of these statuses."""
        wanted = " or ".join(_status(code) for code in expected)
        return self._expect(self.status in expected, wanted, _status(self.status))

    def redirects_to(self, path: str) -> Self:
        """Expect a redirect, of whatever kind, to this path of the site."""
        location = self.headers.get("Location", "")
        there = httpx.URL("http://localhost").join(location)
        got = f"a redirect to {location}" if location else _status(self.status)
        return self._expect(
            300 < self.status < 400
            and there.host == "localhost"
            and there.path.rstrip("/") == path,
            f"a redirect to {path}",
            got,
        )

    def shows(self, text: str) -> Self:
        """Expect `text` to be read on the page."""
        found = text in self.words or text in self._glued
        return self._expect(found, f"{text!r} on the page", self._read())

    def hides(self, text: str) -> Self:
        """Expect `text` not to be read on the page."""
        found = text in self.words or text in self._glued
        return self._expect(not found, f"no {text!r} on the page", self._read())

    def has_heading(self, text: str) -> Self:
        """Expect an h1 with this text."""
        heading = self.html.find("h1")
        got = f"the heading {heading.get_text().strip()!r}" if heading else "none"
        return self._expect(
            heading is not None and heading.get_text().strip() == text, f"the heading {text!r}", got
        )

    def has(self, selector: str, what: str) -> Tag:
        """Expect an element that a CSS selector finds, and return it. `what` names it in words."""
        found = self.html.select_one(selector)
        self._expect(found is not None, f"{what} on the page", "none")
        assert found is not None
        return found

    def lacks(self, selector: str, what: str) -> Self:
        """Expect no element that the CSS selector finds."""
        return self._expect(self.html.select_one(selector) is None, f"no {what}", "one")

    def has_header(self, name: str, pattern: str, like: str) -> re.Match[str]:
        """Expect a header that a regular expression matches whole, and return the match."""
        value = self.headers.get(name, "")
        match = re.fullmatch(pattern, value)
        self._expect(match is not None, f"the header {name}: {like}", value or "no such header")
        assert match
        return match

    def link(self, text: str) -> str:
        """Return where the link with this text leads; expect that there is one."""
        for a in self.html.find_all("a"):
            if a.get_text().strip() == text and a.get("href"):
                return str(a["href"])
        raise self._failed(f"a link with the text {text!r}", self._read())

    def links(self) -> list[str]:
        """Return where the page leads: every href, src and action in it."""
        return [
            str(tag[name])
            for name in ("href", "src", "action")
            for tag in self.html.select(f"[{name}]")
        ]

    def _expect(self, so: bool, expected: str, got: str) -> Self:
        if not so:
            raise self._failed(expected, got)
        return self

    def _failed(self, expected: str, got: str) -> CheckFailed:
        trace = self._site.trace() if self.status == 500 else ""
        return CheckFailed(self.did, expected, got, str(trace))

    def _read(self) -> str:
        if self.status >= 400:
            return _status(self.status)
        return f"the text {_short(self.words)!r}" if self.words else "an empty page"


class Command:
    """A command that has ended. Its methods that begin with a verb raise where it is not so."""

    def __init__(self, site: Site, did: str, finished: Finished) -> None:
        self.did = did
        self.code = finished.code
        self.out = finished.out
        self.err = finished.err
        self._finished = finished
        self._trace = read_trace(finished.err, site.folder)
        if finished.reason != "ended" or finished.code < 0:
            raise _died(did, "its end", finished, str(self._trace), COMMAND_SECONDS)
        if finished.code != 0 and self._trace.while_importing:
            raise ImportFailed(did, "the file to be loaded", self._trace.error, str(self._trace))

    def exits(self, code: int) -> Self:
        """Expect this exit code."""
        return self._expect(self.code == code, _code(code), f"{_code(self.code)}: {self._said()}")

    def prints(self, text: str) -> Self:
        """Expect `text` somewhere in the output."""
        return self._expect(text in self.out, f"{text!r} in the output", self._said())

    def omits(self, text: str) -> Self:
        """Expect `text` nowhere in the output."""
        return self._expect(text not in self.out, f"no {text!r} in the output", self._said())

    def prints_line(self, pattern: str, like: str) -> Self:
        """Expect a line that a regular expression matches whole. `like` shows such a line."""
        found = any(re.fullmatch(pattern, line.strip()) for line in self.out.splitlines())
        return self._expect(found, f"a line like {like!r}", self._said())

    def prints_lines(self, number: int) -> Self:
        """Expect as many lines of output."""
        lines = [line for line in self.out.splitlines() if line.strip()]
        wanted = "1 line" if number == 1 else f"{number} lines"
        return self._expect(len(lines) == number, wanted, f"{len(lines)}: {self._said()}")

    def _expect(self, so: bool, expected: str, got: str) -> Self:
        if not so:
            raise CheckFailed(self.did, expected, got, str(self._trace))
        return self

    def _said(self) -> str:
        return _short(self.out.strip()) or _last(self._finished)


class Server:
    """A server that has been started on a port of its own."""

    def __init__(self, site: Site, did: str, program: Program, port: int) -> None:
        self._site = site
        self._did = did
        self._program = program
        self._url = f"http://127.0.0.1:{port}"

    def get(self, path: str) -> int:
        """Return the status of a GET, once the server listens."""
        answer: httpx.Response | None = None
        with httpx.Client(verify=False, timeout=REQUEST_SECONDS) as http:

            def answered() -> bool:
                nonlocal answer
                try:
                    answer = http.get(self._url + path)
                except httpx.HTTPError:
                    return False
                return True

            self._until(answered, f"an answer at {self._url}{path}")
        assert answer is not None
        return answer.status_code

    def says(self, text: str) -> None:
        """Wait until the server has written `text`."""
        self._until(
            lambda: any(text in out for out in self._program.output()), f"it to say {text!r}"
        )

    def _until(self, condition: Any, expected: str) -> None:
        deadline = time.monotonic() + START_SECONDS
        while not condition():
            if self._program.ended() or time.monotonic() > deadline:
                finished = self._program.kill()
                trace = read_trace(finished.err, self._site.folder)
                kind = ImportFailed if trace.while_importing else CheckFailed
                raise kind(self._did, expected, trace.error or _last(finished), str(trace))
            time.sleep(0.005)


class _SlowPost:
    def __init__(self, site: Site, connection: socket.socket, path: str, body: bytes) -> None:
        self._site, self._connection, self._body, self._did = site, connection, body, f"POST {path}"
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
        return Page(self._site, self._did, response)


def expect(so: bool, did: str, expected: str, got: object) -> None:
    """Raise `CheckFailed` where it is not so."""
    if not so:
        raise CheckFailed(did, expected, str(got))


def free_port() -> int:
    """Return a port of this machine that nothing listens on at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _died(did: str, expected: str, finished: Finished, trace: str, seconds: float) -> CheckFailed:
    if finished.reason == "timeout":
        return TimedOut(did, f"{expected} within {seconds:g} seconds", "nothing", trace)
    if finished.reason == "output":
        return Crashed(
            did, expected, "more than 1 MiB of printed text, where it was stopped", trace
        )
    return Crashed(did, expected, f"the end of the program ({_code(finished.code)})", trace)


def _code(code: int) -> str:
    return f"exit code {code}" if code >= 0 else f"signal {-code}"


def _status(code: int) -> str:
    try:
        return f"status {code} {HTTPStatus(code).phrase}"
    except ValueError:
        return f"status {code}"


def _last(finished: Finished) -> str:
    """Return the last line that a program wrote of an error, or else of anything."""
    lines = (finished.err.strip() or finished.out.strip()).splitlines()
    return _short(lines[-1]) if lines else "no output"


def _short(text: str, limit: int = 160) -> str:
    return text if len(text) <= limit else text[:limit] + " …"
