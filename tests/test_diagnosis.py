"""What a student is told of a known mistake, and that nobody is told of one that is not there.

That each mistake is found where it is made stands in test_proofs.py, with tests/broken/.
"""

from __future__ import annotations

import socket
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from test_docs import page_is_short, read
from test_proofs import SHOWN, known_by

from course import markers
from course.catalog import Course, Lesson, Mistake, load
from course.checker import Checker
from course.console import command
from course.diagnosis import FINDERS, Diagnosis
from course.errors import CourseError
from course.serving import needs_free
from course.site import Site
from course.snapshot import Snapshot, take
from course.verdicts import FAILED, NOT_ATTEMPTED, CheckFailed, Verdict

LESSONS = load().lessons
SAID = [mistake.says for mistake in load().mistakes if mistake.says]


def copy_of(files: dict[str, str]) -> Snapshot:
    return Snapshot({path: text.encode() for path, text in files.items()})


# Nobody is told of a mistake before there is one.


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda lesson: lesson.folder)
def test_a_starter_is_asked_what_its_task_asks(lesson: Lesson, checker: Checker) -> None:
    for verdict in checker.check(lesson, lesson.starter):
        assert verdict.state == NOT_ATTEMPTED
        assert asked(lesson, verdict)


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda lesson: lesson.folder)
def test_so_is_a_starter_whose_todos_are_deleted(
    lesson: Lesson, checker: Checker, tmp_path: Path
) -> None:
    copy = take(lesson.starter)
    marked = {path: text for path in copy.files if markers.tasks(text := copy.text(path) or "")}
    bare = {path: markers.without(text).encode() for path, text in marked.items()}
    Snapshot(copy.files | bare).write(tmp_path)
    for verdict in checker.check(lesson, tmp_path):
        given = "The blueprint users (App/views/users.py, line 5) is not registered"
        assert verdict.state == FAILED
        assert asked(lesson, verdict) or (lesson.number == 5 and given in verdict.message)


def test_a_view_above_the_todo_is_looked_at(
    course: Course, checker: Checker, tmp_path: Path
) -> None:
    lesson = course.lesson(0)
    copy = take(lesson.starter)
    text = copy.text("app.py") or ""
    view = '@app.get("/todos")\ndef list_todos():\n    page("Todos", "")\n\n\n# TODO 0.1'
    assert text.count("# TODO 0.1") == 1
    changed = text.replace("# TODO 0.1", view).encode()
    Snapshot(copy.files | {"app.py": changed}).write(tmp_path)
    first = checker.check(lesson, tmp_path)[0]
    assert "list_todos() (app.py, line" in first.message


def test_a_view_below_the_server_is_named_while_its_todo_stands(
    course: Course, checker: Checker
) -> None:
    starter = take(course.lesson(0).starter)
    view = '\n\n@app.get("/hello/<name>")\ndef hello(name):\n    return "Hello"\n'
    copy = Snapshot(starter.files | {"app.py": starter.files["app.py"] + view.encode()})
    found = {verdict.id: verdict for verdict in checker.check_copy(course.lesson(0), copy)}
    assert (found["0.1"].state, found["0.2"].state) == (NOT_ATTEMPTED, FAILED)
    assert "hello() (app.py, line" in found["0.2"].message


def asked(lesson: Lesson, verdict: Verdict) -> bool:
    """Tell whether a verdict ends in a question of its task's, and no mend."""
    task = next(task for task in lesson.tasks if task.id == verdict.id)
    return any(f"{question} Hint: make" in verdict.message for question in task.checks.values())


# What only looks like a mistake is none.


@dataclass(frozen=True)
class Pair:
    """A mistake, and what looks like it and is none: each with files, and facts of the app's."""

    id: str
    says: str
    mistake: tuple[dict[str, str], dict[str, Any]]
    none: tuple[dict[str, str], dict[str, Any]]
    said: str
    trace: str = ""


def files(**named: str) -> tuple[dict[str, str], dict[str, Any]]:
    """Return files by what they are for in the lessons, and no facts."""
    return {FILES[name]: text for name, text in named.items()}, {}


def app(*rules: str, mount: str = "", **more: str) -> tuple[dict[str, str], dict[str, Any]]:
    """Return files, and what an app with these routes says, such as `GET todos.index /todos`."""
    found = [rule.split() for rule in rules]
    told = [
        {"rule": rule, "endpoint": endpoint, "methods": [*method.split(","), "HEAD", "OPTIONS"]}
        for method, endpoint, rule in found
    ]
    names = {endpoint.partition(".")[0]: None for _, endpoint, _ in found if "." in endpoint}
    return files(**more)[0], {"rules": told, "blueprints": names, "mount": mount}


FILES = {
    "app": "app.py",
    "factory": "App/__init__.py",
    "settings": "App/settings.py",
    "ext": "App/ext.py",
    "models": "App/models/__init__.py",
    "todo": "App/models/todo.py",
    "views": "App/views/todos.py",
    "main": "App/views/main.py",
    "page": "App/templates/todos.html",
    "base": "App/templates/base.html",
    "flask": "flask.py",
    "migration": "migrations/versions/1_todo.py",
}
TODO = "class Todo(db.Model):\n    def add(self):\n        db.session.add(self)\n"
BLUE = "from flask import Blueprint\nblue = Blueprint('todos', __name__)\n"
MAIN = BLUE.replace("todos", "main")
DB = "from flask_sqlalchemy import SQLAlchemy\ndb = SQLAlchemy()\n"
MIGRATE = (
    "from flask_migrate import Migrate\nmigrate = Migrate()\n"
    "def init_ext(app):\n    migrate.init_app(app{})\n"
)
DOWN = "from alembic import op\ndef downgrade():\n    {}.drop_constraint('ck_todo', 'todo')\n"
BASE = "<nav></nav>{% block content %}{% endblock %}"
PAGE = (
    '{{% extends "base.html" %}}{{% block {} %}}{{% block items %}}{{% endblock %}}{{% endblock %}}'
)
INIT = "def init_ext(app):\n    db.init_app(app)\n"
SERVED = (
    "from flask import Flask\napp = Flask(__name__)\n{}\n\n@app.get('/todos')\ndef show(): ...\n{}"
)
SHOW = BLUE + "@blue.get('/<int:id>')\ndef show(number): ..."
GET = "    def get(self, todo_id): ..."
RUN = "class Find({}):\n    def run(self): ...\n"
SEED = "class Todo(db.Model):\n    def seed(self):\n        {} 1\n"
GUARDED = "{}\n{}\ndef account(): ...\n"
VIEW = "@app.route('/todos')\ndef add():\n    {}\n"
CALLED = "from App import ext\next.init_ext(app)\n"
GOT_404 = "GET /todos: expected status 200 OK, got status 404 Not Found."
GOT_500 = GOT_404.replace("404 Not Found", "500 Internal Server Error")
GOT_405 = "POST /todos: expected a redirect, got status 405 Method Not Allowed."
GOT_400 = "POST /todos with title='Tea': expected a redirect, got status 400 Bad Request."
GOT_415 = (
    "POST /todos with title='Tea': expected a redirect, got status 415 Unsupported Media Type."
)
JSON_400 = 'POST /todos with JSON {"a": 1}: expected status 200 OK, got status 400 Bad Request.'
LOST = "GET /todos after a restart: expected 'Tea' on the page, got an empty page."
NO_TABLE = "The database: expected a table, got none."
NO_START = "python app.py: expected the app to serve, got an error."
PAIRS = [
    Pair("a route", "no route /todos", app("GET home /todo"), app("GET home /"), GOT_404),
    Pair(
        "a route with another word",
        "no route /login",
        app("GET users.log_in /logni"),
        app("GET users.log_out /logout"),
        GOT_404.replace("todos", "login"),
    ),
    Pair(
        "a route below a path",
        "no route /todos",
        app("GET home /todo", mount="/below"),
        app("GET home /todos", "GET one /todo", mount="/below"),
        GOT_404.replace("/todos", "/below/todos"),
    ),
    Pair(
        "a route for another method",
        "a view for GET, and none for POST",
        app("GET home /todos"),
        app("GET,POST home /todos"),
        GOT_405,
    ),
    Pair(
        "a route without methods",
        "takes GET alone",
        app("GET add /todos", app=VIEW.format("...")),
        app("GET,POST add /todos", app=VIEW.format("...")),
        GOT_405,
    ),
    Pair(
        "a blueprint",
        "register_blueprint(todos.blue)",
        app("GET main.home /", views=BLUE + "blue.get('/todos')(index)", main=MAIN),
        app("GET main.home /", views=BLUE + "blue.get('/other')(index)", main=MAIN),
        GOT_404,
    ),
    Pair(
        "a blueprint under another name",
        "register_blueprint(todos.blue)",
        app("GET home /", views=BLUE + "blue.get('/todos')(index)"),
        app("GET list.index /", views=BLUE + "blue.get('/todos')(index)"),
        GOT_404,
    ),
    Pair(
        "an endpoint",
        'url_for("todos.index")',
        app("GET todos.index /todos"),
        app("GET todos.show /todos"),
        NO_START,
        "  BuildError: Could not build url for endpoint 'index' there.",
    ),
    Pair(
        "a template",
        "the file is App/templates/todos.html",
        files(page=""),
        files(app=""),
        NO_START,
        "  jinja2.exceptions.TemplateNotFound: pages/todos.html",
    ),
    Pair(
        "a view's name",
        "The app has add_todo, home, and not list.",
        app("GET home /", "POST add_todo /todos", "GET static /static/<path:filename>"),
        app("GET home /", "GET list /todos/<int:todo_id>"),
        NO_START,
        "  BuildError: Could not build url for endpoint 'list'.",
    ),
    Pair(
        "a view's name where there are blueprints",
        "and not list.",
        app("GET home /"),
        app("GET main.home /"),
        NO_START,
        "  BuildError: Could not build url for endpoint 'list'.",
    ),
    Pair(
        "a block",
        "line 1 fills the block body, which App/templates/base.html does not have",
        files(page=PAGE.format("body"), base=BASE),
        files(page=PAGE.format("content"), base=BASE),
        "GET /todos: expected the heading 'Todos', got none.",
    ),
    Pair(
        "a block of a base that cannot be read",
        "fills the block body",
        files(page=PAGE.format("body"), base=BASE),
        files(page=PAGE.format("body"), base="{% block %}"),
        "GET /todos: expected 'Hello, Ann!' on the page, got the text 'Home'.",
    ),
    Pair(
        "a template that extends itself",
        "fills the block body",
        files(page=PAGE.format("body"), base=BASE),
        files(page=PAGE.format("body"), base=PAGE.format("content")),
        "GET /todos: expected a form on the page, got none.",
    ),
    Pair(
        "a quote in an f-string",
        "In app.py, line 1, a \" of HTML's",
        files(app='x = f"<a href="/todos/{id}">"'),
        files(app='x = f"<a href=" f"{id}"'),
        NO_START,
        "  app.py, line 1: x\n  SyntaxError: invalid syntax",
    ),
    Pair(
        "a view without return",
        "add() (app.py, line",
        app("POST add /todos", app=VIEW.format("if title:\n        return 1\n    show()")),
        app("POST add /todos", app=VIEW.format("if title:\n        return 1\n    return show()")),
        GOT_500.replace("GET", "POST"),
        "  TypeError: The view function for 'add' did not return a valid response.",
    ),
    Pair(
        "a tag that is escaped",
        "In app.py, line 1, + joins a tag",
        files(app="items += '<li>' + escape(title) + '</li>'"),
        files(app="items += '<li>' + str(escape(title)) + '</li>'"),
        "GET /todos: expected a list (<ul>) on the page, got none, but the text <li>.",
    ),
    Pair(
        "a tag in a title",
        "In app.py, line 1, + joins a tag",
        files(app="items += escape(title) + '</li>'"),
        files(app="items += title + '</li>'"),
        "GET /todos: expected a link with the text 'Tea', got the text 'Todos <li>Tea'.",
    ),
    Pair(
        "a field of a form",
        'request.form["name"]',
        app("POST add /todos", app=VIEW.format("request.form['name']")),
        app("POST add /todos", app=VIEW.format("request.form['title']")),
        GOT_400,
    ),
    Pair(
        "JSON for a form",
        "reads JSON",
        app("POST add /todos", app=VIEW.format("request.json")),
        app("POST add /todos", app=VIEW.format("request.form")),
        GOT_415,
    ),
    Pair(
        "a form for JSON",
        "reads request.form",
        app("POST add /todos", app=VIEW.format("request.form")),
        app("POST add /todos", app=VIEW.format("request.form or request.json")),
        JSON_400,
    ),
    Pair(
        "an argument of reqparse",
        "without location=",
        files(views="parser.add_argument('page')"),
        files(views="parser.add_argument('page', location='args')"),
        GOT_415,
    ),
    Pair(
        "a name of a package",
        "from App.models.todo import add",
        files(models="", todo="def add(): ..."),
        files(models="", views="def add(): ..."),
        NO_START,
        "  ImportError: cannot import name 'add' from 'App.models' (App/models/__init__.py)",
    ),
    Pair(
        "a method in the place of a function",
        "import Todo in its place, and call todo.add(...)",
        files(todo=TODO),
        files(todo="class Todo(db.Model): ...", ext=TODO),
        NO_START,
        "  ImportError: cannot import name 'add' from 'App.models.todo' (App/models/todo.py)",
    ),
    Pair(
        "a method that is called of the package",
        "call Todo.add(...)",
        files(todo=TODO.replace("    def", "    @classmethod\n    def")),
        files(models=TODO.replace("add", "save")),
        NO_START,
        "  AttributeError: module 'App.models' has no attribute 'add'",
    ),
    Pair(
        "a module in a package",
        "its name is App.models.todo.",
        files(todo=""),
        ({"App/models/todo.py": "", "App/views/todo.py": ""}, {}),
        NO_START,
        "  ModuleNotFoundError: No module named 'todo'",
    ),
    Pair(
        "a circle of imports",
        "App/ext.py → App/models/todo.py → App/ext.py",
        files(ext="from App.models.todo import Todo", todo="from App.ext import db"),
        files(ext="def f():\n    from App.models.todo import Todo", todo="from App.ext import db"),
        NO_START,
        "  ImportError: cannot import name 'db' from partially initialized module 'App.ext'",
    ),
    Pair(
        "a circle of a file with itself",
        "flask.py → app.py → flask.py",
        files(flask="import app", app="import flask"),
        files(flask="import flask"),
        NO_START,
        "  ImportError: cannot import name 'Flask' from partially initialized module 'flask'",
    ),
    Pair(
        "an extension",
        "with db.init_app(app)",
        files(ext=DB),
        files(ext=DB + "for each in [db]:\n    each.init_app(app)"),
        NO_TABLE,
    ),
    Pair(
        "what binds an extension",
        "Nothing calls init_ext()",
        files(ext=DB + INIT),
        files(ext=DB + INIT, factory=CALLED),
        NO_TABLE,
    ),
    Pair(
        "the database of Migrate",
        "migrate does not know db (App/ext.py, line 4): write migrate.init_app(app, db)",
        files(ext=MIGRATE.format("")),
        files(ext=MIGRATE.format(", db=db")),
        NO_START,
        "  AttributeError: 'NoneType' object has no attribute 'engine'",
    ),
    Pair(
        "a constraint of a migration",
        "write batch_op.drop_constraint(NAME, ...), without the table",
        files(migration=DOWN.format("op")),
        files(migration=DOWN.format("batch_op")),
        "python manage.py db downgrade: expected exit code 0, got No support for ALTER of"
        " constraints in SQLite dialect.",
    ),
    Pair(
        "two extensions",
        "a second SQLAlchemy",
        files(ext=DB + INIT, factory=CALLED, todo=DB),
        files(ext=DB + INIT, factory=CALLED, todo="from App.ext import db"),
        NO_TABLE,
    ),
    Pair(
        "a model",
        "from App.models.todo import Todo",
        files(factory="from . import models", models="", todo="class Todo(db.Model): ..."),
        files(factory="from . import models", models="from .todo import Todo", todo=TODO),
        NO_TABLE,
    ),
    Pair(
        "a model that a function imports",
        "from App.models.todo import Todo",
        files(factory="def create_app(): ...", todo="class Todo(db.Model): ..."),
        files(factory="def create_app():\n    import App.models.todo", todo=TODO),
        NO_TABLE,
    ),
    Pair(
        "a variable of a rule",
        "The rule /todos/<int:id> has <id>, so show() (App/views/todos.py, line 4) needs",
        app("GET todos.show /todos/<int:id>", views=SHOW),
        app("GET todos.show /todos/<int:number>", views=SHOW),
        "GET /todos/1: expected status 200 OK, got status 500 Internal Server Error.",
        "  TypeError: show() got an unexpected keyword argument 'id'",
    ),
    Pair(
        "a variable of a resource's rule",
        "so get() (App/views/todos.py, line 2) needs an argument",
        app("GET api.one /api/todos/<int:id>", views=f"class One(Resource):\n{GET}"),
        app("GET api.one /api/todos/<int:id>", views=f"class Two(Resource):\n{GET}"),
        "GET /api/todos/1: expected status 200 OK, got status 500 Internal Server Error.",
        "  TypeError: One.get() got an unexpected keyword argument 'id'",
    ),
    Pair(
        "an option",
        "find() (app.py, line 2) has no argument limit",
        files(app="@manager.option('-n', '--limit')\ndef find(): ..."),
        files(app="def find(): ..."),
        "python manage.py find x: expected exit code 0, got exit code 1.",
        "  TypeError: find() got an unexpected keyword argument 'limit'",
    ),
    Pair(
        "an option, and what a view calls",
        "has no argument limit",
        files(app=RUN.format("script.Command")),
        files(app=RUN.format("Thread")),
        "python manage.py find x: expected exit code 0, got exit code 1.",
        "  TypeError: Find.run() got an unexpected keyword argument 'limit'",
    ),
    Pair(
        "a method of the class",
        "Todo.add(...) is called of the class, and add() (App/models/todo.py, line 2)",
        files(todo=TODO.replace("self", "cls")),
        files(todo=TODO.replace("self", "self, title")),
        GOT_500,
        "  TypeError: Todo.add() missing 1 required positional argument: 'title'",
    ),
    Pair(
        "a method that is called of the class",
        "Todo.add(...) is called of the class",
        files(todo=TODO),
        files(todo=TODO.replace("    def", "    @classmethod\n    def")),
        GOT_500,
        "  App/views/todos.py, line 9, in add: Todo.add(title)\n"
        "  TypeError: Todo.add() missing 1 required positional argument: 'title'",
    ),
    Pair(
        "a view below app.run()",
        "show() (app.py, line 7) stands below app.run()",
        app("GET home /", app=SERVED.format("if __name__ == '__main__':\n    app.run()", "")),
        app("GET home /", app=SERVED.format("", "app.run()")),
        GOT_404,
    ),
    Pair(
        "a view below another's run()",
        "stands below app.run()",
        app("GET home /", app=SERVED.format("app.run()\n", "")),
        app("GET home /", app=SERVED.format("job.run()\n", "")),
        GOT_404,
    ),
    Pair(
        "a name of another file",
        "At its top, write: from App.ext import init_ext",
        files(ext=INIT, factory="init_ext(app)"),
        files(ext=INIT, todo=INIT, factory="init_ext(app)"),
        NO_START,
        "  App/__init__.py, line 1: init_ext(app)\n  NameError: name 'init_ext' is not defined",
    ),
    Pair(
        "a name that the package passes on",
        "from App.models import Todo",
        files(models="from App.models.todo import Todo", todo=TODO, views="Todo.add()"),
        files(models="", todo=TODO, views="Todo.add()"),
        NO_START,
        "  App/views/todos.py, line 1: Todo.add()\n  NameError: name 'Todo' is not defined",
    ),
    Pair(
        "a module, and what is gone but called like one",
        "from App.models import todo",
        files(todo="def add(): ...", main="todo.add()"),
        files(todo="def add(): ...", main="todo.add(todo.values())"),
        NO_START,
        "  App/views/main.py, line 1: todo.add()\n  NameError: name 'todo' is not defined",
    ),
    Pair(
        "a name of Flask's",
        "from flask import session",
        files(views="session['visits'] = 1"),
        files(views="session['visits'] = 1\nsession = {}"),
        GOT_500,
        "  App/views/todos.py, line 1, in home: session['visits'] = 1\n"
        "  NameError: name 'session' is not defined",
    ),
    Pair(
        "a generator that nobody runs",
        "Todo.seed() (app.py, line 1) has a yield in it",
        files(todo=SEED.format("yield"), app="Todo.seed(n)"),
        files(todo=SEED.format("return"), app="Todo.seed(n)\ndef seed():\n    yield 1\n"),
        "seed 30 where there is 1 row: expected 31 rows, got 1.",
    ),
    Pair(
        "a guard above a route",
        "@guard stands above @app.get in app.py, line 2",
        app("GET account /account", app=GUARDED.format("@guard", "@app.get('/account')")),
        app("GET account /account", app=GUARDED.format("@app.get('/account')", "@guard")),
        "GET /account: expected a redirect to /login, got status 200 OK.",
    ),
    Pair(
        "a commit that is not called",
        "db.session.commit (App/models/todo.py, line 4) names the function",
        files(todo=TODO + "        db.session.commit\n"),
        files(todo=TODO + "        keep = db.session.commit\n        keep()\n"),
        LOST,
    ),
    Pair(
        "a commit",
        "add() (App/models/todo.py, line 2)",
        files(todo=TODO),
        files(todo=TODO + "        db.session.commit()\n"),
        LOST,
    ),
    Pair(
        "a commit of who calls",
        "add() (App/models/todo.py, line 2)",
        files(todo=TODO, views="def view():\n    todo.add()\n"),
        files(todo=TODO, views="def view():\n    todo.add()\n    db.session.commit()\n"),
        LOST,
    ),
    Pair(
        "a commit at the end of a with",
        "add() (App/models/todo.py, line 2)",
        files(todo=TODO, views="with db.engine.begin(): ..."),
        files(todo=TODO, views="with db.session.begin(): ..."),
        LOST,
    ),
    Pair(
        "a commit at the end of a request",
        "add() (App/models/todo.py, line 2)",
        files(todo=TODO, ext="def end():\n    db.session.commit()\n"),
        files(todo=TODO, ext="@app.teardown_request\ndef end():\n    db.session.commit()\n"),
        LOST,
    ),
    Pair(
        "a setting",
        "CACHETYPE (App/settings.py, line 1)",
        files(settings="CACHETYPE = 'NullCache'"),
        files(settings="CACHE_TYPES = ['NullCache']"),
        "create_app(): expected a FileSystemCache, got NullCache.",
    ),
    Pair(
        "a type of cache",
        "RedisCache, and not rediscache",
        files(settings="CACHE_TYPE = os.environ.get('CACHE_TYPE', 'rediscache')"),
        files(settings="CACHE_TYPE = os.environ.get('CACHE_TYPE', 'RedisCache')"),
        "create_app(): expected the app, got TypeError: 'module' object is not callable.",
    ),
]


GUEST = (
    "  App/{}, line 9, in add: x = {}\n  AttributeError: 'NoneType' object has no attribute 'id'"
)
NO_TYPE = (
    "{}python manage.py runserver -r -p 5000: expected the app to serve, got ValueError: "
    "Unrecognized value for SESSION_TYPE: null."
)


def test_the_id_of_a_guest_and_that_of_another_nobody(course: Course) -> None:
    diagnosis = Diagnosis(course.mistakes, copy_of({}))
    for code in ("owner.id", "g.user.id"):
        mended = diagnosis.mend(GOT_500, GUEST.format("models/todo.py", code), {})
        assert f"write: {code} if {code.removesuffix('.id')} else None" in (mended or "")
    assert diagnosis.mend(GOT_500, GUEST.format("views/todos.py", "user.id, todo.id"), {}) is None


def test_a_session_that_is_not_wanted_and_one_whose_type_is_not_set(course: Course) -> None:
    diagnosis = Diagnosis(course.mistakes, copy_of({}))
    for store, told in (
        ("cookie", "With SESSION_TYPE=cookie, Session(app) is not called: it is Flask's own"),
        ("database", "With SESSION_TYPE=database, Session(app) is not called"),
        ("memory", "SESSION_TYPE is not set"),
    ):
        said = NO_TYPE.format(f"SESSION_TYPE={store} ")
        assert told in (diagnosis.mend(said, "", {}) or "")
    assert "SESSION_TYPE is not set" in (diagnosis.mend(NO_TYPE.format(""), "", {}) or "")


@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: pair.id)
def test_what_looks_like_a_mistake(pair: Pair, course: Course) -> None:
    mistakes = [mistake for mistake in course.mistakes if mistake.finds]

    def told(files: dict[str, str], facts: dict[str, Any]) -> str | None:
        return Diagnosis(mistakes, copy_of(files)).mend(pair.said, pair.trace, facts)

    assert pair.says in (told(*pair.mistake) or "")
    assert pair.says not in (told(*pair.none) or "")


def test_a_table_that_the_check_takes_away(course: Course) -> None:
    diagnosis, trace = (
        Diagnosis(course.mistakes, copy_of({})),
        "  OperationalError: no such table: x",
    )
    said = "GET /api/todos{}: expected no 'SELECT' on the page, got status 500."
    assert "Make the tables" in (diagnosis.mend(said.format(""), trace, {}) or "")
    assert diagnosis.mend(said.format(" with the table gone"), trace, {}) is None


def test_a_table_that_no_migration_makes(course: Course) -> None:
    """From lesson 4 on create_db is gone, and the migration may not be there yet."""
    made = {"manage.py": "from flask_migrate import MigrateCommand"}
    migration = {"migrations/versions/1.py": "op.create_table('user', ...)"}
    said = "POST /register: expected a redirect to /todos, got status 500 Internal Server Error."
    trace = "  OperationalError: no such table: user"
    for files, told in (
        ({}, "create_db"),
        (made, "no file in migrations/versions makes user, so db migrate, then db upgrade."),
        (made | migration, "Make the tables: python manage.py db upgrade."),
    ):
        assert told in (Diagnosis(course.mistakes, copy_of(files)).mend(said, trace, {}) or "")


DEEP = {
    "minus": b"x = " + b"-" * 4000 + b"1",
    "sum": b"x = " + b"+".join([b"1"] * 700),
    "dots": b"def f():\n    db.session.add(x" + b".y" * 700 + b")",
    "brackets": b"(" * 4000,
}
ODD = {"empty": b"", "no Python": b"def (", "no text": b"\xff\xfe\x00", "NUL": b"x = 1\0", **DEEP}


@pytest.mark.parametrize("data", ODD.values(), ids=ODD)
def test_every_file_can_be_looked_at(data: bytes) -> None:
    copy = Snapshot(dict.fromkeys([*FILES.values(), "a b/作业.py"], data))
    for name in FINDERS:
        diagnosis = Diagnosis([Mistake(mend="", finds=name)], copy)
        for pair in PAIRS:
            for facts in (pair.mistake[1], app("GET todos.odd /<odd:converter>")[1]):
                diagnosis.mend(pair.said, pair.trace, facts)


@pytest.mark.parametrize(
    "rules", [None, 1, [1], [{}], [{"rule": "x", "endpoint": "x", "methods": []}], [{"rule": 1}]]
)
def test_what_an_app_says_of_itself_may_be_anything(rules: object, course: Course) -> None:
    for blueprints in (None, {}, [[]]):
        facts = {"rules": rules, "blueprints": blueprints}
        for said in (GOT_404, GOT_405, GOT_400, GOT_415, JSON_400):
            assert Diagnosis(course.mistakes, copy_of({"app.py": ""})).mend(said, "", facts) is None


def test_every_finder_is_named_in_the_course_and_on_the_page(course: Course) -> None:
    assert {mistake.finds for mistake in course.mistakes if mistake.finds} == FINDERS.keys()
    assert FINDERS.keys() <= SHOWN.keys()
    assert SHOWN.keys() - {known_by(mistake) for mistake in course.mistakes} == {"port"}
    assert not list(page_is_short(read(course.root / "docs" / "mistakes.md")))


def test_the_page_shows_what_is_said_of_a_port(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setenv("MAKELEVEL", "1")
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(CourseError) as refused:
            needs_free(port, command("lesson", 1, port=5001))
    assert str(refused.value).replace(str(port), "5000") == SHOWN["port"].strip()


def test_the_first_mistake_that_fits_counts(course: Course) -> None:
    """So no text stands behind another that is a part of it."""
    for i, says in enumerate(SAID):
        assert [before for before in SAID[:i] if before in says] == []


# What one change of one file does not make.


def test_a_template_in_the_wrong_folder(course: Course, checker: Checker, tmp_path: Path) -> None:
    copy = take(course.lesson(2).solution)
    moved = {
        path.replace("App/templates/hello", "templates/hello"): copy.files[path]
        for path in copy.files
    }
    Snapshot(moved).write(tmp_path)
    found = {verdict.id: verdict.message for verdict in checker.check(course.lesson(2), tmp_path)}
    wanted = "Flask looks for App/templates/hello.html, and the file is templates/hello.html"
    assert any(wanted in message for message in found.values())


def test_a_model_that_no_migration_sees(course: Course, solution: Callable[[int], Site]) -> None:
    site = solution(4)
    label = "from App.ext import db\n\n\nclass Label(db.Model):\n"
    label += "    id = db.Column(db.Integer, primary_key=True)\n"
    (site._written.folder / "App" / "models" / "label.py").write_text(label)
    command = site.manage("db", "migrate").exits(0)
    with pytest.raises(CheckFailed) as failed:
        command.prints("Generating")
    mended = Diagnosis(course.mistakes, take(site._written.folder)).mend(str(failed.value), "", {})
    assert mended
    assert "the model Label (App/models/label.py, line 4)" in mended
    assert "from App.models.label import Label" in mended
    (site._written.folder / "App" / "models" / "__init__.py").write_text(
        "from App.models.label import Label\nfrom App.models.todo import Todo\n"
        "from App.models.csv_file import read_csv\n"
    )
    site.manage("db", "migrate").exits(0).prints("Generating")


def test_a_database_that_is_behind(course: Course, solution: Callable[[int], Site]) -> None:
    site = solution(4)
    site.manage("db", "downgrade").exits(0)
    with pytest.raises(CheckFailed, match="not up to date") as failed:
        site.manage("db", "migrate").exits(0)
    mended = Diagnosis(course.mistakes, take(site._written.folder)).mend(str(failed.value), "", {})
    assert mended
    assert "python manage.py db upgrade" in mended
    site.manage("db", "upgrade").exits(0)
    site.manage("db", "migrate").exits(0)
