"""What comes back to a check, and what it may expect of it.

The methods that begin with a verb raise `CheckFailed` where it is not so, in words for a student.
"""

from __future__ import annotations

import contextlib
import json
import re
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from functools import cached_property
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from http.cookies import CookieError, Morsel, SimpleCookie
from typing import Any, Self

import click
import httpx
from bs4 import BeautifulSoup, Tag
from bs4.exceptions import ParserRejectedMarkup

from course.processes import COMMAND_SECONDS, START_SECONDS, Finished, Program
from course.verdicts import CheckFailed, Crashed, ImportFailed, TimedOut, Trace, read_trace
from course.written import Written

PARSE_SECONDS = 3.0
"""How long it may take to find the elements of a page: for some pages that is for ever."""

REQUEST_SECONDS = 3.0
"""How long the app may take to answer."""


class Page:
    """The answer to a request."""

    def __init__(
        self, did: str, path: str, response: httpx.Response, trace: Callable[[], Trace]
    ) -> None:
        self._trace = trace
        self.did = did
        self._url = httpx.URL("http://localhost").join(path)
        self.path = self._url.path.rstrip("/")
        self.status = response.status_code
        self.headers = response.headers
        self.cookies = read_cookies(response.headers.get_list("Set-Cookie"))
        """The cookies that come with it, by name: `page.cookies["session"]["httponly"]`."""
        self.body = response.content.decode("utf-8", "replace")

    @cached_property
    def html(self) -> BeautifulSoup:
        """The page's elements."""
        wanted = f"a page of HTML that is read within {PARSE_SECONDS:g} seconds"
        try:
            with _at_most(PARSE_SECONDS):
                return BeautifulSoup(self.body, "html.parser")
        except _TooSlow:
            raise CheckFailed(self.did, wanted, f"one of {len(self.body)} characters") from None
        except (ParserRejectedMarkup, RecursionError) as error:
            raise CheckFailed(self.did, wanted, str(error)[:300]) from None

    @cached_property
    def words(self) -> str:
        """What is read on the page, with a space between two elements."""
        return " ".join(" ".join(self._strings()).split())

    @cached_property
    def _glued(self) -> str:
        return " ".join("".join(self._strings()).split())

    def _strings(self) -> list[str]:
        return [text for text in self.html.strings if text.parent and text.parent.name != "title"]

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
            f"a redirect to {path or '/'}",
            got,
        )

    def shows(self, text: str) -> Self:
        """Expect `text` to be read on the page."""
        found = text in self.words or text in self._glued
        return self._expect(found, f"{text!r} on the page", self._read())

    def tells(self, *texts: str) -> Self:
        """Expect each of these to be read on the page, which may well be that of an error."""
        for text in texts:
            got = f"the text {_short(self.words)!r}"
            self._expect(text in self.words, f"{text!r} on the error's page", got)
        return self

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
        if found is None:
            names = "|".join(re.findall(r"\b[a-z]\w*\b", selector))
            read = re.search(rf"<({names})\b[^<>]*>", self.words)  # as text: someone has escaped it
            got = f"none, but the text {read[0]}" if read else "none"
            raise self._failed(f"{what} on the page", got)
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

    def json(self) -> Any:
        """Return what the body says in JSON; expect that it is JSON."""
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            got = f"{_status(self.status)} and {_short(self.body.strip()) or 'nothing'}"
            raise self._failed("a JSON body", got) from None

    def link(self, text: str) -> str:
        """Return the path to which the link with this text leads; expect that there is one."""
        for a in self.html.find_all("a"):
            if a.get_text().strip() == text and a.get("href"):
                return self._url.join(str(a["href"])).path
        raise self._failed(f"a link with the text {text!r}", self._read())

    def links(self, of: str = "") -> list[str]:
        """Return where every href, src and action leads that leads to this site, from its root.

        `of` is a CSS selector: only those of the elements that it finds.
        """
        found = (
            self._url.join(str(tag[name]))
            for name in ("href", "src", "action")
            for tag in self.html.select(f"{of}[{name}]")
        )
        return [url.raw_path.decode() for url in found if url.host in ("localhost", "127.0.0.1")]

    def _expect(self, so: bool, expected: str, got: str) -> Self:
        if not so:
            raise self._failed(expected, got)
        return self

    def _failed(self, expected: str, got: str) -> CheckFailed:
        trace = self._trace() if self.status == 500 else ""
        return CheckFailed(self.did, expected, got, str(trace))

    def _read(self) -> str:
        if self.status >= 500:
            return _status(self.status)
        if self.status >= 400:  # which may be right
            return f"{_status(self.status)} with the text {_short(self.words)!r}"
        return f"the text {_short(self.words)!r}" if self.words else "an empty page"


class Command:
    """A command that has ended."""

    def __init__(self, did: str, finished: Finished, written: Written) -> None:
        self.did = did
        self.code = finished.code
        self.out = finished.out
        self.err = finished.err
        self._finished = finished
        self._trace = read_trace(finished.err, written)
        if finished.reason != "ended" or finished.code < 0:
            raise died(did, "its end", finished, str(self._trace), COMMAND_SECONDS)
        if finished.code != 0 and self._trace.while_importing:
            raise ImportFailed(did, "the file to be loaded", self._trace.error, str(self._trace))

    def exits(self, code: int) -> Self:
        """Expect this exit code."""
        return self._expect(
            self.code == code, exit_words(code), f"{exit_words(self.code)}: {self._said()}"
        )

    def prints(self, text: str) -> Self:
        """Expect `text` somewhere in the output."""
        return self._expect(text in self.out, f"{text!r} in the output", self._said())

    def omits(self, text: str) -> Self:
        """Expect `text` nowhere in the output."""
        return self._expect(text not in self.out, f"no {text!r} in the output", self._said())

    def says(self, text: str) -> Self:
        """Expect `text` somewhere in the output or in what is written of errors."""
        found = text in self.out or text in self.err
        return self._expect(found, f"{text!r} in what it writes", self._said())

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
        first, _, more = self.out.strip().partition("\n")
        said = _short(first) + (" …" if more else "")
        return said or self._trace.error or last_line(self._finished)


Connect = Callable[[int], socket.socket]
"""Gives a connection to a port of the network in which a program runs."""


class Server:
    """A server that has been started on a port of its own."""

    def __init__(
        self, did: str, program: Program, port: int, connect: Connect, written: Written
    ) -> None:
        self._written = written
        self._did = did
        self._program = program
        self._port = port
        self._connect = connect
        self._silent = False  # it took a connection, and no answer came

    def get(self, path: str) -> int:
        """Return the status of a GET, once the server listens."""
        status = 0

        def answered() -> bool:
            nonlocal status
            status = self._ask(path)
            return bool(status)

        self._until(answered, f"an answer at http://127.0.0.1:{self._port}{path}")
        return status

    def serves_two(self) -> bool:
        """Tell whether it answers a request while another one is not at its end. It listens."""
        with contextlib.suppress(OSError), closing(self._connect(self._port)) as other:
            other.sendall(b"GET / HTTP/1.1\r\n")
            return bool(self._ask("/"))
        return False

    def _ask(self, path: str) -> int:
        """Return the status of a GET; 0 where no answer comes."""
        http = HTTPConnection("127.0.0.1", self._port)
        try:
            with closing(self._connect(self._port)) as http.sock:
                http.sock.settimeout(REQUEST_SECONDS)
                http.request("GET", path)
                return http.getresponse().status
        except TimeoutError:
            self._silent = True
            return 0
        except (OSError, HTTPException):
            return 0

    def says(self, text: str) -> None:
        """Wait until the server has written `text`."""
        self._until(
            lambda: any(text in out for out in self._program.output()), f"it to say {text!r}"
        )

    def omits(self, text: str) -> None:
        """Expect that the server, which has answered by now, has not written `text`."""
        for out in self._program.output():
            lines = [line.strip() for line in out.splitlines() if text in line]
            expect(not lines, self._did, f"it not to say {text!r}", "".join(lines[:1]))

    def _until(self, condition: Any, expected: str) -> None:
        deadline = time.monotonic() + START_SECONDS
        while not condition():
            if self._program.ended() or time.monotonic() > deadline:
                said = self._program.output()
                finished = self._program.kill(too_slow=True)
                if finished.reason == "timeout":
                    self._raise_if_busy(expected, read_trace(finished.err, self._written))
                    finished = replace(finished, out=said[0], err=said[1])  # without the frames
                if "in use" in finished.err:  # which port that is, is nobody's business here
                    raise CheckFailed(self._did, expected, "a server on another port")
                trace = read_trace(finished.err, self._written)
                kind = ImportFailed if trace.while_importing else CheckFailed
                raise kind(self._did, expected, trace.error or last_line(finished), str(trace))
            time.sleep(0.005)

    def _raise_if_busy(self, expected: str, trace: Trace) -> None:
        """Raise `TimedOut` where the program is at work, and does not just serve elsewhere."""
        if self._silent:
            seconds, got = REQUEST_SECONDS, "a connection, and no answer"
        elif trace.own:
            seconds, got = START_SECONDS, "nothing"
        else:
            return
        raise TimedOut(self._did, f"{expected} within {seconds:g} seconds", got, str(trace))


class _TooSlow(Exception):
    """What was to be done takes longer than it may."""


@contextlib.contextmanager
def _at_most(seconds: float) -> Iterator[None]:
    """Raise `_TooSlow` where the block takes longer, in a process's first thread."""

    def stop(*_: object) -> None:
        raise _TooSlow

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def read_cookies(headers: list[str]) -> dict[str, Morsel[str]]:
    """Return the cookies that headers Set-Cookie set, by name, each with its attributes.

    `SimpleCookie` would read only what it knows every attribute of, and browsers take the rest too.
    """
    cookies = {}
    for header in headers:
        (name, value), *attributes = (part.partition("=")[::2] for part in header.split(";"))
        cookie: Morsel[str] = Morsel()
        with contextlib.suppress(CookieError):  # a name that no cookie can have
            cookie.set(name.strip(), *SimpleCookie().value_decode(value.strip()))
            for key, text in attributes:
                if cookie.isReservedKey(key.strip()):
                    cookie[key.strip()] = text.strip() or True
            cookies[cookie.key] = cookie
    return cookies


def expect(so: bool, did: str, expected: str, got: object) -> None:
    """Raise `CheckFailed` where it is not so."""
    if not so:
        raise CheckFailed(did, expected, str(got))


def died(did: str, expected: str, finished: Finished, trace: str, seconds: float) -> CheckFailed:
    """Return what to raise for a program that took too long, wrote too much, or was killed."""
    if finished.reason == "timeout":
        return TimedOut(did, f"{expected} within {seconds:g} seconds", "nothing", trace)
    if finished.reason == "output":
        return Crashed(
            did, expected, "more than 1 MiB of printed text, where it was stopped", trace
        )
    return Crashed(did, expected, f"the end of the program ({exit_words(finished.code)})", trace)


def exit_words(code: int) -> str:
    """Return how an exit code, or a signal as a negative one, is called."""
    return f"exit code {code}" if code >= 0 else f"signal {-code}"


def _status(code: int) -> str:
    try:
        return f"status {code} {HTTPStatus(code).phrase}"
    except ValueError:
        return f"status {code}"


def last_line(finished: Finished) -> str:
    """Return the last line that a program wrote of an error, or else of anything."""
    said = (finished.err.strip() or finished.out.strip()).splitlines()
    # SQLAlchemy ends each error with an address.
    lines = [line for line in said if not line.startswith("(Background on this error at:")]
    return _short(lines[-1]) if lines else "no output"


def _short(text: str, limit: int = 160) -> str:
    text = click.unstyle(text)  # what is coloured in a terminal is unreadable elsewhere
    return text if len(text) <= limit else text[:limit] + " …"
