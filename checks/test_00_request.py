"""Lesson 0: a request finds its view, and the view answers."""

import re
import time

from course.answers import Page, expect
from course.site import Site
from course.verdicts import CheckFailed

DONE, OPEN = EXAMPLES = ("Buy milk", "Learn Flask")
_EXAMPLE = rf"""(["']){DONE}\1"""  # a text of its own, and not a part of a page that is written out


def test_list(site: Site) -> None:
    """GET /todos is a page headed Todos, with an item for each todo."""
    in_code = DONE in site.get("/todos").has_status(200).words
    examples(site)
    page = site.get("/todos").has_status(200).has_heading("Todos")
    for title in EXAMPLES:
        page.shows(title)
    page.has("ul li", "a list (<ul>) with items (<li>)")
    if not in_code:
        return
    rename_example(site, "Buy oat milk")
    site.start()
    page = site.get("/todos").has_status(200)
    page.did = "GET /todos, with another title in todos"
    page.shows("Buy oat milk")


def test_list_escapes(site: Site) -> None:
    """A title is text, even where it looks like HTML."""
    rename_example(site, "Buy <x-title>milk")
    examples(site, "Buy <x-title>milk")
    page = site.get("/todos").has_status(200).shows("Buy <x-title>milk")
    page.lacks("x-title", "element made by a title")


def test_hello(site: Site) -> None:
    """The name in the path is greeted."""
    no_tags(site.get("/hello/Ann").has_status(200).shows("Hello, Ann!"))
    site.get("/hello/小明").has_status(200).shows("Hello, 小明!")


def test_hello_escapes(site: Site) -> None:
    """A name is text, even where it looks like HTML."""
    page = site.get("/hello/<x-name>Ann").has_status(200)
    page.shows("Hello, <x-name>Ann!").lacks("x-name", "element made by the name")


def test_search(site: Site) -> None:
    """?q= leaves what contains it, in capitals or not."""
    examples(site)
    page = site.get("/todos?q=FLASK").has_status(200)
    page.shows("Learn Flask").hides("Buy milk")
    site.get("/todos?q=RN fL").has_status(200).shows("Learn Flask").hides("Buy milk")
    for q in ("zebra", "."):
        site.get(f"/todos?q={q}").has_status(200).hides("Learn Flask").hides("Buy milk")
    site.get("/todos").has_status(200).shows("Learn Flask").shows("Buy milk")
    rename_example(site, "R&D")
    site.start()
    examples(site, "R&D")
    page = site.get("/todos?q=R%26D").has_status(200)
    page.did += ", with the title R&D in todos"
    page.shows("R&D")


def test_search_form(site: Site) -> None:
    """The page has a form that searches. What was asked stands in it, as text."""
    page = site.get('/todos?q="><x-q>milk').has_status(200)
    form = page.has("form:has(input[name=q])", "a form with an input named q")
    expect(
        str(form.get("method", "get")).lower() == "get",
        page.did,
        "a search form with the method get",
        form.get("method"),
    )
    page.lacks("x-q", "element made by the query")
    holds(site.get("/todos?q=x autofocus").has_status(200), "q", "x autofocus")


def test_add(site: Site) -> None:
    """A posted title redirects to the list, which shows it, trimmed and as text."""
    add(site, "Wash up").redirects_to("/todos")
    add(site, "  <x-title>Read     ").redirects_to("/todos")
    page = site.get("/todos").has_status(200).shows("Wash up")
    page.shows("<x-title>Read").lacks("x-title", "element made by the title")
    spaces = "Read     " in page.body  # so many are nowhere in a template
    expect(not spaces, page.did, "the title without the spaces at its ends", "spaces after it")
    add(site, "R&D").redirects_to("/todos")
    site.get("/todos?q=R%26D").has_status(200).shows("R&D")


def test_add_form(site: Site) -> None:
    """The page of the list has the form."""
    page = site.get("/todos").has_status(200)
    form = page.has("form[method=post i]:has([name=title])", "a form (post) with an input 'title'")
    site.post(str(form.get("action") or "/todos"), data={"title": "Sweep"}).redirects_to("/todos")
    site.get("/todos").has_status(200).shows("Sweep")


def test_add_refuses(site: Site) -> None:
    """A title that is blank, missing or too long is refused, and nothing is added."""
    before = items(site.get("/todos"))
    for title in ("", "   ", "x" * 201):
        add(site, title).has_status(400)
    site.post("/todos").has_status(400)
    page = site.get("/todos").has_status(200)
    expect(items(page) == before, page.did, f"{before} todos, as before", items(page))
    add(site, f"  {'y' * 200}  ").redirects_to("/todos")


def test_one_todo(site: Site) -> None:
    """Each todo has a page, and the list links to it."""
    add(site, "Bake <x-title>bread")
    add(site, "Pay the rent")
    bread = site.get("/todos").has_status(200).link("Bake <x-title>bread")
    expect(
        re.fullmatch(r"/todos/\d+/?", bread) is not None,
        "GET /todos",
        "a link to /todos/<id>",
        bread,
    )
    page = site.get(bread).has_status(200).shows("Bake <x-title>bread").hides("Pay the rent")
    page.lacks("x-title", "element made by the title, neither in the heading nor in <title>")
    no_tags(page)
    rent = site.get("/todos").link("Pay the rent")
    found = site.get("/todos?q=rent").has_status(200).link("Pay the rent")
    expect(found == rent, "GET /todos?q=rent", f"the link of GET /todos, {rent}", found)


def test_no_such_todo(site: Site) -> None:
    """An id that is not there, or is none, is 404."""
    examples(site)
    one = site.get("/todos").has_status(200).link(EXAMPLES[0])
    site.get(one).has_status(200)
    for id_ in ("987654321", "0", "-1", "one"):
        site.get(f"/todos/{id_}").has_status(404)


def test_timing(site: Site) -> None:
    """Every response says how long it took, an error too."""
    seen = set()
    for path in ("/", "/no/such/page", "/", "/todos"):
        before = time.perf_counter()
        page = site.get(path)
        took = (time.perf_counter() - before) * 1000
        milliseconds = timing(page)
        wanted = f"a time above 0 and up to {took:.1f} ms"
        expect(0 < milliseconds <= took, page.did, wanted, f"{milliseconds} ms")
        seen.add(milliseconds)
    expect(len(seen) > 1, "GET / twice", "a new time each time", f"twice {milliseconds} ms")


def test_timing_is_its_own(site: Site) -> None:
    """Two requests at once do not share a clock: what is kept in g belongs to one request."""
    path = "/read"
    site.start(reading=path)
    for wait in (0.06, 0.6):  # seconds; a busy machine may start the clock late, so once more
        began = time.perf_counter()
        with site.slow_post(path, b"title=Slow") as slow:
            time.sleep(wait)  # the time to be measured, not a wait for something to happen
            timing(site.get("/"))
            page = slow.finish()
            took = (time.perf_counter() - began) * 1000
        said = timing(page)
        if wait * 500 < said <= took:  # a clock that is shared says a few ms
            return
    seconds = ", which looks like seconds" if wait / 2 < said <= took / 1000 else ""
    did = f"{page.did} (a view that the check adds), slowly, with another request meanwhile"
    raise CheckFailed(did, f"a time of about {took:.0f} ms", f"{said} ms{seconds}")


def rename_example(site: Site, title: str) -> None:
    """Give an example another title, where the examples are in the code."""
    for path in site.files():
        if path.endswith(".py") and re.search(_EXAMPLE, text := site.read(path)):
            site.write(path, re.sub(_EXAMPLE, rf"\g<1>{title}\g<1>", text))


def examples(site: Site, *titles: str) -> None:
    """See that the two examples are among the todos: a lesson with a database begins empty."""
    page = site.get("/todos").has_status(200)
    for title in titles or EXAMPLES:
        if title not in page.words and page.html.select_one("form[method=post i]"):
            add(site, title)
            if title == DONE:
                tick(site, title)


def tick(site: Site, title: str) -> None:
    """Complete a todo with the form on its page, which lessons have from the second on."""
    page = site.get(site.get("/todos").has_status(200).link(title)).has_status(200)
    if box := page.html.select_one("input[name=completed]"):
        data = {"title": title, "completed": box.get("value", "on")}
        site.post(page.path, data=data).redirects_to("/todos")


def add(site: Site, title: str) -> Page:
    """Post a todo as the form does."""
    return site.post("/todos", data={"title": title})


def no_tags(page: Page) -> None:
    """Expect no end of an element to be read on the page, as where tags are escaped too."""
    read = re.search(r"</[a-z]\w*>", page.words)
    expect(read is None, page.did, "no tag to be read on the page", f"the text {page.words!r}")


def holds(page: Page, name: str, text: str) -> None:
    """Expect a field of a form to hold this text, all of it and nothing else."""
    field = page.has(f"form [name={name}]", f"a form with a field named {name}")
    area = field.name == "textarea"
    got = field.get_text().strip() if area else str(field.get("value", ""))
    wanted = f'the field {name} to hold {text!r} (value="...", in quotes)'
    expect(got == text, page.did, wanted, repr(got) if got else "an empty field")


def items(page: Page) -> int:
    """Return how many todos a page of the list shows."""
    return len(page.has_status(200).html.select("ul li"))


def timing(page: Page) -> float:
    """Return the milliseconds that a response says it took."""
    match = page.has_header("Server-Timing", r"app;dur=(\d+(\.\d+)?(e-?\d+)?)", "app;dur=1.234")
    return float(match[1])
