"""The finished lessons in a browser: what people do there, and what could hinder them.

The pictures of the docs come of the same pages. `make screenshots` draws those that are missing or
show what is no longer so; without it, a test says which.
"""

from __future__ import annotations

import os
import re
import shlex
import sqlite3
import sys
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import pytest
from axe_playwright_python.sync_playwright import Axe
from conftest import ROOT
from playwright.sync_api import (
    Browser,
    ConsoleMessage,
    Page,
    Request,
    Response,
    expect,
)
from services import PAGE_SECONDS, server

from course.catalog import Lesson, load
from course.preparing import prepare
from course.processes import ForkServer, environment
from course.snapshot import Snapshot, take

COURSE = load()
IMAGES = ROOT / "docs" / "images"
DRAW = bool(os.environ.get("SCREENSHOTS"))
PHONE = {"width": 360, "height": 640}
DESK = {"width": 1280, "height": 720}
PASSWORD = "correct horse"
SEEDED = 45
SENTENCE = "Ask the neighbours about the parcel that came while they were away on their holidays"
WORD = "x" * 200


# A lesson's solution, served, and who visits it.


@dataclass
class Site:
    """A solution that is served. `faults` has what went wrong in its pages."""

    lesson: Lesson
    folder: Path
    url: str
    browser: Browser
    javascript: bool = True
    faults: list[str] = field(default_factory=list)

    def visitor(self, **options: object) -> Page:
        """Return the empty page of someone whom the site does not know."""
        context = self.browser.new_context(
            base_url=self.url, java_script_enabled=self.javascript, **options
        )
        context.set_default_timeout(PAGE_SECONDS * 1000)
        context.on("console", self.note_message)
        context.on("weberror", lambda error: self.faults.append(str(error.error)))
        context.on("requestfailed", self.note_failure)
        context.on("response", self.note_response)
        return context.new_page()

    def has(self, number: int) -> bool:
        return self.lesson.number >= number

    def note_message(self, message: ConsoleMessage) -> None:
        # What could not be loaded is a response too. Only /favicon.ico is not: browsers ask for it
        # where a page names no icon, such as an error's before lesson 2.
        loading = message.text.startswith("Failed to load resource")
        icon = message.location["url"].endswith("/favicon.ico")
        noted = loading and not (icon and self.has(2))
        if message.type in ("error", "warning") and not noted:
            self.faults.append(message.text)

    def note_failure(self, request: Request) -> None:
        if request.failure != "net::ERR_ABORTED":  # the page was left before all had come
            self.faults.append(f"{request.failure}: {request.url}")

    def note_response(self, response: Response) -> None:
        if response.status >= 400:
            self.faults.append(f"{response.status}: {response.request.method} {response.url}")

    @contextmanager
    def refusing(self, status: int) -> Iterator[None]:
        """Expect that what the block does is answered with this status, which is no fault here."""
        before = len(self.faults)
        yield
        assert [fault.partition(":")[0] for fault in self.faults[before:]] == [str(status)]
        del self.faults[before:]


@pytest.fixture(scope="module")
def copies() -> Iterator[Callable[[Lesson], Snapshot]]:
    """Return a function: a lesson's solution with its database, in which there are some todos."""
    made: dict[int, Snapshot] = {}
    with ForkServer(COURSE.imports(COURSE.lessons[-1])) as forks:

        def copy(lesson: Lesson) -> Snapshot:
            if lesson.number not in made:
                made[lesson.number] = with_todos(forks, lesson)
            return made[lesson.number]

        yield copy


def with_todos(forks: ForkServer, lesson: Lesson) -> Snapshot:
    copy = take(lesson.solution)
    for way in COURSE.ways_to_prepare(lesson)[:1]:
        for command in (way, f"python manage.py seed {SEEDED}"):
            prepared = prepare(forks, copy, (command,))
            assert prepared.command, command
            copy = prepared.copy
    return copy


@pytest.fixture
def served(
    browser: Browser, copies: Callable[[Lesson], Snapshot], tmp_path: Path
) -> Iterator[Callable[[Lesson], Site]]:
    """Return a function that serves a lesson's solution until the test ends."""
    with ExitStack() as stack:

        def serve(lesson: Lesson, javascript: bool = True) -> Site:
            folder = tmp_path / lesson.folder
            copies(lesson).write(folder)
            port = stack.enter_context(
                server(
                    partial(command, lesson), answers, tmp_path / "log",
                    folder=folder, variables=environment(tmp_path),
                )
            )  # fmt: skip
            return Site(lesson, folder, f"http://127.0.0.1:{port}", browser, javascript)

        yield serve
        for context in browser.contexts:
            context.close()


def command(lesson: Lesson, port: int) -> list[str]:
    """Return the command that serves a lesson at a port, without watching whether it is edited."""
    words = shlex.split((lesson.serve_on_port or lesson.serve).format(port=port))[1:]
    return [sys.executable, *(word for word in words if word not in ("-r", "--reload"))]


def answers(port: int) -> bool:
    try:
        with urlopen(f"http://127.0.0.1:{port}/todos") as response:
            return bool(response.status == 200)
    except (URLError, ConnectionError):
        return False


# What people do. Fields, buttons and links are found as someone finds them who cannot see them.


def look_around(site: Site, page: Page) -> None:
    visit(page, "/")
    page.get_by_role("navigation").get_by_role("link", name="Todos").click()
    is_at(page, "Todos")
    visit(page, "/hello/Ann")
    expect(page.get_by_text("Hello, Ann!")).to_be_visible()
    with site.refusing(404):
        visit(page, "/todos/999999", 404)
    if site.has(2):
        page.get_by_role("link", name="Back to the first page").click()
        is_at(page, "Home")


def add_todos(site: Site, page: Page) -> None:
    add(page, "Buy stamps & <b>envelopes</b>")
    item(page, "Buy stamps").get_by_role("link").click()
    is_at(page, "Buy stamps & <b>envelopes</b>")
    visit(page, "/todos")
    with site.refusing(400):
        page.get_by_label("New todo").fill("   ")
        page.get_by_role("button", name="Add").click()
        expect(page.get_by_role("alert")).to_have_text("A title has 1 to 200 characters.")
    add(page, "Write to Ann")


def search(site: Site, page: Page) -> None:
    visit(page, "/todos")
    for words, found in (("STAMPS", 1), ("no such words", 0)):
        page.get_by_label("Search").fill(words)
        page.get_by_label("Search").press("Enter")
        expect(page).to_have_url(re.compile(r"\?q="))
        expect(page.get_by_label("Search")).to_have_value(words)
        expect(page.get_by_role("main").get_by_role("listitem")).to_have_count(found)
    if site.has(3):
        expect(page.get_by_text("No todos found.")).to_be_visible()


def change(site: Site, page: Page) -> None:
    open_todo(page, "Buy stamps")
    page.get_by_label("Title").fill("Buy 10 stamps")
    page.get_by_label("Done").check()
    page.get_by_role("button", name="Save").click()
    expect(item(page, "Buy 10 stamps")).to_contain_text("(done)")
    expect(item(page, "Write to Ann")).not_to_contain_text("(done)")
    expect(page.get_by_text("envelopes")).to_have_count(0)


def prioritise(site: Site, page: Page) -> None:
    open_todo(page, "Write to Ann")
    expect(page.get_by_label("Priority")).to_have_value("normal")
    page.get_by_label("Priority").select_option("high")
    page.get_by_role("button", name="Save").click()
    expect(item(page, "Write to Ann")).to_contain_text("(high)")
    open_todo(page, "Write to Ann")
    expect(page.get_by_label("Priority")).to_have_value("high")


def delete(site: Site, page: Page) -> None:
    open_todo(page, "Buy 10 stamps")
    page.get_by_role("button", name="Delete").click()
    expect(item(page, "Write to Ann")).to_be_visible()
    expect(item(page, "Buy 10 stamps")).to_have_count(0)


def turn_pages(site: Site, page: Page) -> None:
    """Search, and read all that is found, a page after the other, there and back."""
    visit(page, "/todos")
    page.get_by_label("Search").fill("todo ")
    page.get_by_role("button", name="Search").click()
    pages = [range(45, 25, -1), range(25, 5, -1), range(5, 0, -1)]
    for shown in pages[:2]:
        shows(page, shown)
        turn(page, "Older")
    shows(page, pages[2])
    for shown in reversed(pages[:2]):
        turn(page, "Newer")
        shows(page, shown)
    turn(page, "Oldest")
    shows(page, range(20, 0, -1))
    expect(page.get_by_role("link", name="Older")).to_have_count(0)
    turn(page, "Newest")
    shows(page, pages[0])
    expect(page.get_by_role("link", name="Newer")).to_have_count(0)


def come_and_go(site: Site, page: Page) -> None:
    visit(page, "/account")
    is_at(page, "Log in")
    page.get_by_role("link", name="Register").click()
    register(page, "Ann")
    page.get_by_role("link", name="Ann").click()
    is_at(page, "Your account")
    expect(page.get_by_text("You are logged in as Ann.")).to_be_visible()
    page.get_by_role("button", name="Log out").click()
    is_at(page, "Home")
    visit(page, "/account")
    with site.refusing(400):
        log_in(page, "Ann", "wrong password")
        expect(page.get_by_role("alert")).to_be_visible()
    expect(page.get_by_label("Name")).to_have_value("Ann")
    log_in(page, "Ann", PASSWORD)
    is_at(page, "Your account")
    page.get_by_role("button", name="Log out").click()
    expect(page.get_by_role("link", name="Log in")).to_be_visible()


def keep_to_oneself(site: Site, page: Page) -> None:
    """Two people, each in a browser of their own, and a guest: nobody sees what is another's."""
    one, other = site.visitor(), site.visitor()
    for each, name in ((one, "Cleo"), (other, "Dan")):
        visit(each, "/register")
        register(each, name)
        add(each, f"Ask what {name} thinks")
    address = path_of(one, "Ask what Cleo thinks")
    for stranger in (other, page):
        visit(stranger, "/todos")
        expect(item(stranger, "Ask what Cleo thinks")).to_have_count(0)
        with site.refusing(404):
            visit(stranger, address, 404)
    visit(one, address)
    is_at(one, "Ask what Cleo thinks")


def count(site: Site, page: Page) -> None:
    visit(page, "/todos")
    page.get_by_role("link", name="Statistics").click()
    is_at(page, "Statistics")
    before = counted(page)
    assert before == SEEDED + 3
    add(page, "Count me")
    visit(page, "/stats")
    assert counted(page) == before + 1
    users = page.get_by_role("table", name="Users with the most todos")
    expect(users.get_by_role("row")).to_have_text(["UserTodos", "Cleo1", "Dan1"])


def call_from_elsewhere(site: Site, page: Page) -> None:
    """A page of another site uses the API: the browser asks first whether it may."""
    if not site.javascript:
        return
    elsewhere = site.visitor()
    visit(elsewhere, site.url.replace("127.0.0.1", "localhost") + "/")
    status = elsewhere.evaluate(CALL, f"{site.url}/api/todos")
    assert status == 201
    visit(page, "/todos")
    expect(item(page, "Sent from elsewhere")).to_be_visible()


CALL = """address => fetch(address, {
  method: "POST",
  headers: {"Content-Type": "application/json"},
  body: JSON.stringify({title: "Sent from elsewhere"}),
}).then(response => response.status)"""

STEPS = (
    (0, look_around),
    (0, add_todos),
    (0, search),
    (2, change),
    (4, prioritise),
    (2, delete),
    (3, turn_pages),
    (5, come_and_go),
    (5, keep_to_oneself),
    (6, count),
    (7, call_from_elsewhere),
)


def visit(page: Page, path: str, status: int = 200) -> None:
    response = page.goto(path)
    assert response
    assert response.status == status, f"{path}: {response.status}"


def is_at(page: Page, heading: str) -> None:
    expect(page.get_by_role("heading", level=1)).to_have_text(heading)


def item(page: Page, text: str) -> object:
    return page.get_by_role("main").get_by_role("listitem").filter(has_text=text)


def add(page: Page, title: str) -> None:
    visit(page, "/todos")
    page.get_by_label("New todo").fill(title)
    page.get_by_label("New todo").press("Enter")
    expect(item(page, title)).to_be_visible()


def open_todo(page: Page, title: str) -> None:
    visit(page, "/todos")
    page.get_by_role("link", name=title).click()
    expect(page.get_by_role("heading", level=1)).to_contain_text(title)


def path_of(page: Page, title: str) -> str:
    visit(page, "/todos")
    return str(page.get_by_role("link", name=title).get_attribute("href"))


def turn(page: Page, name: str) -> None:
    page.get_by_role("navigation", name="Pages").get_by_role("link", name=name).click()


def shows(page: Page, numbers: range) -> None:
    titles = [f"Todo {number}" for number in numbers]
    expect(page.get_by_role("main").get_by_role("listitem").get_by_role("link")).to_have_text(
        titles
    )


def register(page: Page, name: str) -> None:
    is_at(page, "Register")
    page.get_by_label("Name").fill(name)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Register").click()
    is_at(page, "Todos")
    expect(page.get_by_role("navigation").get_by_role("link", name=name)).to_be_visible()


def log_in(page: Page, name: str, password: str) -> None:
    page.get_by_label("Name").fill(name)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Log in").click()


def counted(page: Page) -> int:
    found = re.search(r"\d+ of (\d+) todos are completed", page.get_by_role("main").inner_text())
    assert found
    return int(found[1])


def each_lesson(function: Callable) -> Callable:
    names = [lesson.folder for lesson in COURSE.lessons]
    return pytest.mark.parametrize("lesson", COURSE.lessons, ids=names)(function)


@each_lesson
def test_journey_without_javascript(served: Callable, lesson: Lesson) -> None:
    go(served(lesson, javascript=False))


def test_journey(served: Callable) -> None:
    """The last lesson has every step, and no lesson has a script that could make a difference."""
    go(served(COURSE.lessons[-1]))


def go(site: Site) -> None:
    page = site.visitor()
    for since, step in STEPS:
        if site.has(since):
            step(site, page)
    assert not site.faults


# What could hinder people.

CONTROLS = "a[href], button, input:not([type=hidden]), select, textarea"

FITS = """() => {
  const wide = [...document.querySelectorAll("body *")].filter(element => {
    const box = element.getBoundingClientRect()
    return box.left < 0 || box.right > innerWidth
  })
  return {
    scrolls: document.documentElement.scrollWidth > innerWidth,
    wide: wide.map(element => element.outerHTML.slice(0, 60)),
  }
}"""

WATCH = """controls => {
  window.reached = []
  addEventListener("focusin", ({target}) => {
    const {outlineStyle, outlineWidth} = getComputedStyle(target)
    reached.push({
      number: [...document.querySelectorAll(controls)].indexOf(target),
      html: target.outerHTML,
      seen: outlineStyle != "none" && parseFloat(outlineWidth) > 0,
      bottom: target.getBoundingClientRect().bottom + scrollY,
      top: target.getBoundingClientRect().top + scrollY,
    })
  })
}"""


@each_lesson
def test_pages_hinder_nobody(served: Callable, lesson: Lesson) -> None:
    """axe-core finds nothing serious, in light and in dark; phones show all; Tab leads everywhere.

    axe-core sees what a program can see. It does not tell whether a page is good to use.
    """
    site = served(lesson)
    found = []
    for name, page in pages(site):
        page.wait_for_load_state()  # where a click led here: without its style, a page has faults
        page.set_viewport_size(PHONE)
        assert page.locator("script").count() == 0, name
        hindrances = [*look_for_barriers(page), *fits(page), *keyboard(page)]
        page.set_viewport_size(DESK)
        hindrances += fits(page)
        found += [f"{name}: {hindrance}" for hindrance in hindrances]
    assert not found
    assert not site.faults


def pages(site: Site) -> Iterator[tuple[str, Page]]:
    """Show one page after the other, with titles and names that are as long as they may be."""
    page = site.visitor()
    for title in (SENTENCE, WORD):
        send(page, "/todos", title=title)
    paths = ["/", "/hello/Ann", "/todos", "/todos?q=no+such+words"]
    paths += [path_of(page, title) for title in (SENTENCE, WORD)]
    if site.has(3):
        paths += ["/todos?before=30"]
    if site.has(5):
        paths += ["/register", "/login"]
    if site.has(6):
        paths += ["/stats"]
    for path in paths:
        visit(page, path)
        yield path, page
    with site.refusing(404):
        visit(page, "/todos/999999", 404)
    yield "404", page
    visit(page, "/todos")
    with site.refusing(400):
        page.get_by_label("New todo").fill(" ")
        page.get_by_label("New todo").press("Enter")
        expect(page.get_by_role("alert")).to_be_visible()
    yield "400", page
    if site.has(5):
        send(page, "/register", name="x" * 40, password=PASSWORD)
        send(page, "/todos", title=WORD)
        for path in ("/account", "/todos", "/stats")[: 3 if site.has(6) else 2]:
            visit(page, path)
            yield f"{path}, logged in", page


def send(page: Page, path: str, **form: str) -> None:
    assert page.request.post(path, form=form).ok


def look_for_barriers(page: Page) -> list[str]:
    """Return what axe-core finds serious. In the dark only colours are other than in the light."""
    page.add_style_tag(content=":root { background: Canvas }")  # axe takes what has none for white
    found = barriers(page, "light")
    page.emulate_media(color_scheme="dark")
    found += barriers(page, "dark")
    page.emulate_media(color_scheme="light")
    return found


def barriers(page: Page, scheme: str) -> list[str]:
    """Return what axe-core finds serious in a page that is shown in this scheme."""
    options = {"resultTypes": ["violations"], "rules": {"target-size": {"enabled": True}}}
    if scheme == "dark":
        options |= {"runOnly": ["color-contrast"], "rules": {}}
    page.evaluate(Axe().axe_script)
    return [
        f"{scheme}: {fault['id']}: {fault['help']}: {fault['nodes'][0]['html']}"
        for fault in page.evaluate("options => axe.run(options)", options)["violations"]
        if fault["impact"] in ("serious", "critical")
    ]


def fits(page: Page) -> list[str]:
    found = page.evaluate(FITS)
    size = page.viewport_size["width"]
    faults = [f"wider than {size} pixels: {element}" for element in found["wide"]]
    return faults + [f"scrolls sideways at {size} pixels"] * found["scrolls"]


def keyboard(page: Page) -> list[str]:
    """Tab from the first control to the last; return which are not reached, or not seen to be."""
    page.evaluate("document.activeElement.blur()")
    page.evaluate(WATCH, CONTROLS)
    controls = page.locator(CONTROLS).all()
    for _ in controls:
        page.keyboard.press("Tab")
    reached = page.evaluate("reached")
    numbers = [each["number"] for each in reached]
    faults = [] if numbers == list(range(len(controls))) else [f"Tab goes {numbers}"]
    faults += [f"no focus to be seen on {each['html']}" for each in reached if not each["seen"]]
    back = any(after["bottom"] <= now["top"] for now, after in pairwise(reached))
    return faults + ["Tab goes back up the page"] * back


# The pictures in the docs.

# Dates are other ones every day: put fixed ones in their place, in the same order.
FIX_DATES = r"""() => {
  const days = /\d{4}-\d\d-\d\d/g
  const found = [...new Set(document.body.innerHTML.match(days))].sort().reverse()
  document.body.innerHTML = document.body.innerHTML
    .replace(days, day => `2026-01-${30 - found.indexOf(day)}`)
    .replace(/\d\d:\d\d(:\d\d(\.\d+)?)?/g, "12:00")
  return document.body.innerHTML
}"""


FRAME = "html { outline: 1px solid #888; outline-offset: -1px }"


@dataclass(frozen=True)
class Picture:
    """A page that the docs show: `show` goes there."""

    lesson: int
    name: str
    show: Callable[[Site, Page], None]
    width: int = 640
    scheme: str = "light"

    @property
    def file(self) -> Path:
        return IMAGES / f"lesson-{self.lesson}-{self.name}.png"


def show_list(site: Site, page: Page) -> None:
    add(page, "Write to Ann")


def show_page_of_list(site: Site, page: Page) -> None:
    visit(page, "/todos")
    turn(page, "Older")
    shows(page, range(25, 5, -1))


def show_missing(site: Site, page: Page) -> None:
    with site.refusing(404):
        visit(page, "/todos/999999", 404)


def show_todo(site: Site, page: Page) -> None:
    add(page, "Write to Ann")
    open_todo(page, "Write to Ann")


def show_priority(site: Site, page: Page) -> None:
    show_todo(site, page)
    page.get_by_label("Priority").select_option("high")
    page.get_by_role("button", name="Save").click()
    open_todo(page, "Write to Ann")


def show_log_in(site: Site, page: Page) -> None:
    visit(page, "/account")


def show_own_list(site: Site, page: Page) -> None:
    send(page, "/register", name="Ann", password=PASSWORD)
    for title, priority in (
        ("Learn Flask, one extension at a time", "normal"),
        ("Buy stamps", "low"),
        ("Write to Ben", "high"),
    ):
        send(page, "/todos", title=title)
        done = {"completed": "on"} if priority == "low" else {}
        send(page, path_of(page, title), title=title, priority=priority, **done)
    visit(page, "/todos")


def show_statistics(site: Site, page: Page) -> None:
    """Let some people write todos, and spread all over four days."""
    for name, number in (("Ann", 3), ("Ben", 2), ("Cleo", 1)):
        send(page, "/register", name=name, password=PASSWORD)
        for i in range(number):
            send(page, "/todos", title=f"{name}'s todo {i + 1}")
        page.context.clear_cookies()
    with (
        closing(sqlite3.connect(site.folder / "instance" / "todos.db")) as database,
        database,
    ):
        database.execute(
            "UPDATE todo SET created_at = datetime('now', '-' || (id % 7 % 4) || ' days')"
        )
    visit(page, "/stats")


PICTURES = (
    Picture(0, "list", show_list),
    Picture(2, "todo", show_todo),
    Picture(2, "404", show_missing),
    Picture(3, "pages", show_page_of_list),
    Picture(4, "priority", show_priority),
    Picture(5, "log-in", show_log_in),
    Picture(6, "statistics", show_statistics),
    Picture(7, "phone", show_own_list, 360, "dark"),
)


@pytest.mark.parametrize(
    "picture",
    [picture for picture in PICTURES if picture.lesson < len(COURSE.lessons)],
    ids=lambda picture: picture.file.stem,
)
def test_picture_shows_what_is_so(served: Callable, picture: Picture) -> None:
    """A picture has in it the HTML and the style sheet that it shows; they are still the same.

    What a browser makes of them, in which fonts, is not compared: that differs between machines.
    """
    site = served(COURSE.lesson(picture.lesson))
    size = {"width": picture.width, "height": 1}  # it is drawn as high as it needs to be
    page = site.visitor(viewport=size, color_scheme=picture.scheme)
    picture.show(site, page)
    shown = page.evaluate(FIX_DATES) + page.request.get(style(page)).text()
    shown = "\n".join(filter(None, map(str.strip, shown.splitlines())))
    drawn = note(picture.file.read_bytes()) if picture.file.exists() else None
    if DRAW and drawn != shown:
        png = page.screenshot(full_page=True, style=FRAME)
        picture.file.write_bytes(with_note(png, shown))
        drawn = shown
    assert drawn == shown, f"{picture.file.name} is missing or old: run make screenshots"
    assert not site.faults


def style(page: Page) -> str:
    return str(page.locator("link[rel=stylesheet]").get_attribute("href"))


NOTE = b"zTXtshown\0\0"
"""How the chunk of a PNG begins that holds a text, compressed, under the name `shown`."""


def with_note(png: bytes, text: str) -> bytes:
    """Return the picture with a text in it, which programs that show pictures leave alone."""
    chunk = NOTE + zlib.compress(text.encode("latin-1", "xmlcharrefreplace"), 9)
    chunk = (len(chunk) - 4).to_bytes(4) + chunk + zlib.crc32(chunk).to_bytes(4)
    return png[:-12] + chunk + png[-12:]  # the last chunk is an empty one


def note(png: bytes) -> str | None:
    """Return the text that `with_note` has put into the picture."""
    _, mark, rest = png.partition(NOTE)
    return zlib.decompress(rest[:-16]).decode("latin-1") if mark else None
