"""Lesson 2: the app as a package."""

import re
from http import HTTPStatus
from pathlib import Path

from bs4 import Tag
from werkzeug.exceptions import NotFound

from checks.test_00_request import add, holds, items
from course.answers import Page, expect
from course.site import Site

PROBE = """
import App
if not hasattr(App, "create_app"):
    raise SystemExit("App/__init__.py has no create_app")
first, second = App.create_app(), App.create_app({"SITE_NAME": "Given"})
if first is None:
    raise SystemExit("create_app() returned None: is there a return?")
print("apps:", "two apps" if first is not second else "the same app twice")
print("name:", repr(first.config.get("SITE_NAME")))
print("given name:", repr(second.config.get("SITE_NAME")))
print("limit:", repr(first.config.get("MAX_CONTENT_LENGTH")))
"""

MANAGER = """
from inspect import isfunction
import manage
from flask_script import Manager

for manager in vars(manage).values():  # whatever its name
    if isinstance(manager, Manager):
        app = manager.app() if isfunction(manager.app) else manager.app
        print("made by", getattr(app, "import_name", None))
"""


def test_factory(site: Site) -> None:
    """create_app() makes a new app each time, with the settings of the environment."""
    command = site.probe("create_app()", PROBE, env={"SITE_NAME": "From outside"}).exits(0)
    said = dict(re.findall(r"^(.+): (.+?)\s*$", command.out, re.MULTILINE))
    outside = 'with SITE_NAME="From outside" in the environment'
    for name, did, wanted in (
        ("apps", "create_app(), called twice", "two apps"),
        ("name", f'create_app().config["SITE_NAME"], {outside}', "'From outside'"),
        ("given name", 'create_app({"SITE_NAME": "Given"}).config["SITE_NAME"]', "'Given'"),
        ("limit", 'create_app().config["MAX_CONTENT_LENGTH"]', "65536"),
    ):
        expect(said.get(name) == wanted, did, wanted, said.get(name))


def test_manage_uses_the_factory(site: Site) -> None:
    """manage.py runs the app that create_app() makes."""
    site.probe("The Manager in manage.py", MANAGER).exits(0).prints_line(
        "made by App", "made by App"
    )


def test_todos_blueprint(site: Site) -> None:
    """What begins with /todos belongs to one blueprint, which has the prefix."""
    site.start()
    owner = blueprint_of(site, "/todos", "/todos/?")
    expect(
        site.facts["blueprints"].get(owner) == "/todos",
        "The URL map",
        "a blueprint with the prefix /todos that has the rule /todos",
        f"the rule's blueprint {owner!r} and the prefixes {site.facts['blueprints']}",
    )
    for rule in rules(site, r"/todos(/.*)?"):
        expect(
            blueprint(rule) == owner,
            "The URL map",
            f"{rule['rule']} in the blueprint {owner!r}",
            f"the endpoint {rule['endpoint']!r}",
        )
    site.get("/todos").has_status(200).has_heading("Todos")
    add(site, "Move in").redirects_to("/todos")
    for method, wanted in (("GET", "status 200 OK"), ("POST", "a redirect to /todos")):
        page = site.request(method, "/todos", follow=False)
        got = f"status 308, which asks for {page.headers.get('Location')}"
        expect(page.status != 308, f"{method} /todos", wanted, got)


def test_main_blueprint(site: Site) -> None:
    """The other pages belong to another blueprint."""
    site.start()
    home = blueprint_of(site, "/", "/")
    hello = blueprint_of(site, "/hello/<name>", r"/hello/<.+>")
    todos = blueprint_of(site, "/todos", "/todos/?")
    for path, owner in (("/", home), ("/hello/<name>", hello)):
        expect(
            owner not in ("", todos),
            "The URL map",
            f"{path} in a blueprint, and in another than /todos",
            f"the blueprint {owner!r}" if owner else "an endpoint without a blueprint",
        )
    site.get("/").has_status(200)
    site.get("/hello/Ann").has_status(200).shows("Hello, Ann!")


def test_one_base(site: Site) -> None:
    """A line that is added to the base template shows on every page, without a restart."""
    navigation_of(site)
    base = base_template(site)
    for path in pages(site):
        site.get(path).has_status(200)
    there = base in site.files()
    expect(there, "App/templates", f"the template {Path(base).name} that others extend", "none")
    text = site.read(base)
    site.write(base, text.replace("</body>", "<p>On every page</p></body>"))
    for path in pages(site):
        site.get(path).has_status(200).shows("On every page")
    site.get("/hello/Ann").shows("Hello, Ann!")
    holds(site.get("/todos?q=Look at").has_status(200), "q", "Look at")


def test_links(site: Site) -> None:
    """Every link and form is made by url_for: the app can be served below another path."""
    site.start(mount="/below")
    one = new_todo(site, "Look below", "/below/todos").path
    followed = set()
    for path in ("/below/", "/below/todos", "/below/hello/Ann", one, "/below/no/such/page"):
        page = site.get(path).has_status(404 if "/no/" in path else 200)
        for link in page.links():
            expect(link.startswith("/below/"), page.did, "links that begin with /below", link)
        followed.add(path)
        for link in set(page.links(":is(a, link)")) - followed:
            site.get(link).has_status(200)
            followed.add(link)


def test_site_name(site: Site) -> None:
    """Every page shows config.SITE_NAME."""
    site.start(env={"SITE_NAME": "Ann & Bob"})
    for path in pages(site):
        page = site.get(path).has_status(200)
        expect("Ann &amp; Bob" in page.body, page.did, "'Ann & Bob' on the page", "another name")


def test_error_pages(site: Site) -> None:
    """An error has the page of the site and its own status, below /todos too."""
    links = navigation_of(site)
    for method, path, status in (
        ("GET", "/no/such/page", 404),
        ("GET", "/todos/no/such/page", 404),
        ("GET", "/todos/987654321", 404),
        ("DELETE", "/", 405),
    ):
        page = site.request(method, path).has_status(status)
        has_navigation(page, links)
        page.tells(str(status), HTTPStatus(status).phrase)
    site.get("/no/such/page").tells(str(NotFound.description))
    site.request("DELETE", "/").has_header("Allow", ".*GET.*", "the methods that are allowed")


def test_server_error(site: Site) -> None:
    """A view that fails has the site's page too, and tells no secrets."""
    site.start(broken="/broken")
    links = navigation_of(site)
    page = site.get("/broken").has_status(500).hides("RuntimeError").hides("Traceback")
    has_navigation(page, links)


def test_too_large(site: Site) -> None:
    """A request of more than MAX_CONTENT_LENGTH is refused."""
    add(site, "x" * 70_000).has_status(413)


def test_change(site: Site) -> None:
    """The form on a todo's page changes its title and whether it is done."""
    page = new_todo(site, "Water the plants")
    form = post_form(page, "title")
    box = page.has("form input[type=checkbox][name=completed]", "a checkbox named completed")
    expect(not box.has_attr("checked"), page.did, "the checkbox empty for a new todo", "a tick")
    title = 'Water the <x-title> "roses"'
    data = {"title": f" {title} ", "completed": box.get("value", "on")}
    site.post(str(form.get("action") or page.path), data=data).redirects_to("/todos")
    there = site.get("/todos").has_status(200).hides("plants").link(title)
    changed = site.get(there).has_status(200).lacks("x-title", "element made by the title")
    holds(changed, "title", title)
    box = changed.has("input[name=completed]", "a checkbox named completed")
    expect(box.has_attr("checked"), changed.did, "the checkbox ticked", "no tick")
    site.post(there, data={"title": "Water the roses"}).redirects_to("/todos")
    box = site.get(there).has("input[name=completed]", "a checkbox named completed")
    expect(not box.has_attr("checked"), f"POST {there} without completed", "no tick", "a tick")
    site.start(mount="/below")
    there = new_todo(site, "Look below", "/below/todos").path
    site.post(there, data={"title": "Changed below"}).redirects_to("/below/todos")


def test_change_refuses(site: Site) -> None:
    """A blank or over-long title changes nothing; an unknown todo is 404."""
    page = new_todo(site, "Water the plants")
    path = page.path
    for title in ("  ", "x" * 201):
        site.post(path, data={"title": title, "completed": "on"}).has_status(400)
    after = site.get(path).has_status(200).shows("Water the plants")
    box = after.has("input[name=completed]", "a checkbox named completed")
    expect(not box.has_attr("checked"), after.did, "a refused change to change nothing", "a tick")
    site.post("/todos/987654321", data={"title": "Nothing"}).has_status(404)


def test_delete(site: Site) -> None:
    """The other form deletes the todo, and only that one, and only by POST."""
    page = new_todo(site, "Drop me")
    keep = new_todo(site, "Keep me").path
    path = page.path
    before = items(site.get("/todos"))
    page.has(f'form[method=post i][action="{path}/delete"]', f"a form that posts to {path}/delete")
    site.get(f"{path}/delete").has_status(405)
    site.get(path).has_status(200)
    site.post(f"{path}/delete").redirects_to("/todos")
    site.get(path).has_status(404)
    site.get(keep).has_status(200)
    after = items(site.get("/todos"))
    expect(after == before - 1, "GET /todos", f"{before - 1} todos", after)
    site.post(f"{path}/delete").has_status(404)
    site.start(mount="/below")
    there = new_todo(site, "Drop below", "/below/todos").path
    site.post(f"{there}/delete").redirects_to("/below/todos")


def new_todo(site: Site, title: str, todos: str = "/todos") -> Page:
    """Add a todo and return its page. `todos` is the path of the list."""
    site.post(todos, data={"title": title}).redirects_to(todos)
    return site.get(site.get(todos).has_status(200).link(title)).has_status(200)


def post_form(page: Page, field: str) -> Tag:
    """Return the form that posts a field of this name."""
    return page.has(
        f"form[method=post i]:has([name={field}])", f"a form (post) with an input named {field}"
    )


def rules(site: Site, pattern: str) -> list[dict]:
    """Return the rules of the URL map that a regular expression matches whole."""
    return [rule for rule in site.facts["rules"] if re.fullmatch(pattern, rule["rule"])]


def blueprint(rule: dict) -> str:
    """Return the name of the blueprint that a rule belongs to, or nothing."""
    return rule["endpoint"].rpartition(".")[0]


def blueprint_of(site: Site, path: str, pattern: str) -> str:
    """Return the name of the blueprint that has the rule for `path`; raise where there is none.

    `pattern` matches the rule in every way that a student may write it.
    """
    found = rules(site, pattern)
    expect(bool(found), "The URL map", f"a rule {path}", "none")
    return blueprint(found[0])


def navigation(page: Page) -> list[str]:
    """Return where the links in the page's <nav> lead."""
    return page.links("nav a")


def navigation_of(site: Site) -> set[str]:
    """Return where the navigation leads, on the first page; expect that it is one."""
    page = site.get("/").has_status(200)
    links = set(navigation(page))
    got = f"links to {', '.join(sorted(links))}" if links else "none"
    found = {"", "/todos"} <= {link.rstrip("/") for link in links}
    expect(found, page.did, "a <nav> with links to / and to /todos", got)
    return links


def has_navigation(page: Page, links: set[str]) -> None:
    """Expect the links that the navigation of the other pages has."""
    missing = " and ".join(sorted(links - set(navigation(page))))
    expect(not missing, page.did, "the navigation of the other pages", f"no link to {missing}")


def pages(site: Site) -> tuple[str, ...]:
    """Return a path for each kind of page."""
    return "/", "/hello/Ann", "/todos", new_todo(site, "Look at me").path


def base_template(site: Site) -> str:
    """Return the path of the template that others extend, and that extends no other itself."""
    templates = "App/templates/"
    extends = {}
    for path in site.files():
        if path.startswith(templates) and path.endswith(".html"):
            match = re.search(r"{%-?\s*extends\s*['\"]([^'\"]+)['\"]", site.read(path))
            if match:
                extends[path] = templates + match[1]
    for base in extends.values():
        if base not in extends:
            return base
    expect(False, "App/templates", "templates that extend another", "none")
    raise AssertionError
