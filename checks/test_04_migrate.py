"""Lesson 4: the schema changes in steps, and the rows stay."""

import re
import sqlite3
from contextlib import suppress

from checks.test_02_blueprint import new_todo, post_form
from course.answers import Command, expect
from course.site import Site
from course.verdicts import CheckFailed, TimedOut

COLUMNS = ("id", "title", "completed", "created_at")
AS_CREATE_DB_MADE_IT = """
CREATE TABLE todo (
    id INTEGER NOT NULL,
    title VARCHAR(200) NOT NULL,
    completed BOOLEAN NOT NULL,
    created_at DATETIME NOT NULL,
    PRIMARY KEY (id),
    CONSTRAINT ck_todo_title CHECK (title = trim(title) AND length(title) BETWEEN 1 AND 200)
)
"""
ROWS = [
    (1, "Buy milk", 1, "2024-02-29 23:59:59.999999"),
    (2, "读书 'and' \"more\"", 0, "2025-01-01 00:00:00.000000"),
    (7, "x" * 200, 0, "2025-06-30 12:00:00.123456"),
]
BOUND = """
import runpy, sys

sys.argv = ["manage.py", "db", "init", "-d", "another"]
try:
    runpy.run_path("manage.py", run_name="__main__")
except SystemExit as end:
    if end.code:
        raise
import App
print("Migrate without db" if App.create_app().extensions["migrate"].db is None else "bound")
"""
NAMES = """
from sqlalchemy import Column, ForeignKey, Integer, String, Table, UniqueConstraint
from App import create_app
table = Table(
    "loan", create_app().extensions["sqlalchemy"].metadata,
    Column("id", Integer, primary_key=True),
    Column("code", String(9), unique=True),
    Column("place", String(9), unique=True),
    Column("todo_id", ForeignKey("todo.id")),
    Column("day", Integer, index=True),
    UniqueConstraint("code", "place"),
)
for part in [*table.constraints, *table.indexes]:
    print(type(part).__name__.removesuffix("Constraint"), "named", part.name)
"""
SCHEMAS = """
from sqlalchemy import create_engine, inspect, text
from sqlalchemy.exc import DatabaseError
from App import create_app

TODO = {"title": "x", "completed": False, "created_at": "2026-01-01 00:00:00", "priority": "low"}
NO_TODOS = {"title": ("", "   ", "x" * 201), "priority": ("urgent", "NORMAL", "", None)}
INSERT = f"INSERT INTO todo ({', '.join(TODO)}) VALUES (:{', :'.join(TODO)})"

def parts(engine):
    found = inspect(engine)
    for table in db.metadata.tables:
        for column in found.get_columns(table):
            yield f"{table}.{column['name']} with the default {column['default']}"
        named = found.get_check_constraints(table) + found.get_unique_constraints(table)
        for constraint in named + found.get_foreign_keys(table):
            yield f"a constraint {constraint['name'] or 'without a name'} in the table {table}"
    for name, values in NO_TODOS.items():
        for value in values:
            with engine.connect() as connection:
                try:
                    connection.execute(text(INSERT), TODO | {name: value})
                except DatabaseError:
                    yield f"the refusal of the {name} {str(value)[:9]!r}"

app = create_app()
db = app.extensions["sqlalchemy"]
models = create_engine("sqlite://")
db.metadata.create_all(models)
with app.app_context():
    in_models, in_database = set(parts(models)), set(parts(db.engine))
for where, own in (("models", in_models - in_database), ("database", in_database - in_models)):
    for part in sorted(own):
        print(f"only the {where}: {part}")
print("compared")
"""
NEXT = """
import sqlalchemy as sa
from alembic import op

revision, down_revision = "further1", "{head}"


def upgrade():
    op.create_table("further", sa.Column("id", sa.Integer(), primary_key=True))


def downgrade():
    op.drop_table("further")
"""
BROKEN = """
import sqlalchemy as sa
from alembic import op

revision, down_revision = "further2", "further1"


def upgrade():
    op.add_column("todo", sa.Column("place", sa.String(9)))
    op.execute("UPDATE todo SET title = 'Changed'")
    with op.batch_alter_table("todo") as todo:
        todo.alter_column("title", type_=sa.String(300))
    op.execute("INSERT INTO nowhere VALUES (1)")


def downgrade():
    op.drop_column("todo", "place")
"""


def test_db_command(site: Site) -> None:
    """`manage.py db` has Flask-Migrate's commands."""
    command = db(site, "--help")
    for name in ("init", "migrate", "upgrade", "downgrade", "stamp", "check"):
        command.prints(name)


def test_db_command_is_bound(site: Site) -> None:
    """The commands find the app and its database, and take options."""
    did = "python manage.py db init -d another"
    said = site.probe(did, BOUND).exits(0).out
    expect("Migrate without db" not in said, did, "Migrate to know db", "one without")
    expect(
        "another/env.py" in site.files(),
        did,
        "a folder another with env.py in it",
        "none",
    )


def test_from_nothing(site: Site) -> None:
    """`db upgrade` makes all that the app needs."""
    upgrade(site)
    made = words(columns(site))
    expect("title" in made, "python manage.py db upgrade", "the table todo in the database", made)
    site.get("/todos").has_status(200)
    new_todo(site, "Move house")


def test_first_migration(site: Site) -> None:
    """The first migration makes what create_db made."""
    site.new_database()
    did = db(site, "upgrade", "+1").did
    made, names = columns(site), check_names(site)
    if made.keys() >= set(COLUMNS):
        refuses(site, f"INSERT INTO todo ({', '.join(COLUMNS)}) VALUES (1, '', 0, '2026-01-01')")
    write_lesson_3s(site)
    wanted, named = columns(site), check_names(site)
    expect(made == wanted, did, words(wanted), words(made))
    likely = f"the check constraint named {', '.join(named)}"
    expect(names == named, did, likely, ", ".join(names) or "one without a name")


def test_create_db_is_gone(site: Site) -> None:
    """No command but the migrations makes tables."""
    site.manage("create_db").exits(2)


def test_adopt(site: Site) -> None:
    """A database of create_db's is stamped, and upgraded from there, with its rows."""
    upgrade(site)
    wanted = columns(site)
    first = first_revision(site)
    write_lesson_3s(site)
    db(site, "stamp", first)
    did = f"{db(site, 'upgrade').did}, with the database of lesson 3"
    keeps(site, did, ROWS)
    expect(columns(site) == wanted, did, words(wanted), words(columns(site)))


def test_priority_in_the_form(site: Site) -> None:
    """A todo's page has the three priorities, and the list shows those that are not normal."""
    page = new_todo(site, "Pay the rent")
    field = page.has("form [name=priority]", "a form with a field named priority")
    expect(field.name == "select", page.did, "a <select> named priority", f"<{field.name}>")
    options = {str(o.get("value", o.get_text().strip())): o for o in field.select("option")}
    expect(
        sorted(options) == ["high", "low", "normal"],
        page.did,
        "the options low, normal and high",
        ", ".join(options) or "none",
    )
    chosen = [name for name, option in options.items() if option.has_attr("selected")]
    expect(chosen == ["normal"], page.did, "normal selected for a new todo", chosen or "none")
    page.has("label[for=priority], label:has([name=priority])", "a label for priority")
    site.get("/todos").hides("normal")
    there = str(post_form(page, "priority").get("action") or page.path)
    for priority in ("high", "low"):
        data = {"title": "Pay the rent", "priority": priority}
        site.post(there, data=data).redirects_to("/todos")
        site.get("/todos").has_status(200).shows(f"({priority})")
    selected = site.get(page.path).has("option[selected]", "an option selected")
    got = selected.get_text().strip()
    expect("low" in got.lower(), f"GET {page.path}", "low selected, as it was chosen", got)


def test_priority_refuses(site: Site) -> None:
    """A priority that is none of the three changes nothing; one that is not sent stays."""
    path = new_todo(site, "Pay the rent").path
    site.post(path, data={"title": "Pay", "priority": "high"}).redirects_to("/todos")
    for word in ("urgent", ""):
        site.post(path, data={"title": "Changed", "priority": word}).has_status(400)
    site.get("/todos").has_status(200).hides("Changed").shows("(high)")
    site.post(path, data={"title": "Pay"}).redirects_to("/todos")
    site.get("/todos").has_status(200).shows("(high)")


def test_priority_of_the_rows_before(site: Site) -> None:
    """The upgrade gives every row of before a priority, and the database takes no other."""
    upgrade(site)
    write_lesson_3s(site, revision=first_revision(site))
    did = f"{db(site, 'upgrade').did}, with todos there"
    keeps(site, did, ROWS)
    expect("priority" in columns(site), did, "a column priority in the table todo", "none")
    with site.database() as database:
        got = [row[0] for row in database.execute("SELECT priority FROM todo")]
        expect(got == ["normal"] * len(ROWS), did, "the priority normal in each row", got)
        columns_and_values = "(title, completed, created_at) VALUES ('New', 0, '2026-01-01')"
        database.execute(f"INSERT INTO todo {columns_and_values}")
        got = database.execute("SELECT priority FROM todo WHERE title = 'New'").fetchone()[0]
        expect(got == "normal", "INSERT INTO todo without a priority", "normal, by a default", got)
    for value in ("'urgent'", "NULL"):
        refuses(site, f"UPDATE todo SET priority = {value}")


def test_down_and_up(site: Site) -> None:
    """Down to lesson 3's schema and up again, every row keeps what both can hold."""
    upgrade(site)
    did = "python manage.py db upgrade"
    expect("priority" in columns(site), did, "a column priority to take back", "none")
    with site.database() as database:
        insert(database, ROWS)
        database.execute("UPDATE todo SET priority = 'high' WHERE id = 2")
    refuses(site, "UPDATE todo SET priority = 'urgent'")
    first = first_revision(site)
    did = db(site, "downgrade", first).did
    keeps(site, did, ROWS)
    expect(
        list(columns(site)) == list(COLUMNS),
        did,
        f"the columns {', '.join(COLUMNS)}",
        ", ".join(columns(site)),
    )
    refuses(site, "UPDATE todo SET title = ''")
    did = f"{db(site, 'upgrade').did} again"
    keeps(site, did, ROWS)
    refuses(site, "UPDATE todo SET title = ''")


def test_failed_upgrade(site: Site) -> None:
    """Where one of several migrations fails, the database stays as it was."""
    upgrade(site)
    with site.database() as database:
        insert(database, ROWS)
        heads = database.execute("SELECT version_num FROM alembic_version").fetchall()
        expect(len(heads) == 1, "db upgrade", "the revision in alembic_version", len(heads))
        before = list(database.iterdump())
    site.serve()  # which reads the files: closing the database's would end the lock
    with site.database() as database:
        database.execute("BEGIN IMMEDIATE")  # as one that writes, for whom no reader waits
        did = "GET /todos while another program writes"
        try:
            site.get("/todos").has_status(200)
        except TimedOut as error:
            raise CheckFailed(did, "an answer at once", "none: it waits", error.trace) from None
    site.stop()
    site.write("migrations/versions/further1.py", NEXT.format(head=heads[0][0]))
    site.write("migrations/versions/further2.py", BROKEN)
    command = site.manage("db", "upgrade").exits(1).says("nowhere")
    with site.database() as database:
        after = list(database.iterdump())
    changed = [line for line in after if line not in before]
    lost = [line for line in before if line not in after]
    expect(
        before == after,
        f"{command.did}, where the second of two new migrations fails",
        "the database as it was",
        f"{' '.join((changed or lost or ['another order'])[0].split())[:120]}"
        f" {'there' if changed else 'gone'}",
    )


def test_names(site: Site) -> None:
    """Every constraint has a name, also where the model gives it none."""
    command = site.probe("A new table with constraints", NAMES).exits(0)
    for kind, what, number in (
        ("Unique", "unique constraints", 3),
        ("ForeignKey", "foreign key", 1),
        ("PrimaryKey", "primary key", 1),
        ("Index", "index", 1),
    ):
        names = re.findall(rf"^{kind} named (.+)$", command.out, re.MULTILINE)
        expect(
            len(set(names) - {"None"}) == number,
            f"A new table with {number} {what}",
            "a name of its own for each",
            ", ".join(names),
        )


def test_no_drift(site: Site) -> None:
    """The migrations make what the models say."""
    upgrade(site)
    db(site, "check")


def test_same_as_the_models(site: Site) -> None:
    """So do defaults and check constraints, with their names, which `db check` does not compare."""
    upgrade(site)
    write_lesson_3s(site, revision=first_revision(site))
    db(site, "upgrade")
    did = "The models beside lesson 3's database, upgraded"
    command = site.probe(did, SCHEMAS).exits(0).prints_line("compared", "compared")
    found = re.search(r"^only the .+$", command.out, re.MULTILINE)
    wanted = "the same defaults, and the same constraints with the same names"
    expect(found is None, did, wanted, found and found[0])


def db(site: Site, *args: str) -> Command:
    """Run a command of Flask-Migrate's that must not fail."""
    return site.manage("db", *args).exits(0)


def upgrade(site: Site) -> None:
    """See that all migrations have run in the database; what prepares the copy has run them."""
    with suppress(CheckFailed), site.database() as database:
        tables = "SELECT name FROM sqlite_master WHERE name = 'alembic_version'"
        if database.execute(tables).fetchone():
            return
    site.new_database()
    db(site, "upgrade")


def first_revision(site: Site) -> str:
    """Return the id of the first migration."""
    command = db(site, "history")
    match = re.search(r"^<base> -> (\w+)", command.out, re.MULTILINE)
    expect(match is not None, command.did, "a first migration: a line '<base> -> …'", "none")
    assert match
    return match[1]


def write_lesson_3s(site: Site, revision: str | None = None) -> None:
    """Make the database what create_db has made of it, with rows; stamped, where there is one."""
    with site.database() as database:
        tables = "SELECT name FROM sqlite_master WHERE type = 'table'"
        for (name,) in database.execute(tables).fetchall():
            database.execute(f'DROP TABLE "{name}"')
        database.execute(AS_CREATE_DB_MADE_IT)
        insert(database, ROWS)
        if revision:
            database.execute("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL)")
            database.execute("INSERT INTO alembic_version VALUES (?)", [revision])


def insert(database: sqlite3.Connection, rows: list[tuple]) -> None:
    """Add todos, each with a value for all COLUMNS, which are lesson 3's."""
    there = [row["name"] for row in database.execute("PRAGMA table_info(todo)")]
    missing = ", ".join(name for name in COLUMNS if there and name not in there)
    expect(
        not missing, "The table todo", f"its columns of page 3.2, {missing} too", ", ".join(there)
    )
    database.executemany(f"INSERT INTO todo ({', '.join(COLUMNS)}) VALUES (?, ?, ?, ?)", rows)


def keeps(site: Site, did: str, rows: list[tuple]) -> None:
    """Expect these todos, and no others."""
    expect(bool(columns(site)), did, "the table todo with its rows", "no such table")
    with site.database() as database:
        got = database.execute(f"SELECT {', '.join(COLUMNS)} FROM todo ORDER BY id").fetchall()
    found = [tuple(row) for row in got]
    other = [row for row in found if row not in rows] or [row for row in rows if row not in found]
    expect(
        found == rows,
        did,
        f"the {len(rows)} todos that were there, unchanged",
        f"{len(found)}; not so: {other[:1]}",
    )


def columns(site: Site) -> dict[str, tuple]:
    """Return what the table todo has: its columns, each with type and whether it may be NULL."""
    with site.database() as database:
        rows = database.execute("PRAGMA table_info(todo)").fetchall()
    return {row["name"]: (row["type"], bool(row["notnull"]), bool(row["pk"])) for row in rows}


def check_names(site: Site) -> list[str]:
    """Return the names of the check constraints that the table todo has."""
    with site.database() as database:
        sql = "SELECT sql FROM sqlite_master WHERE type = 'table' AND name = 'todo'"
        row = database.execute(sql).fetchone()
    return sorted(
        re.findall(r'CONSTRAINT\s+["`\[]?(\w+)["`\]]?\s+CHECK', row[0] if row else "", re.I)
    )


def words(table: dict[str, tuple]) -> str:
    """Return the columns as a person reads them."""
    found = (
        f"{name} {kind}{' NOT NULL' if required else ''}"
        for name, (kind, required, _) in table.items()
    )
    return f"the table todo with {', '.join(found)}" if table else "no table todo"


def refuses(site: Site, statement: str) -> None:
    """Expect the database itself to refuse a statement."""
    with site.database() as database:
        try:
            database.execute(statement)
        except sqlite3.IntegrityError:
            return
    raise CheckFailed(statement, "the database to refuse it", "no error")
