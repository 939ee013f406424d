"""`python manage.py db …` is `flask --app … db …`: every command, every option, every outcome.

Flask-Migrate's own command group is the measure. What it does with a line of arguments, it must do
with the same line behind `manage.py db`, which Flask-Script reads first.
"""

import json
import re
import shutil
import sqlite3
from contextlib import closing

import click
import flask_migrate.cli
import pytest

from course.catalog import load
from course.processes import ForkServers, Job
from course.snapshot import take

COURSE = load()
LESSONS = [lesson for lesson in COURSE.lessons if lesson.number >= 4]
SOLUTION = COURSE.lesson(4).solution
WRITTEN_BY_INIT = ("README", "alembic.ini", "env.py", "script.py.mako")
GROUP = flask_migrate.cli.db

# Has the commands of Flask-Migrate only say what they are called with, and runs each line of
# arguments by both ways.
RECORD = """
import contextlib, io, json, sys
sys.argv[0] = "manage.py"
import manage
import flask_migrate.cli
from flask.cli import FlaskGroup

calls = []

def record(name):
    return lambda *args, **options: calls.append([name, list(args), options])

for name, value in list(vars(flask_migrate.cli).items()):
    if name.startswith("_") and getattr(value, "__module__", "") == "flask_migrate":
        setattr(flask_migrate.cli, name, record(name))

flask = FlaskGroup(create_app=lambda: manage.app)

def outcome(function, *args, **options):
    del calls[:]
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        try:
            code = function(*args, **options)
        except SystemExit as end:
            code = end.code
    return [code or 0, list(calls), said.getvalue()]

found = []
for line in json.load(sys.stdin):
    found.append([
        outcome(manage.manager.handle, "manage.py", ["db", *line]),
        outcome(flask.main, ["db", *line], prog_name="manage.py"),
    ])
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def forks():
    with ForkServers() as servers:
        yield servers.get(COURSE.imports(COURSE.lesson(4)))


@pytest.fixture
def run(forks, tmp_path):
    """Run `python` with arguments in a folder, to its end."""

    def run(folder, *argv, **options):
        finished = forks.start(Job(list(argv), folder, **options), tmp_path).wait()
        assert finished.reason == "ended", finished.err
        return finished

    return run


def copy_of(lesson, folder):
    shutil.copytree(lesson.solution, folder, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


def lines_of(name, command):
    """Return lines of arguments: this command with each of its options, written in every way."""
    yield [name]
    yield [name, "--help"]
    whole = [name]
    for parameter in command.params:
        value = [] if getattr(parameter, "is_flag", False) else ["x1"]
        if isinstance(parameter, click.Argument):
            yield [name, "x1"]
            yield [name, "x1", "x2"]
            yield [name, "-1"]
            yield [name, "+2"]
            yield [name, "--", "-1"]
            continue
        for option in parameter.opts:
            yield [name, option, *value]
            yield [name, *value, option]
            if value:
                yield [name, f"{option}=x 1" if option.startswith("--") else f"{option}x1"]
        whole += [parameter.opts[-1], *value]
    yield whole
    yield [name, "--nosuchoption"]


def every_line():
    for name, command in GROUP.commands.items():
        yield from lines_of(name, command)
    yield from (
        [], ["--help"], ["-h"], ["-?"], ["nosuchcommand"], ["-d"], ["--nosuchoption", "upgrade"],
        ["-d", "there", "upgrade"], ["--directory=there", "upgrade", "-d", "here", "head"],
        ["-x", "a=1", "-x", "b=2", "upgrade", "-x", "c=3"], ["upgrade", "--sql", "-h"],
        ["migrate", "-m", "two words, ünï"], ["migrate", "-m", "--sql"], ["migrate", "-m", ""],
        ["migrate", "-m", "-1"], ["merge", "-m", "x", "a", "b", "c"], ["up"], ["upgrade", "--tag"],
    )  # fmt: skip


def test_every_line_of_arguments_reaches_flask_migrate_as_it_is(run, tmp_path):
    lines = list(every_line())
    folder = copy_of(COURSE.lesson(4), tmp_path / "lesson")
    (folder / "record.py").write_text(RECORD)
    done = run(folder, "record.py", stdin=json.dumps(lines), seconds=60)
    assert done.code == 0, done.err
    outcomes = json.loads(done.out)
    assert len(outcomes) == len(lines) > 300
    for line, (manage, flask) in zip(lines, outcomes, strict=True):
        assert manage == flask, line
    called = {call[0] for _, (_, calls, _) in outcomes for call in calls}
    assert called == {f"_{name.replace('-', '_')}" for name in GROUP.commands}


def steps():
    """Yield lines of arguments that make a history of migrations and walk on it."""
    yield from (
        ["list-templates"],
        ["init"],
        ["init"],
        ["migrate", "-m", "one", "--rev-id", "one"],
        ["migrate"],
        ["upgrade", "--sql"],
        ["check"],
        ["upgrade"],
        ["check"],
        ["migrate", "--rev-id", "none"],
        ["revision", "-m", "a", "--rev-id", "a"],
        ["revision", "-m", "b", "--rev-id", "b", "--head", "one", "--splice"],
        ["branches", "-v"],
        ["heads"],
        ["upgrade"],
        ["merge", "--rev-id", "both", "-m", "both", "heads"],
        ["upgrade"],
        ["current", "-v"],
        ["history"],
        ["history", "-v", "-r", "one:both"],
        ["show", "a"],
        ["show", "nosuchrevision"],
        ["downgrade", "--sql", "both:one"],
        ["downgrade", "one"],
        ["stamp", "heads"],
        ["current"],
        ["stamp", "--purge", "one"],
        ["upgrade", "+1"],
        ["downgrade", "base"],
        ["current"],
        ["edit", "a"],
        ["-d", "other", "init", "-t", "aioflask"],
        ["upgrade", "-d", "nowhere"],
    )


FAILING = [  # there is a folder; not up to date, twice; two heads; no such revision; ambiguous
    ["init"],
    ["migrate"],
    ["check"],
    ["upgrade"],
    ["show", "nosuchrevision"],
    ["upgrade", "+1"],
    ["upgrade", "-d", "nowhere"],
]


def test_every_outcome_is_the_same(run, tmp_path):
    """The exit codes, what is written, the files and the database."""
    ways = {"manage": ["manage.py"], "flask": ["-m", "flask", "--app", "manage"]}
    folders = {name: copy_of(COURSE.lesson(4), tmp_path / name / "lesson") for name in ways}
    codes = []
    for folder in folders.values():
        shutil.rmtree(folder / "migrations")
    for line in steps():
        manage, flask = (
            outcome(run(folders[name], *way, "db", *line, env={"EDITOR": "true"}), tmp_path / name)
            for name, way in ways.items()
        )
        assert manage == flask, line
        codes.append(manage[0])
    assert files(folders["manage"]) == files(folders["flask"])
    assert dump(folders["manage"]) == dump(folders["flask"])
    failed = [line for line, code in zip(steps(), codes, strict=True) if code]
    assert failed == FAILING
    assert set(codes) == {0, 1}


def outcome(done, home):
    """Return exit code and output; of a traceback the last line, for the way there differs."""
    err = re.sub(r"^Traceback.*\n(?:[ \n].*\n|\n)+", "", done.err, flags=re.M)
    return [done.code, *(text_of(text, home) for text in (done.out, err))]


def text_of(text, home):
    text = text.replace(str(home), "HOME").replace("manage.py db", "flask db")
    text = text.replace("python -m flask db", "flask db")
    return re.sub(r"\d{4}-\d\d-\d\d [\d:.]+", "TIME", text)


def files(folder):
    return {
        path.relative_to(folder).as_posix(): text_of(path.read_text("utf-8"), folder.parent)
        for path in (folder / "migrations").rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    }


def dump(folder):
    with closing(sqlite3.connect(folder / "instance" / "todos.db")) as database:
        return list(database.iterdump())


def test_help_is_readable(run, tmp_path):
    folder = copy_of(COURSE.lesson(4), tmp_path / "lesson")
    done = run(folder, "manage.py", "db", "--help")
    assert done.code == 0
    assert done.err == ""
    assert done.out.startswith("Usage: manage.py db [OPTIONS] COMMAND [ARGS]...\n")
    for name in GROUP.commands:
        assert re.search(rf"^  {name} +\S", done.out, re.M), name
    listed = run(folder, "manage.py")
    assert re.search(r"^    db +Change the schema", listed.out, re.M)


def test_a_flask_migrate_that_has_its_own_command_keeps_it(run, tmp_path):
    folder = copy_of(COURSE.lesson(4), tmp_path / "lesson")
    code = "import flask_migrate as m; m.MigrateCommand = 'its own'; import legacy"
    (folder / "own.py").write_text(f"{code}; print(m.MigrateCommand)")
    assert run(folder, "own.py").out == "its own\n"


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda lesson: lesson.folder)
def test_the_folder_migrations_is_what_init_writes(lesson, run, tmp_path):
    folder = copy_of(lesson, tmp_path / "lesson")
    shutil.rmtree(folder / "migrations")
    done = run(folder, "manage.py", "db", "init", env={"APP_ENV": "development"})
    assert done.code == 0, done.err
    for name in WRITTEN_BY_INIT:
        written = (folder / "migrations" / name).read_bytes()
        assert (lesson.solution / "migrations" / name).read_bytes() == written, name
    kept = take(lesson.solution / "migrations").files
    assert {name for name in kept if not name.startswith("versions/")} == set(WRITTEN_BY_INIT)


IN_A_PROGRAM = """
import os
os.environ["APP_ENV"] = "development"
from flask_migrate import upgrade
from sqlalchemy import text
from App import create_app
from App.ext import db

app = create_app({"SQLALCHEMY_DATABASE_URI": "sqlite:///another.db"})
with app.app_context():
    upgrade()
    print("keys", db.session.scalar(text("PRAGMA foreign_keys")))
    with db.engine.connect() as writes:
        row = "INSERT INTO todo (title, completed, created_at) VALUES ('Tea', 0, 0)"
        writes.exec_driver_sql(row)
        print("reads", db.session.scalar(text("SELECT count(*) FROM todo")))
        writes.rollback()
"""


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda lesson: lesson.folder)
def test_a_program_that_upgrades_goes_on_as_usual(lesson, run, tmp_path):
    """As a fixture of pytest's does: foreign keys hold, and who reads waits for no one."""
    folder = copy_of(lesson, tmp_path / "lesson")
    (folder / "upgrades.py").write_text(IN_A_PROGRAM)
    done = run(folder, "upgrades.py")
    assert done.out == "keys 1\nreads 0\n", done.err
