"""The site of the course: all is there, all works in a browser, and nothing is from elsewhere."""

from __future__ import annotations

import hashlib
import re
import shutil
import socket
import sys
import tomllib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache, partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.error import URLError
from urllib.parse import unquote, urldefrag
from urllib.request import urlopen

import pytest
from bs4 import BeautifulSoup, Tag
from click.testing import CliRunner
from conftest import ROOT, until
from markdown_it import MarkdownIt
from playwright.sync_api import Browser, ConsoleMessage, Page, Route, expect
from services import PAGE_SECONDS, environment, server
from test_browser import DESK, PHONE, barriers
from test_docs import COURSE, PAGES
from test_docs import Page as Source

from course import website
from course.cli import main
from course.errors import CourseError

DOCS, NOTES = ROOT / "docs", ROOT / "notes"
CONFIG = tomllib.loads((ROOT / "zensical.toml").read_text("utf-8"))["project"]
# The theme hides its diagrams and its search from every test, and keeps the scheme of a visit.
OPEN = """
localStorage.clear()
const attach = Element.prototype.attachShadow
Element.prototype.attachShadow = function (how) { return attach.call(this, {...how, mode: "open"}) }
"""
WHAT_IS_READ = "h1 h2 h3 h4 p ul ol li table tr th td pre code img em strong details summary a"


def in_nav(entries: list | None = None) -> list[str]:
    """Return the pages of the navigation, in its order."""
    found: list[str] = []
    for entry in CONFIG["nav"] if entries is None else entries:
        for value in entry.values() if isinstance(entry, dict) else [entry]:
            found += in_nav(value) if isinstance(value, list) else [value]
    return found


def made_of(page: str) -> str:
    """Return the path that a page has in the site."""
    return page.replace("README.md", "index.md").removesuffix("md") + "html"


each_page = pytest.mark.parametrize("page", in_nav())


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the built site."""
    return website.build(tmp_path_factory.mktemp("my site 网站")).parent


@cache
def soup(file: Path) -> BeautifulSoup:
    return BeautifulSoup(file.read_text("utf-8"), "html.parser")


# What is in it.


def test_every_page_is_in_the_navigation() -> None:
    pages = {path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md")}
    notes = {f"notes/{path.name}" for path in NOTES.glob("*.md")}
    assert sorted(in_nav()) == sorted(pages | notes)


def test_the_navigation_has_the_order_of_the_index() -> None:
    index = (DOCS / "README.md").read_text("utf-8")
    rows = re.findall(r"^\| (?:\d )?\[.+?\]\((\w+\.md)\)", index, re.M)
    assert rows[: len(COURSE.lessons)] == [lesson.page.name for lesson in COURSE.lessons]
    assert [page for page in in_nav() if page in rows] == rows
    assert in_nav()[0] == "README.md"


def test_what_each_lesson_adds_is_there(site: Path) -> None:
    names = {f"{lesson.folder}.html" for lesson in COURSE.lessons}
    assert {path.name for path in (site / "steps").iterdir()} == names


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.path.name)
def test_a_page_reads_as_on_a_code_host(site: Path, page: Source) -> None:
    """Its words and its parts are those of GitHub's Markdown: so comments do not show either."""
    html = MarkdownIt("gfm-like", {"linkify": False}).render(page.text)
    ours = site / made_of(page.path.relative_to(DOCS).as_posix())
    assert read(soup(ours).article) == read(BeautifulSoup(html, "html.parser"))


def read(found: Tag | None) -> tuple[str, Counter[str]]:
    """Return the words of a page, without spaces, and how many there are of each part."""
    assert found
    copy = BeautifulSoup(str(found), "html.parser")
    for added in copy.select(".headerlink, #__skip, a[id]"):
        added.decompose()
    parts = Counter(tag.name for tag in copy.find_all(WHAT_IS_READ.split()))
    return re.sub(r"\s+", "", copy.get_text()), parts


@pytest.mark.parametrize("name", ["outline.en.md", "outline.zh.md"])
def test_the_outline_stands_as_it_was_written(site: Path, name: str) -> None:
    block = soup(site / "notes" / made_of(name)).select_one("article pre")
    assert block
    assert block.get_text().strip() == (NOTES / name).read_text("utf-8").strip()


def test_every_link_leads_somewhere(site: Path) -> None:
    # The page for what is missing is shown anywhere: its links begin at the server's top.
    files = [file for file in site.rglob("*.html") if file.name != "404.html"]
    dead = [wrong for file in files for wrong in dead_links(site, file)]
    assert len(files) > len(in_nav())
    assert not dead, "\n".join(dead)


def dead_links(site: Path, file: Path) -> Iterator[str]:
    for tag in soup(file).find_all(href=True) + soup(file).find_all(src=True):
        link = str(tag.get("href", tag.get("src")))
        if re.match("https?:", link) and tag.name != "a":  # a browser fetches it
            yield f"{file.name}: {link} is elsewhere"
        if re.match(r"\w+:", link):
            continue
        name, anchor = map(unquote, urldefrag(link))
        target = (file.parent / name).resolve() if name else file
        target = target / "index.html" if target.is_dir() else target
        there = target.is_file() and target.is_relative_to(site.resolve())
        if not there or (anchor and not soup(target).find(id=anchor)):
            yield f"{file.name}: there is no {link}"
        elif not target.suffix:
            yield f"{file.name}: Zensical's own server takes {link} for a folder"


def test_a_dead_link_is_noticed(tmp_path: Path) -> None:
    (tmp_path / "a.html").write_text(
        '<p id=here><a href="#here"></a><a href="b.html"></a><a href="a.html#x"></a>'
        '<a href="https://example.com"></a><a href="c"></a><img src="https://example.com/a.png">'
    )
    (tmp_path / "c").touch()
    found = list(dead_links(tmp_path, tmp_path / "a.html"))
    wrong = [
        "there is no b.html",
        "there is no a.html#x",
        "Zensical's own server takes c for a folder",
        "https://example.com/a.png is elsewhere",
    ]
    assert found == [f"a.html: {words}" for words in wrong]


# In a browser.


@dataclass
class Visit:
    """A page of the site, open in a browser. `faults` has what went wrong there."""

    page: Page
    url: str
    faults: list[str] = field(default_factory=list)

    def open(self, path: str) -> None:
        answer = self.page.goto(f"{self.url}/{path}")
        assert answer
        assert answer.ok, path

    def note(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.faults.append(message.text)

    def route(self, route: Route) -> None:
        """Let pass what is asked of the site, and nothing else."""
        if route.request.url.startswith(self.url):
            route.continue_()
        else:
            self.faults.append(f"asked for {route.request.url}")
            route.abort()


@pytest.fixture(scope="module")
def url(site: Path) -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(site))) as served:
        Thread(target=served.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{served.server_port}"
        served.shutdown()


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *args: object) -> None: ...


@pytest.fixture
def visit(browser: Browser, url: str) -> Iterator[Visit]:
    """Someone with a small telephone."""
    permissions = ["clipboard-read", "clipboard-write"]
    context = browser.new_context(viewport=PHONE, permissions=permissions)
    context.set_default_timeout(PAGE_SECONDS * 1000)
    context.add_init_script(OPEN)
    found = Visit(context.new_page(), url)
    context.on("console", found.note)
    context.on("weberror", lambda error: found.faults.append(str(error.error)))
    context.route("**/*", found.route)
    yield found
    context.close()


@each_page
def test_a_page_hinders_nobody(visit: Visit, page: str) -> None:
    """axe-core finds nothing serious, in light and in dark, and nothing is asked for elsewhere."""
    visit.open(made_of(page))
    see_diagrams(visit, page)
    visit.page.add_style_tag(content="* { transition: none !important }")
    found = barriers(visit.page, "light")
    darken(visit)
    found += barriers(visit.page, "dark")
    for size in (PHONE, DESK):
        visit.page.set_viewport_size(size)
        wide = visit.page.evaluate("document.documentElement.scrollWidth > innerWidth")
        found += [f"scrolls sideways at {size['width']} pixels"] * wide
    assert not found
    assert not visit.faults


def see_diagrams(visit: Visit, page: str) -> None:
    """Wait until each diagram of a page is drawn; it must be one, and no drawing of an error."""
    source = NOTES.parent / page if page.startswith("notes/") else DOCS / page
    number = source.read_text("utf-8").count("```mermaid\n")
    drawn = visit.page.locator(".mermaid svg:not([aria-roledescription=error])")
    expect(drawn).to_have_count(number)


def darken(visit: Visit) -> None:
    visit.page.locator("label[title='Switch to dark mode']").click()
    shows(visit, "dark")


def shows(visit: Visit, scheme: str) -> None:
    name = {"light": "default", "dark": "slate"}[scheme]
    expect(visit.page.locator("body")).to_have_attribute("data-md-color-scheme", name)


def test_the_scheme_is_the_readers(visit: Visit) -> None:
    """It is that of the system, until a button is pressed. Diagrams have it too."""
    visit.page.emulate_media(color_scheme="dark")
    visit.open("request.html")
    shows(visit, "dark")
    dark = colour(visit)
    visit.page.locator("label[title='Switch to light mode']").click()
    shows(visit, "light")
    light = colour(visit)
    darken(visit)
    assert colour(visit) == dark != light
    assert not visit.faults


def colour(visit: Visit) -> str:
    """Return the colour of the words in the first diagram."""
    label = visit.page.locator(".mermaid .label").first
    return str(label.evaluate("label => getComputedStyle(label).color"))


def test_what_is_asked_for_elsewhere_is_noticed(visit: Visit) -> None:
    """Without our mermaid, the theme looks for one in the net."""
    visit.page.route("**/mermaid.tiny.js", lambda route: route.fulfill(body=""))
    with visit.page.expect_request("https://**/mermaid*"):
        visit.open("request.html")
    assert any(fault.startswith("asked for https://") for fault in visit.faults)


def test_a_search_finds_the_page(visit: Visit) -> None:
    visit.page.set_viewport_size(DESK)
    visit.open("index.html")
    visit.page.get_by_role("button", name="Search").click()
    visit.page.get_by_role("combobox", name="Search").fill("session fixation")
    first = visit.page.get_by_role("listbox").get_by_role("option").first
    expect(first).to_contain_text("fixation")
    first.click()
    visit.page.wait_for_url(re.compile("/05_session.html"))
    expect(visit.page.get_by_role("heading", level=1)).to_contain_text("Lesson 5")
    assert not visit.faults


@pytest.mark.parametrize("language", ["python", "console"])
def test_a_block_is_copied(visit: Visit, language: str) -> None:
    """Of a console block, that is what one types."""
    source = next(page for page in PAGES if page.path.name == "03_sqlalchemy.md")
    blocks = [block for block in source.blocks if block.language != "mermaid"]
    number, block = next(found for found in enumerate(blocks) if found[1].language == language)
    wanted = [line for line in block.text.splitlines() if line.strip()]
    if language == "console":
        wanted = [line.removeprefix("$ ") for line in wanted if line.startswith("$ ")]
    visit.open("03_sqlalchemy.html")
    visit.page.locator(".md-code__button").nth(number).click()
    copied = "navigator.clipboard.readText()"
    until(lambda: visit.page.evaluate(copied))
    assert [line for line in visit.page.evaluate(copied).splitlines() if line] == wanted
    assert not visit.faults


# Building and serving it.


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A course whose pages can be changed, in place of ours."""
    for name in ("docs", "notes", "vendor"):
        shutil.copytree(ROOT / name, tmp_path / name)
    shutil.copy(ROOT / "zensical.toml", tmp_path)
    monkeypatch.setattr(website, "ROOT", tmp_path)
    return tmp_path


def test_a_link_to_nothing_is_named(own: Path) -> None:
    page = own / "docs" / "steps.md"
    lines = page.read_text("utf-8").count("\n")
    with page.open("a", encoding="utf-8") as file:
        file.write("\n[gone](nowhere.md) [gone](README.md#nowhere)\n")
    with pytest.raises(CourseError) as caught:
        website.build(own / "build")
    for what in ("page does not exist", "anchor does not exist"):
        assert f"{what} (docs/steps.md, line {lines + 2})" in str(caught.value)


def test_what_is_no_text_is_named(own: Path) -> None:
    (own / "docs" / "steps.md").write_bytes(b"\xff")
    with pytest.raises(CourseError, match=re.escape("docs/steps.md is not UTF-8")):
        website.build(own / "build")


def test_where_nothing_can_be_written_it_is_said(own: Path) -> None:
    (own / "build").write_text("a file")
    with pytest.raises(CourseError, match=r"build.* cannot be written"):
        website.build(own / "build")


def test_what_is_gone_is_not_left_in_the_site(own: Path) -> None:
    (own / "docs" / "examples" / "more.txt").write_text("more")
    website.build(own / "build")
    made = own / "build" / "site" / "examples" / "more.txt"
    assert made.read_text() == "more"
    (own / "docs" / "examples" / "more.txt").unlink()
    website.build(own / "build")
    assert not made.exists()


SERVE = """
import sys
from pathlib import Path
from course import website
website.ROOT = Path(sys.argv[1])
website.serve(int(sys.argv[2]), website.ROOT / "build")
"""


def test_a_saved_page_is_served(own: Path) -> None:
    variables = environment() | {"PYTHONPATH": str(ROOT), "PYTHONUTF8": "1"}

    def command(port: int) -> list[str]:
        return [sys.executable, "-c", SERVE, str(own), str(port)]

    with server(command, fetch, own / "log", variables=variables) as port:
        page = own / "docs" / "steps.md"
        page.write_text(page.read_text("utf-8") + "\nA sentence that is new.\n", "utf-8")
        until(lambda: "A sentence that is new." in fetch(port, "steps.html"))
    until(lambda: not listens(port))


def fetch(port: int, path: str = "index.html") -> str:
    try:
        with urlopen(f"http://127.0.0.1:{port}/{path}") as answer:
            return str(answer.read().decode())
    except (URLError, ConnectionError):
        return ""


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_the_command_refuses_what_cannot_be() -> None:
    ran = CliRunner().invoke(main, ["docs", "--port", "8001"])
    assert ran.exit_code == 2
    assert ran.output == "A port is for serving the site, which --serve asks for.\n"
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ran = CliRunner().invoke(main, ["docs", "--serve", "--port", str(port)])
    assert ran.exit_code == 2
    assert f"Port {port} is in use" in ran.output
    assert "python -m course docs --serve --port" in ran.output


def test_mermaid_is_the_one_that_its_page_describes() -> None:
    vendor = ROOT / "vendor"
    page = (vendor / "README.md").read_text("utf-8")
    (row,) = (line for line in page.splitlines() if line.startswith("| the file, `mermaid."))
    found = hashlib.sha256((vendor / "mermaid.tiny.js").read_bytes()).hexdigest()
    assert re.findall(r"[0-9a-f]{64}", row) == [found]
    assert "Permission is hereby granted" in (vendor / "mermaid.LICENSE").read_text("utf-8")
