"""Lesson 3: the todos in a database."""

import json
import re
import sqlite3
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import httpx

from checks.test_00_request import add
from checks.test_02_blueprint import new_todo
from course.answers import Command, Page, expect
from course.site import Site

BOUND = """
import App
from App import ext
given = App.create_app({"SQLALCHEMY_DATABASE_URI": "sqlite:///given.db"})
for words, app in (("database", App.create_app()), ("given database", given)):
    db = app.extensions.get("sqlalchemy")
    if db is None:
        raise SystemExit("create_app() binds no SQLAlchemy object to the app")
    if not any(value is db for value in vars(ext).values()):
        raise SystemExit("The SQLAlchemy object is not in App/ext.py")
    with app.app_context():
        print(words, db.engine.url.database)
if not callable(getattr(ext, "init_ext", None)):
    raise SystemExit("App/ext.py has no init_ext")
print("bound")
"""

QUERIES = """
import os, re, sys
from sqlalchemy import Engine, event
import App

app = App.create_app()
modules = {sys.modules[view.__module__].__file__ for view in app.view_functions.values()}
views = {os.path.realpath(module) for module in modules}
here = os.path.realpath(os.getcwd()) + os.sep
queries = 0

@event.listens_for(Engine, "before_cursor_execute")
def note(*args):
    global queries
    queries += 1
    frame = sys._getframe(1)
    while frame and frame.f_code.co_name != "_fire_loader_callables":  # an attribute is loaded anew
        file = os.path.realpath(frame.f_code.co_filename)  # "<string>" is no file
        own = file.startswith(here) and os.path.isfile(file)
        if own and file != os.path.realpath(__file__):
            if file in views:
                print(f"query in {file.removeprefix(here)}, line {frame.f_lineno}")
            return
        frame = frame.f_back

client = app.test_client()

def ask(path, **form):
    send = client.post if form else client.get
    return send(path, data=form or None, follow_redirects=True)

ask("/todos", title="Count the queries")
found = re.search(r"/todos/\\d+", ask("/todos?q=count").text)
if not found:
    raise SystemExit("The todo that was added is not in the list")
ask(found[0])
ask(found[0], title="Count them again", completed="on")
ask(found[0] + "/delete", button="")
print("the database is asked" if queries else "the database is not asked")
"""

STEPS = """
import json, os
from sqlalchemy import Engine, event
import App

steps = 0

def step():
    global steps
    steps += 1

@event.listens_for(Engine, "connect")
def count(connection, record):
    connection.set_progress_handler(step, 1)

client = App.create_app().test_client()
client.get("/todos", follow_redirects=True)
found = []
for path in json.loads(os.environ["PATHS"]):
    before = steps
    client.get(path, follow_redirects=True)
    found.append(steps - before)
print(json.dumps(found))
"""

COUNTED = """
import json, os, runpy, sys
from sqlalchemy import Engine, event

counts = {"statements": 0, "commits": 0}

def end():
    print(f"\\n{counts['statements']} statements, {counts['commits']} commits", flush=True)
    os._exit(0)

@event.listens_for(Engine, "before_cursor_execute")
def statement(connection, cursor, sql, *args):
    counts["statements"] += sql.lstrip().upper().startswith("INSERT")
    if counts["statements"] > 1000:
        end()

@event.listens_for(Engine, "commit")
def commit(connection):
    counts["commits"] += 1
    if counts["commits"] > 1:  # a commit for each row takes long
        end()

sys.argv = ["manage.py", *json.loads(os.environ["ARGS"])]
try:
    runpy.run_path("manage.py", run_name="__main__")
except SystemExit as error:
    if error.code:
        raise
end()
"""


def test_ext(site: Site) -> None:
    """App/ext.py holds the SQLAlchemy object, and init_ext binds it to every app."""
    site.probe("create_app()", BOUND).exits(0).prints_line("bound", "bound")


def test_database_url(site: Site) -> None:
    """DATABASE_URL says where the database is, and what create_app() is given wins."""
    url = "sqlite:////a/b.db"
    given = 'create_app({"SQLALCHEMY_DATABASE_URI": "sqlite:///given.db"})'
    without = said_by(site.probe("create_app()", BOUND))
    within = said_by(site.probe("create_app()", BOUND, env={"DATABASE_URL": url}))
    default = r".*[/\\]instance[/\\][^/\\]+"
    for did, got, pattern, like in (
        ("create_app()", without["database"], default, "…/instance/todos.db"),
        (f"create_app() with DATABASE_URL={url}", within["database"], r"/a/b\.db", "/a/b.db"),
        (given, within["given database"], r".*\bgiven\.db", "…/given.db"),
    ):
        expect(bool(re.fullmatch(pattern, got)), did, f"the database {like}", got)


def said_by(command: Command) -> dict[str, str]:
    """Return which databases BOUND has found, by its words for them."""
    found = re.findall(r"^((?:given )?database) (.*?)\s*$", command.exits(0).out, re.MULTILINE)
    return {"database": "none", "given database": "none", **dict(found)}


def test_create_db(site: Site) -> None:
    """The command makes the table where there is none, and else leaves it as it is."""
    site.new_database()
    site.manage("create_db").exits(0)
    insert(site, ["Stay"])
    site.manage("create_db").exits(0)
    expect(titles(site) == ["Stay"], "create_db, twice", "the row of before", titles(site))


def test_title_limits(site: Site) -> None:
    """The database itself refuses a title that is blank, too long or missing."""
    for title in ("a", "b" * 200, "é" * 200):
        refused = refuses(site, title)
        expect(not refused, into(title), "the row to be taken", f"a refusal: {refused}")
    for title in ("", "   ", "x" * 201, "x" + " " * 200, None):
        refused = refuses(site, title)
        expect(bool(refused), into(title), "the database to refuse the row", "the row in the table")


def test_restart(site: Site) -> None:
    """What was added, changed and deleted is so after a restart, and the newest is first."""
    kept = new_todo(site, "Keep me").path
    twin = new_todo(site, "Drop me").path
    page = new_todo(site, "Change me")
    changed, box = page.path, page.has("input[name=completed]", "a checkbox named completed")
    dropped = new_todo(site, "Drop me").path
    shown = listed(site.get("/todos"))
    newest = ["Drop me", "Change me", "Drop me", "Keep me"]
    expect(shown == newest, "GET /todos", f"the newest first: {newest}", shown)
    data = {"title": "Changed", "completed": box.get("value", "on")}
    site.post(changed, data=data).redirects_to("/todos")
    site.post(f"{dropped}/delete").redirects_to("/todos")
    site.start()
    page = site.get("/todos")
    page.did = "GET /todos after a restart"
    page.shows("Keep me").shows("Changed")
    left = ["Changed", "Drop me", "Keep me"]
    expect(listed(page) == left, page.did, f"{left}: one of two is deleted", listed(page))
    for path in (kept, twin):
        site.get(path).has_status(200)
    page = site.get(changed).has_status(200)
    page.has("input[name=completed][checked]", "a tick in the checkbox")
    site.get(dropped).has_status(404)


def test_views_have_no_query(site: Site) -> None:
    """No module with a view in it asks the database: the model does."""
    command = site.probe("The pages of the todos", QUERIES).exits(0)
    command.prints("the database is asked")
    found = re.search(r"query in (.+)", command.out)
    expect(found is None, command.did, "no query in a module of views", found and found[1])


def test_odd_requests(site: Site) -> None:
    """What the database cannot hold is refused before it comes there."""
    insert(site, ["One"])
    site.get("/todos").has_status(200).shows("One")
    for id_ in (2**31, 2**63, 10**30):
        site.get(f"/todos/{id_}").has_status(404)
        site.post(f"/todos/{id_}", data={"title": "Far"}).has_status(404)
    for title in ("\0", "\0Call", "Call\0Ann"):
        add(site, title).has_status(400)
    one = site.get("/todos").link("One")
    site.post(one, data={"title": "\0One"}).has_status(400)
    for id_, status in ((2**31 - 1, 200), (2**31, 404)):
        with site.database() as db:
            db.execute(f"UPDATE {table(db)} SET id = {id_}")
        page = site.get(f"/todos/{id_}")
        page.did += ", which is in the database"
        page.has_status(status)


def test_added(site: Site) -> None:
    """The page of a todo says in UTC when it was added, wherever the server stands."""
    site.start(env={"TZ": "AAA-9"})  # nine hours ahead of UTC
    page = new_todo(site, "When was this?")
    now = datetime.now(UTC)
    moment = time_on(page, now)
    near = timedelta(minutes=-2) < moment - now < timedelta(seconds=1)
    expect(near, page.did, f"the time in UTC, about {now:%H:%M}", moment.isoformat())


def test_added_stays(site: Site) -> None:
    """That time is the row's: it is not that of the request, and a change leaves it."""
    path = new_todo(site, "Long ago").path
    if not put_into_2024(site):
        return
    for did in (f"GET {path}", f"GET {path} after a change"):
        page = site.get(path)
        page.did = f"{did}, with a todo of 2024"
        year = time_on(page, datetime(2024, 1, 1)).year
        expect(year == 2024, page.did, "a <time> in 2024", year)
        site.post(path, data={"title": "Changed"}).redirects_to("/todos")


def test_added_for_each(site: Site) -> None:
    """Each row has its own time, not that at which the program was started."""
    new_todo(site, "First").has("time", "a <time> element")
    first = time_of(site, "First")
    deadline = time.monotonic() + 1.5
    while True:
        add(site, "Second").redirects_to("/todos")
        second = time_of(site, "Second")
        whole_seconds = not re.search(r"\.\d*[1-9]", str(second))
        if second != first or not whole_seconds or time.monotonic() > deadline:
            break
    expect(second != first, "Two todos, one added after the other", "two times", f"twice {first}")


def test_seed(site: Site) -> None:
    """Seed N adds N todos, which the pages show."""
    insert(site, ["Here before"])
    site.manage("seed", "30").exits(0)
    found = len(titles(site))
    expect(found == 31, "seed 30 where there is 1 row", "31 rows", found)
    shown = listed(site.get("/todos"))
    expect(len(shown) > 0, "GET /todos after seed 30", "todos", "none")
    command = site.manage("seed", "many")
    says_what_is_wrong(command)
    expect(len(titles(site)) == 31, command.did, "no todo more than the 31", len(titles(site)))


def test_seed_in_batches(site: Site) -> None:
    """Many rows go into one statement, and one commit ends them."""
    command, statements = commits_once(site, "seed", "10001")  # one more than the hint's batch
    few = statements <= 1000
    expect(few, command.did, "many rows in a statement", "more than 1000 statements")
    found = len(titles(site))
    expect(found == 10001, command.did, "10001 rows", found)


def test_pages(site: Site) -> None:
    """The list is shown 20 at a time, the newest first, with a way on but at the ends."""
    put(site, todos(45))
    page = site.get("/todos")
    for newest, oldest, older in ((45, 26, True), (25, 6, True), (5, 1, False)):
        shows_todos(page, newest, oldest)
        has_links(page, newer=newest < 45, older=older)
        page = follow(site, page, "Older") if older else page
    insert(site, todos(60)[45:])  # now the last page is a full one
    page = site.get("/todos")
    for _ in range(2):
        page = follow(site, page, "Older")
    shows_todos(page, 20, 1)
    has_links(page, newer=True, older=False)
    refused = add(site, "").has_status(400)
    shown = len(links_to_todos(refused))
    expect(shown <= 20, refused.did, "a page of 20 todos at most here too", f"{shown} todos")


def test_pages_back(site: Site) -> None:
    """Newer leads back over the same todos; Newest and Oldest lead to the ends."""
    put(site, todos(45))
    page = site.get("/todos")
    oldest = follow(site, page, "Oldest")
    has_links(oldest, newer=True, older=False)
    seen = listed(oldest)[::-1]
    expect(seen[:1] == ["Todo 1"], oldest.did, "Todo 1 at the end", listed(oldest))
    page = oldest
    while len(seen) < 45:
        page = follow(site, page, "Newer")
        more = listed(page)[::-1]
        expect(bool(more), page.did, f"the todos after the first {len(seen)}", "none")
        seen += more
        expect(seen == todos(len(seen)), page.did, f"the todos up to {len(seen)}", listed(page))
    has_links(page, newer=False, older=True)
    shows_todos(follow(site, oldest, "Newest"), 45, 26)


def test_pages_of_a_search(site: Site) -> None:
    """The links keep what is searched for."""
    for q, every_other, others in (("red", "Red", "Blue"), ("salt &", "Salt &", "Salt")):
        put(site, [f"{every_other if i % 2 else others} {i}" for i in range(60)])
        first = site.get("/todos", params={"q": q})
        first.did = f"GET /todos with q={q}"
        shows_every_other(first, q, 59, 21)
        last = follow(site, first, "Older")
        shows_every_other(last, q, 19, 1)
        for word in ("Newer", "Newest"):
            shows_every_other(follow(site, last, word), q, 59, 21)
        oldest = follow(site, first, "Oldest")
        shows_every_other(oldest, q, max(2 * len(listed(oldest)), 2) - 1, 1)


def test_cost_of_a_page(site: Site) -> None:
    """SQLite takes no more steps for a page where there are many rows before or behind it."""
    put(site, todos(60))
    few = steps(site, 1)
    insert(site, todos(840))
    many = steps(site, 10)
    for path, cost, before in zip(many, many.values(), few.values(), strict=True):
        expect(
            cost <= 2 * before + 100,
            f"GET {path} with 900 todos, counted in steps of SQLite",
            f"about the {before} steps that such a page takes with 60 todos",
            f"{cost} steps",
        )


def test_odd_pages(site: Site) -> None:
    """Whatever stands in the address of a page, there is one, and it links to none that is not."""
    put(site, todos(45))
    page = site.get("/todos")
    long = ("1" * 30, "1" * 5000, "-" + "9" * 20)
    for word in ("Older", "Oldest"):
        address = link(page, word)
        expect(address is not None, page.did, f"a link {word}", "none")
        for value in ("x", "", "-1", "0", str(2**31), str(2**63), *long, "%00"):
            odd = re.sub(r"=[^=&]+(?=&|$)", f"={value}", str(address))
            answer = site.get(odd)
            answer.did = f"GET {odd[:60]}"
            if answer.status >= 500:
                answer.has_status(200, 404)
            if (word, value) == ("Older", "x"):
                shows_todos(answer, 45, 26)
            if (word, value) == ("Older", "0") and answer.status == 200:
                shown = listed(answer)
                expect(not shown, answer.did, "no todo: no id is less", f"{len(shown)} todos")
            if answer.status == 200 and not listed(answer):
                has_links(answer, newer=False, older=False)
    newer = httpx.URL(str(link(follow(site, page, "Oldest"), "Newer")))
    both = httpx.URL(str(link(page, "Older"))).copy_merge_params(newer.params)
    shows_todos(site.get(both.raw_path.decode()), 40, 21)


def test_import(site: Site) -> None:
    """Import adds what a file of UTF-8 says, with a byte order mark or without."""
    insert(site, ["Here before"])
    rows = 'title,completed\r\n"Bread, butter and ""jam""",yes\r\n学习 Flask,no\r\n Tea ,\r\n'
    wanted = [("Here before", 0), ('Bread, butter and "jam"', 1), ("学习 Flask", 0), ("Tea", 0)]
    site.write("new.csv", b"\xef\xbb\xbf" + rows.encode())
    commits_once(site, "import", "new.csv")
    with site.database() as db:
        found = [tuple(row) for row in db.execute(f"SELECT title, completed FROM {table(db)}")]
    expect(found == wanted, "import of a CSV file with 3 todos", f"{wanted}", found)
    import_bytes(site, b"title,completed\nPlain,no\n").exits(0)
    site.get("/todos").has_status(200).shows("Plain").shows('Bread, butter and "jam"')
    import_bytes(site, b"title,completed\n").exits(0)
    expect(len(titles(site)) == 5, "import of no todos", "the 5 of before", len(titles(site)))


def test_import_refuses(site: Site) -> None:
    """A bad row is named by its line, and then nothing is imported."""
    insert(site, ["Here before"])
    for line, text in (
        (3, b"title,completed\nGood,no\n   ,no\nGood too,no\n"),
        (4, b"title,completed\nGood,no\nGood too,yes\nBad,maybe\n"),
        (2, b"title,completed\n" + b"x" * 201 + b",no\nGood,no\n"),
    ):
        says_what_is_wrong(import_bytes(site, text), 1, "new.csv", f"Line {line}")
        expect(titles(site) == ["Here before"], "import", "nothing to be imported", titles(site))


def test_import_refuses_files(site: Site) -> None:
    """So is what is not UTF-8, and what cannot be read is named: it is not there, or a folder."""
    insert(site, ["Here before"])
    latin = import_bytes(site, "title,completed\nTea,no\nCafé,no\n".encode("latin-1"))
    says_what_is_wrong(latin, 1, "new.csv", "Line 3")
    for path in ("nowhere.csv", "App"):
        says_what_is_wrong(site.manage("import", path), 1, path)
    expect(titles(site) == ["Here before"], "import", "nothing to be imported", titles(site))


def test_search_text(site: Site) -> None:
    """The signs that mean something to LIKE, or to SQL, are text like any other."""
    odd = ["100% wool", "snake_case", r"C:\temp", "Ann's", 'the "best"', "a/b"]
    insert(site, ["1000 wool", "snakeXcase", "C:temp", *odd])
    for q, title in zip(("%", "_", "\\", "'", '"', "/"), odd, strict=True):
        page = site.get("/todos", params={"q": q})
        page.did = f"GET /todos with q={q}"
        expect(listed(page) == [title], page.did, f"only {title!r}", listed(page))
    insert(site, ["50% off"])
    command = site.manage("find", "%").exits(0).prints_lines(2)
    found = re.findall(r"^\d+ (.+?)\s*$", command.out, re.MULTILINE)
    newest = ["50% off", "100% wool"]
    expect(found == newest, command.did, f"the newest first: {newest}", found)


def test_search_anything(site: Site) -> None:
    """What no title can contain finds nothing, and is no error."""
    insert(site, ["One"])
    site.get("/todos?q=one").has_status(200).shows("One")
    insert(site, ["y" * 200])
    page = site.get("/todos", params={"q": "y" * 200}).has_status(200)
    page.did = "GET /todos with the 200 letters of a title as q"
    expect(len(listed(page)) == 1, page.did, "that todo", listed(page) or "none")
    for q, words in (("o" * 60_000, "60000 letters"), ("%00", "a NUL"), ("%25" * 300, "300 %")):
        page = site.get(f"/todos?q={q}")
        page.did = f"GET /todos with {words} as q"
        if page.status not in (400, 414):
            page.has_status(200)
            expect(not listed(page), page.did, "no todo", listed(page))
    command = site.manage("find", "o" * 60_000)
    command.did = "python manage.py find with 60000 letters"
    command.exits(0).prints_lines(0)


def table(db: sqlite3.Connection) -> str:
    """Return the name of the table of todos: the one with the columns title and completed."""
    for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
        columns = {row["name"] for row in db.execute(f'PRAGMA table_info("{name}")')}
        if {"id", "title", "completed"} <= columns:
            return f'"{name}"'
    expect(False, "The database", "a table with the columns id, title and completed", "none")
    raise AssertionError


def put(site: Site, titles: list[str]) -> None:
    """Serve the app, and put todos into its database, past it."""
    site.serve()  # first: an app that starts as the copy was written is there at once
    insert(site, titles)


def insert(site: Site, rows: list[str] | list[None]) -> None:
    """Put todos with these titles into the database, past the app."""
    with site.database() as db:
        name = table(db)
        values = {"title": "", "completed": 0}
        for column in db.execute(f"PRAGMA table_info({name})"):
            if column["notnull"] and not column["pk"] and column["dflt_value"] is None:
                values.setdefault(column["name"], filler(column["name"], column["type"]))
        columns = ", ".join(f'"{column}"' for column in values)
        marks = ", ".join(f":{column}" for column in values)
        sql = f"INSERT INTO {name} ({columns}) VALUES ({marks})"
        db.executemany(sql, [values | {"title": title} for title in rows])


def filler(name: str, kind: str) -> object:
    """Return a value for a column that a row must have."""
    if re.search("DATE|TIME", kind, re.I) or re.search("creat|add|time|date|_at$|_on$", name, re.I):
        return "2026-01-02 03:04:05.678901"
    return 0 if re.search("INT|BOOL|NUM|REAL|FLOAT", kind, re.I) else ""


def refuses(site: Site, title: str | None) -> str:
    """Put a todo into the database; return what it says where it refuses that."""
    with site.database() as db:
        table(db)
    try:
        insert(site, [title])  # type: ignore[list-item]
    except AssertionError as error:
        return str(error).partition(", got ")[2]
    return ""


def into(title: str | None) -> str:
    """Return in words what is put into the database."""
    shown = repr(title)
    if title and len(title) > 20:
        spaces = ", with spaces at its end" if title.endswith(" ") else ""
        shown = f"{title.strip()[:3]}… ({len(title)}{spaces})"
    return f"INSERT of the title {shown} into the database"


def titles(site: Site) -> list[str]:
    """Return the titles in the database, the oldest first."""
    with site.database() as db:
        return [row["title"] for row in db.execute(f"SELECT title FROM {table(db)} ORDER BY id")]


def time_of(site: Site, title: str) -> object:
    """Return what the newest todo with this title has beside title, state and id."""
    with site.database() as db:
        sql = f"SELECT * FROM {table(db)} WHERE title = ? ORDER BY id DESC"
        row = dict(db.execute(sql, [title]).fetchone() or {})
    others = [value for name, value in row.items() if name not in ("id", "title", "completed")]
    return next((value for value in others if re.match(r"\d{4}-", str(value))), others)


def time_on(page: Page, likely: datetime) -> datetime:
    """Return the time that the page of a todo shows; expect that it says its zone."""
    tag = page.has("time", "a <time> element")
    text = str(tag.get("datetime") or tag.get_text()).strip()
    moment = None
    with suppress(ValueError):
        moment = datetime.fromisoformat(text)
    zoned = moment is not None and moment.tzinfo is not None
    expect(zoned, page.did, f'<time datetime="{likely:%Y-%m-%dT%H:%M:%SZ}">', repr(text))
    assert moment
    return moment


def put_into_2024(site: Site) -> bool:
    """Have the todos be of 2024 in the database; tell whether a column says the year, as text."""
    with site.database() as db:
        row = dict(db.execute(f"SELECT * FROM {table(db)}").fetchone() or {})
        dated = [name for name, value in row.items() if re.match(r"\d{4}-", str(value))]
        for name in dated:
            db.execute(f"""UPDATE {table(db)} SET "{name}" = '2024' || substr("{name}", 5)""")
    return bool(dated)


def todos(number: int) -> list[str]:
    """Return as many titles."""
    return [f"Todo {i}" for i in range(1, number + 1)]


def listed(page: Page) -> list[str]:
    """Return the titles that a page of the list shows, in its order."""
    return links_to_todos(page.has_status(200))


def links_to_todos(page: Page) -> list[str]:
    """Return the text of each link in a list that leads to a todo."""
    links = page.html.select("ul li a[href]")
    return [a.get_text().strip() for a in links if re.search(r"/todos/\d+/?$", str(a["href"]))]


def shows_todos(page: Page, newest: int, oldest: int) -> None:
    """Expect the todos of these numbers, and those between, the newest first."""
    wanted = todos(newest)[oldest - 1 :][::-1]
    shown = listed(page)
    got = f"{len(shown)} todos: {shown[0]} to {shown[-1]}" if shown else "none"
    likely = f"{len(wanted)} todos: Todo {newest} to Todo {oldest}"
    expect(shown == wanted, page.did, likely, got)


def shows_every_other(page: Page, q: str, newest: int, oldest: int) -> None:
    """Expect every other todo from one number to another, and what is searched for."""
    word = q.capitalize()
    wanted = [f"{word} {i}" for i in range(newest, oldest - 1, -2)]
    expect(listed(page) == wanted, page.did, f"{word} {newest} to {word} {oldest}", listed(page))
    page.has(f'[name=q][value="{q}"]', f"search form with {q!r} in it")


def link(page: Page, word: str) -> str | None:
    """Return the address of the link to another page of the list, or None."""
    for a in page.html.select("a[href]"):
        if word.lower() in a.get_text().lower():
            address = httpx.URL(f"http://localhost{page.path}").join(str(a["href"]))
            return address.raw_path.decode()
    return None


def follow(site: Site, page: Page, word: str) -> Page:
    """Go where the link says."""
    address = link(page, word)
    expect(address is not None, page.did, f"a link {word}", "none")
    return site.get(str(address)).has_status(200)


def has_links(page: Page, newer: bool, older: bool) -> None:
    """Expect the links to newer and to older todos, or that there are none."""
    for words, wanted in ((("Newest", "Newer"), newer), (("Older", "Oldest"), older)):
        for word in words:
            there = link(page, word) is not None
            says = "a link" if wanted else "no link"
            expect(there == wanted, page.did, f"{says} {word}", "one" if there else "none")


def steps(site: Site, pages: int) -> dict[str, int]:
    """Return what the first page costs, the one so many pages on, and the oldest, by address."""
    page = first = site.get("/todos")
    address = ""
    for _ in range(pages):
        page, address = follow(site, page, "Older"), str(link(page, "Older"))
    follow(site, first, "Oldest")
    paths = ["/todos", address, str(link(first, "Oldest"))]
    command = site.probe("The pages of the list", STEPS, env={"PATHS": json.dumps(paths)}).exits(0)
    return dict(zip(paths, json.loads(command.out.splitlines()[-1]), strict=True))


def commits_once(site: Site, *args: str) -> tuple[Command, int]:
    """Run a command of manage.py's that commits once; return how often it inserts, too."""
    did = f"python manage.py {' '.join(args)}"
    command = site.probe(did, COUNTED, env={"ARGS": json.dumps(args)}).exits(0)
    match = re.search(r"^(\d+) statements, (\d+) commits$", command.out, re.M)
    statements, commits = (int(match[1]), int(match[2])) if match else (0, 0)
    expect(commits <= 1, did, "one commit, when all are there", "a second one")
    return command, statements


def import_bytes(site: Site, data: bytes) -> Command:
    """Import a file with these bytes."""
    site.write("new.csv", data)
    return site.manage("import", "new.csv")


def says_what_is_wrong(command: Command, code: int | None = None, *words: str) -> None:
    """Expect words on what is wrong, without a traceback, and this exit code, or any but 0."""
    said = f"{command.out}\n{command.err}".strip()
    last = said.splitlines()[-1] if said else "no output"
    right = command.code != 0 if code is None else command.code == code
    wanted = "an exit code other than 0" if code is None else f"exit code {code}"
    expect(right, command.did, wanted, f"{command.code}: {last}")
    expect("Traceback" not in said, command.did, "a sentence that says what is wrong", last)
    for word in words:
        found = re.search(rf"\b{re.escape(word)}\b", said, re.I)
        expect(bool(found), command.did, f"'{word}' in what it says", last)
