"""A browser without a window: what asks the app of a site, and keeps the cookies that it gets."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http.cookies import Morsel
from json import dumps
from threading import Barrier
from typing import TYPE_CHECKING, Any

import httpx

from course.answers import Page

if TYPE_CHECKING:
    from course.site import Site


class Browser:
    """Sends requests to the app of `site`, with cookies that no other browser has.

    They are kept when the app is started anew, and sent whatever their path is, and though they are
    `Secure`: browsers trust localhost.
    """

    def __init__(self, site: Site) -> None:
        self._site = site
        self.cookies: dict[str, str] = {}
        """The app's cookies, name to value, as the next request sends them."""

    def get(self, path: str, **options: Any) -> Page:
        """Send a GET; see `request`."""
        return self.request("GET", path, **options)

    def post(self, path: str, **options: Any) -> Page:
        """Send a POST; see `request`. `data` is what a form sends."""
        return self.request("POST", path, **options)

    def request(self, method: str, path: str, follow: bool = True, **options: Any) -> Page:
        """Send a request and return the answer. Redirects are not followed.

        But those that ask for the same request at another path (307, 308), as where that is only
        spelt otherwise, are followed once, as every browser does, unless `follow` is False.
        `options` are httpx's: `data` (a form), `json`, `content` (text or bytes) and `headers`.

        Raises `TimedOut`, `Crashed` or `ImportFailed` where no answer comes.
        """
        did = " with ".join(filter(None, [f"{method} {path}", _sent(**options)]))
        page = self._send(did, method, path, options)
        if follow and page.status in (307, 308):
            page = self._send(did, method, page.headers.get("Location", path), options)
        return page

    def at_once(self, n: int, path: str) -> list[Page]:
        """Send `n` GETs at the same moment, on connections of their own; return their answers.

        Raises what `request` raises, where one of them gets no answer.
        """
        did = f"GET {path}, {n} at once"
        self._site.serve()
        moment = Barrier(n)

        def ask() -> httpx.Response:
            with self._site.connection() as connection:
                moment.wait()
                return self._site.ask(connection, "GET", path, self._with_cookies({}))

        with ThreadPoolExecutor(n) as pool:
            asked = [pool.submit(ask) for _ in range(n)]
        return [self._page(did, path, self._site.answer(did, each.result)) for each in asked]

    def set_cookie(self, name: str, value: str) -> None:
        """Put a cookie in the place of the one with this name, as a student could by hand."""
        self.cookies[name] = value

    def clear_cookies(self) -> None:
        """Forget every cookie."""
        self.cookies.clear()

    def cookie_header(self) -> str:
        """Return what the header Cookie says of all cookies."""
        return "; ".join(f"{name}={value}" for name, value in self.cookies.items())

    def _send(self, did: str, method: str, path: str, options: dict[str, Any]) -> Page:
        http = self._site.serve()
        options = self._with_cookies(options)
        response = self._site.answer(did, lambda: self._site.ask(http, method, path, options))
        return self._page(did, path, response)

    def _with_cookies(self, options: dict[str, Any]) -> dict[str, Any]:
        headers = httpx.Headers(options.get("headers"), encoding="utf-8")  # as a cookie may be
        if self.cookies:
            headers.setdefault("Cookie", self.cookie_header())
        return options | {"headers": headers}

    def _page(self, did: str, path: str, response: httpx.Response) -> Page:
        """Return the answer as a page, and keep the cookies that came with it."""
        page = Page(did, path, response, self._site.trace)
        for name, cookie in page.cookies.items():
            if _expired(cookie):
                self.cookies.pop(name, None)
            else:
                self.cookies[name] = cookie.coded_value
        return page


def _expired(cookie: Morsel[str]) -> bool:
    """Tell whether a cookie deletes the one with its name. Max-Age wins over Expires."""
    try:
        if cookie["max-age"]:
            return int(cookie["max-age"]) <= 0
        if cookie["expires"]:
            return parsedate_to_datetime(cookie["expires"]) <= datetime.now(UTC)
    except (TypeError, ValueError):  # what is no number or date says nothing
        pass
    return False


def _sent(
    data: dict[str, Any] | None = None,
    json: Any = None,
    content: str | bytes | None = None,
    **_: Any,
) -> str:
    """Return in short what a request sends: the fields of a form, or a body."""
    if json is not None:
        return f"JSON {_short(dumps(json, ensure_ascii=False))}"
    if content is not None:
        text = content.decode("utf-8", "replace") if isinstance(content, bytes) else content
        return f"the body {_short(text)!r}"
    return ", ".join(f"{name}={_short(str(value))!r}" for name, value in (data or {}).items())


def _short(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:20]}… ({len(text)} characters)"
