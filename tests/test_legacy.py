"""Everything that Flask-Script's documentation shows runs on today's Flask, with legacy.py."""

import argparse
import inspect
import io
import os
import pty
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import textwrap
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from http.client import HTTPException
from pathlib import Path
from types import SimpleNamespace
from urllib.error import HTTPError
from urllib.request import urlopen

import flask
import pytest

LEGACY = Path(__file__).parents[1] / "solutions" / "01_script" / "legacy.py"

# Not a plain import: each lesson has a module of this name.
exec(compile(LEGACY.read_text(), str(LEGACY), "exec"), {"__name__": "legacy"})

from flask_script import (  # noqa: E402 - legacy comes first
    Command,
    Group,
    Manager,
    Option,
    Server,
    prompt,
    prompt_bool,
    prompt_choices,
    prompt_pass,
)
from flask_script.commands import Clean, InvalidCommand, ShowUrls  # noqa: E402

# In this process


@pytest.fixture
def app(monkeypatch):
    monkeypatch.delenv("FLASK_DEBUG", raising=False)
    return flask.Flask("shop")


@pytest.fixture
def manager(app):
    return Manager(app)


@pytest.fixture
def run(monkeypatch, capsys):
    """Run a manager as `python manage.py LINE` would; return its exit code and what it printed."""
    monkeypatch.setenv("COLUMNS", "100")

    def run(manager, line="", stdin="", **options):
        monkeypatch.setattr(sys, "argv", ["manage.py", *shlex.split(line)])
        monkeypatch.setattr(sys, "stdin", io.StringIO(stdin))
        with pytest.raises(SystemExit) as stop:
            manager.run(**options)
        out, err = capsys.readouterr()
        return SimpleNamespace(code=stop.value.code, out=out, err=err)

    return run


class Hello(Command):
    "Greets the world"

    def run(self):
        print("hello world")


class Greet(Command):
    option_list = (Option("--name", "-n", dest="name"),)

    def run(self, name):
        print("hello", name)


# Commands


def test_command_class(manager, run):
    manager.add_command("hello", Hello())
    assert run(manager, "hello").out == "hello world\n"


def test_command_class_is_instantiated(manager, run):
    manager.add_command("hello", Hello)
    assert run(manager, "hello").out == "hello world\n"


def test_command_name_from_class(manager, run):
    class ReindexCommand(Hello):
        pass

    manager.add_command(ReindexCommand())
    assert run(manager, "reindex").out == "hello world\n"


def test_command_name_from_attribute(manager, run):
    class Reindex(Hello):
        name = "index"

    manager.add_command(Reindex())
    assert run(manager, "index").out == "hello world\n"


def test_commands_given_to_run(manager, run):
    assert run(manager, "hello", commands={"hello": Hello()}).out == "hello world\n"


def test_default_command(manager, run):
    manager.add_command("hello", Hello())
    assert run(manager, "", default_command="hello").out == "hello world\n"


def test_command_function(manager, run):
    @manager.command
    def hello():
        print("hello")

    result = run(manager, "hello")
    assert (result.code, result.out) == (0, "hello\n")


def test_command_function_stays_callable(manager, run):
    @manager.command
    def drop():
        print("dropped")

    @manager.command
    def recreate():
        drop()

    assert run(manager, "recreate").out == "dropped\n"


def test_command_from_method(manager, run):
    class Greeter:
        def hello(self, name):
            print("hello", name)

    manager.command(Greeter().hello)
    assert run(manager, "hello Ann").out == "hello Ann\n"


def test_call_override(manager, run):
    class Plain(Command):
        def __call__(self, app):
            print(app.name, flask.has_request_context())

    manager.add_command("plain", Plain())
    assert run(manager, "plain").out == "shop False\n"


def test_run_is_required(manager, run):
    manager.add_command("empty", Command())
    with pytest.raises(NotImplementedError):
        run(manager, "empty")


# Arguments


def test_positional_argument(manager, run):
    @manager.command
    def hello(name):
        print("hello", name)

    assert run(manager, "hello 'Ann Lee'").out == "hello Ann Lee\n"


@pytest.mark.parametrize(
    ("line", "out"),
    [("hello", "Fred\n"), ("hello --name=Ann", "Ann\n"), ("hello -n Ann", "Ann\n")],
)
def test_optional_argument(manager, run, line, out):
    @manager.command
    def hello(name="Fred"):
        print(name)

    assert run(manager, line).out == out


@pytest.mark.parametrize(
    ("line", "out"),
    [
        ("verify", "False\n"),
        ("verify -v", "True\n"),
        ("verify --verified", "True\n"),
    ],
)
def test_flag(manager, run, line, out):
    @manager.command
    def verify(verified=False):
        print(verified)

    assert run(manager, line).out == out


def test_flag_that_is_on_stays_on(manager, run):
    @manager.command
    def create(samples=True):
        print(samples)

    assert run(manager, "create").out == "True\n"
    assert run(manager, "create -s").out == "True\n"


def test_annotations(manager, run):
    @manager.command
    def seed(kind: str, many: int = 5, quiet: bool = False) -> None:
        print([kind, many, quiet])

    assert run(manager, "seed fruit").out == "['fruit', 5, False]\n"
    assert run(manager, "seed fruit -q").out == "['fruit', 5, True]\n"
    # An annotation converts nothing: what is typed arrives as text.
    assert run(manager, "seed fruit -m 7").out == "['fruit', '7', False]\n"


def test_keyword_only_argument_is_refused(manager):
    with pytest.raises(ValueError, match=r"seed: .* keyword-only .* drop the \*"):

        @manager.command
        def seed(*, many=5):
            pass


def test_two_options_of_one_letter_clash(manager, run):
    manager.add_command("hello", Hello())

    @manager.command
    def seed(name="", number=5):
        pass

    # One bad command takes all the others with it.
    with pytest.raises(argparse.ArgumentError, match="conflicting option string: -n"):
        run(manager, "hello")


@pytest.mark.parametrize("line", ["hello -n Ann", "hello --name Ann", "hello --name=Ann"])
def test_option_list(manager, run, line):
    manager.add_command("hello", Greet())
    assert run(manager, line).out == "hello Ann\n"


def test_add_option_to_a_command(manager, run):
    repeat = Command()
    repeat.run = lambda word, times: print(word * times)
    repeat.add_option(Option("word"))
    repeat.add_option(Option("-t", dest="times", type=int, default=2))
    manager.add_command("repeat", repeat)
    assert run(manager, "repeat ha").out == "haha\n"
    assert run(manager, "repeat ha -t 3").out == "hahaha\n"


def test_get_options(manager, run):
    class HelloTo(Command):
        def __init__(self, name="Joe"):
            self.name = name

        def get_options(self):
            return [Option("-n", "--name", dest="name", default=self.name)]

        def run(self, name):
            print("hello", name)

    manager.add_command("joe", HelloTo())
    manager.add_command("ann", HelloTo("Ann"))
    assert run(manager, "joe").out == "hello Joe\n"
    assert run(manager, "ann").out == "hello Ann\n"
    assert run(manager, "ann -n Bob").out == "hello Bob\n"


@pytest.mark.parametrize(
    ("line", "out"),
    [
        ("hello", "hello joe\n"),
        ("hello -n Ann", "hello Ann\n"),
        ("hello -n Ann -u example.org", "hello Ann from example.org\n"),
        ("hello --url=example.org --name=Ann", "hello Ann from example.org\n"),
    ],
)
def test_option_decorator(manager, run, line, out):
    @manager.option("-n", "--name", dest="name", default="joe")
    @manager.option("-u", "--url", dest="url", default=None)
    def hello(name, url):
        print("hello", name, *(["from", url] if url else []))

    assert run(manager, line).out == out


def test_option_type_and_choices(manager, run):
    @manager.option("--size", type=int, choices=[1, 2])
    def buy(size):
        print(size + 1)

    assert run(manager, "buy --size 2").out == "3\n"
    assert "argument --size: invalid choice" in run(manager, "buy --size 3").err


def test_capture_all_args(manager, run):
    class Rest(Command):
        capture_all_args = True
        option_list = (Option("--foo", action="store_true"),)

        def run(self, rest, foo):
            print(rest, foo)

    manager.add_command("rest", Rest())
    assert run(manager, "rest one --foo two --bar").out == "['one', 'two', '--bar'] True\n"


# Groups


@pytest.fixture
def paint(manager):
    """Return a function that adds a `paint` command whose two options are in a group."""

    def paint(**group):
        class Paint(Command):
            option_list = (
                Group(Option("--red", type=int), Option("--blue", action="store_true"), **group),
            )

            def run(self, red, blue):
                print(red, blue)

        manager.add_command("paint", Paint())
        return manager

    return paint


def test_group_exclusive(paint, run):
    manager = paint(exclusive=True)
    assert run(manager, "paint --red 3").out == "3 False\n"
    assert run(manager, "paint").out == "None False\n"
    both = run(manager, "paint --red 3 --blue")
    assert both.code == 2
    assert "not allowed with argument" in both.err


def test_group_required(paint, run):
    manager = paint(exclusive=True, required=True)
    assert run(manager, "paint --blue").out == "None True\n"
    neither = run(manager, "paint")
    assert neither.code == 2
    assert "one of the arguments --red --blue is required" in neither.err


def test_group_titled(paint, run):
    manager = paint(title="colours", description="what to mix")
    assert run(manager, "paint --red 3 --blue").out == "3 True\n"
    shown = run(manager, "paint -?").out
    assert "colours:\n  what to mix\n" in shown
    assert shown.index("colours:") < shown.rindex("--red RED")


def test_group_titled_and_exclusive_is_refused():
    with pytest.raises(TypeError, match="title"):
        Group(title="colours", exclusive=True)


# Help


def test_no_command_shows_all(manager, run):
    manager.add_command("hello", Hello())
    result = run(manager)
    assert result.code == 2
    assert "Greets the world" in result.out
    assert "Runs the Flask development server" in result.out


@pytest.mark.parametrize("flag", ["-?", "--help"])
def test_help_of_manager(manager, run, flag):
    manager.add_command("hello", Hello())
    result = run(manager, flag)
    assert result.code == 0
    assert "Greets the world" in result.out


@pytest.mark.parametrize("flag", ["-?", "--help"])
def test_help_of_command(manager, run, flag):
    @manager.option("-n", "--name", help="who to greet")
    def hello(name):
        "Just say hello"

    result = run(manager, f"hello {flag}")
    assert result.code == 0
    assert result.out.startswith("usage: manage.py hello [-?] [-n NAME]")
    assert "Just say hello" in result.out
    assert "who to greet" in result.out


def test_help_of_runserver(manager, run):
    shown = run(manager, "runserver -?").out
    assert "-h" in shown
    assert "--host HOST" in shown
    assert "(not 100% safe for production use)" in " ".join(shown.split())


def test_h_is_not_help(manager, run):
    result = run(manager, "-h")
    assert result.code == 2
    assert "too few arguments" in result.err


def test_help_args(manager, run):
    hosts = []
    connect = Command(lambda host="localhost": hosts.append(host))
    connect.help_args = ("-?", "--help")
    manager.with_default_commands = False
    manager.help_args = ("-h", "-?", "--help")
    manager.add_command("connect", connect)
    manager.add_command("hello", Hello())

    assert "Greets the world" in run(manager, "-h").out
    assert run(manager, "hello -h").out.startswith("usage: manage.py hello [-h]")
    assert run(manager, "connect -h example.org").code == 0
    assert hosts == ["example.org"]


def test_help_args_clash_with_runserver(manager, run):
    manager.help_args = ("-h", "-?", "--help")
    manager.add_command("hello", Hello())
    with pytest.raises(argparse.ArgumentError, match="conflicting option string: -h"):
        run(manager, "hello")

    server = Server()
    server.help_args = ("-?", "--help")
    manager.add_command("runserver", server)
    assert run(manager, "hello").out == "hello world\n"


def test_help_args_empty(manager, run):
    manager.help_args = ()
    manager.add_command("hello", Hello())
    assert "too many arguments" in run(manager, "hello --help").err


def test_percent_in_docstring(manager, run):
    manager.add_command("hello", Hello())

    @manager.command
    def backup():
        "Keep 100%"

    # argparse takes the list of commands for a format string.
    with pytest.raises(ValueError, match="form"):
        run(manager, "-?")


# Options of the manager


@pytest.fixture
def configured(tmp_path, monkeypatch):
    """Return a manager with an app factory and an option -c for its configuration file."""
    (tmp_path / "dev.cfg").write_text("USE_UPPERCASE = True\n")
    monkeypatch.chdir(tmp_path)

    def create_app(config=None):
        app = flask.Flask("shop", root_path=tmp_path)
        if config is not None:
            app.config.from_pyfile(config)
        return app

    manager = Manager(create_app)
    manager.add_option("-c", "--config", dest="config", required=False)

    @manager.option("-n", "--name", dest="name", default="joe")
    @manager.option("-c", "--clue", dest="clue", default="hat")
    def hello(name, clue):
        text = f"{name}, {clue}"
        print(text.upper() if flask.current_app.config.get("USE_UPPERCASE") else text)

    @manager.command
    def shout(name):
        print(name)

    return manager


@pytest.mark.parametrize(
    ("line", "out"),
    [
        ("hello", "joe, hat\n"),
        ("-c dev.cfg hello", "JOE, HAT\n"),
        ("--config=dev.cfg hello -n Ann", "ANN, HAT\n"),
        ("hello -c coat", "joe, coat\n"),
        ("-c dev.cfg hello -c coat", "JOE, COAT\n"),
    ],
)
def test_manager_option(configured, run, line, out):
    assert run(configured, line).out == out


def test_manager_option_after_command(configured, run):
    result = run(configured, "shout joe -c dev.cfg")
    assert (result.code, result.out) == (2, "")
    assert "too many arguments" in result.err


def test_manager_option_without_factory(app, run):
    manager = Manager(app)
    manager.add_option("-c", "--config", dest="config")
    manager.add_command("hello", Hello())
    with pytest.warns(UserWarning, match="Options will be ignored"):
        assert run(manager, "-c dev.cfg hello").out == "hello world\n"


def test_factory_is_called_once(run):
    calls = []

    def create_app():
        calls.append(1)
        return flask.Flask("shop")

    manager = Manager(create_app)
    manager.add_command("hello", Hello())
    run(manager, "hello")
    assert run(manager, "hello").out == "hello world\n"
    assert calls == [1]


def test_no_app(run):
    manager = Manager()
    manager.add_command("hello", Hello())
    with pytest.raises(Exception, match="no app"):
        run(manager, "hello")


# Managers in managers


@pytest.fixture
def database(manager):
    """Return a manager with a sub-manager, as an extension would offer it."""
    database = Manager(usage="Perform database operations")

    @database.command
    def create(samples=False):
        "Creates the tables"
        print("created", samples)

    @database.command
    def drop():
        "Drops the tables"

    manager.add_command("database", database)
    return database


def test_sub_manager(manager, database, run):
    assert run(manager, "database create -s").out == "created True\n"


def test_sub_manager_lists_its_commands(manager, database, run):
    result = run(manager, "database")
    assert result.code == 2
    for text in ("Perform database operations", "Creates the tables", "Drops the tables"):
        assert text in result.out
    assert "Perform database operations" in run(manager).out


def test_sub_manager_help_and_description(manager, run):
    sub = Manager(usage="db [--fast]", help="in short", description="at length")
    sub.add_command("hello", Hello())
    manager.add_command("db", sub)
    assert "in short" in run(manager, "-?").out
    shown = run(manager, "db -?").out
    assert "at length" in shown
    assert shown.startswith("usage: db [--fast]\n")
    assert run(manager, "db hello -?").out.startswith("usage: db [--fast] hello [-?]")


def test_sub_managers_cascade(manager, database, run):
    inner = Manager()
    inner.add_command("hello", Hello())
    database.add_command("inner", inner)
    assert run(manager, "database inner hello").out == "hello world\n"


def test_sub_manager_unknown_command(manager, database, run):
    result = run(manager, "database truncate")
    assert result.code == 2
    assert "invalid choice: 'truncate'" in result.err


def test_sub_manager_has_no_default_commands(manager, database, run):
    assert run(manager, "database runserver").code == 2
    database.add_command("runserver", Hello())
    assert run(manager, "database runserver").out == "hello world\n"


class Admin(Manager):
    """A sub-manager that makes its own app out of its own options."""

    def __call__(self, app=None, **options):
        admin = flask.Flask("admin")
        admin.config.update(app.config, **options)
        return admin


def test_sub_manager_with_an_app_and_options(app, manager, run):
    app.config["COLOUR"] = "red"
    admin = Admin()
    admin.add_option("-n", "--name", dest="NAME")

    @admin.command
    def show(name="Bob"):
        config = flask.current_app.config
        print(flask.current_app.name, config["COLOUR"], config["NAME"], name)

    manager.add_command("admin", admin)
    assert run(manager, "admin -n Ann show -n Joe").out == "admin red Ann Joe\n"


def test_sub_manager_function_is_never_called(manager, run):
    """The documented way to the above, but a sub-manager passes a Flask app straight on."""
    calls = []
    sub = Manager(lambda app, **options: calls.append(options))
    sub.add_option("-n", "--name", dest="name")
    sub.add_command("hello", Hello())
    manager.add_command("sub", sub)
    with pytest.warns(UserWarning, match="Options will be ignored"):
        assert run(manager, "sub -n Ann hello").out == "hello world\n"
    assert calls == []


def test_namespace(manager, run):
    class Spaced(Hello):
        namespace = "own"

    manager.add_command("one", Hello(), namespace="ns")
    manager.add_command("two", Hello(), namespace="ns")
    manager.add_command("three", Spaced())
    assert run(manager, "ns one").out == "hello world\n"
    assert run(manager, "ns two").out == "hello world\n"
    assert run(manager, "own three").out == "hello world\n"
    assert run(manager, "one").code == 2


# Questions


def test_prompt(manager, run):
    ask = Command(lambda: print([prompt("name"), prompt("ready?"), prompt("town", "Rome")]))
    manager.add_command("ask", ask)
    result = run(manager, "ask", "\nAnn\nyes\n\n")
    assert result.out == "name: name: ready? town [Rome]: ['Ann', 'yes', 'Rome']\n"


def test_prompt_without_input(manager, run):
    manager.add_command("ask", Command(lambda: prompt("name")))
    with pytest.raises(EOFError):
        run(manager, "ask")


@pytest.mark.parametrize(
    ("typed", "answer"), [("y", True), ("YES", True), ("off", False), ("", False), ("eh\ny", True)]
)
def test_prompt_bool(manager, run, typed, answer):
    manager.add_command("ask", Command(lambda: print(prompt_bool("Drop it?"))))
    result = run(manager, "ask", typed + "\n")
    assert result.out.startswith("Drop it? [n]")
    assert result.out.endswith(f"{answer}\n")


def test_prompt_bool_own_words(manager, run):
    ask = Command(lambda: print(prompt_bool("ok", True, yes_choices=["si"], no_choices=["no"])))
    manager.add_command("ask", ask)
    assert run(manager, "ask", "\n").out == "ok [si]: True\n"
    assert run(manager, "ask", "no\n").out == "ok [si]: False\n"


@pytest.mark.parametrize(
    ("typed", "answer"),
    [("red", "red"), ("B", "b"), ("none", None), ("", "red"), ("pink\nb", "b")],
)
def test_prompt_choices(manager, run, typed, answer):
    choices = ["red", ("b", "Blue")]
    ask = Command(lambda: print(prompt_choices("hue", choices, default="red")))
    manager.add_command("ask", ask)
    result = run(manager, "ask", typed + "\n")
    assert result.out.startswith("hue - (red, Blue [b]) [red]: ")
    assert result.out.endswith(f": {answer}\n")


def test_prompt_choices_with_capitals(manager, run):
    manager.add_command("ask", Command(lambda: prompt_choices("hue", ["Red"])))
    # The answer is put in lower case, so it never equals "Red", and the question never ends.
    with pytest.raises(EOFError):
        run(manager, "ask", "Red\nred\n")


def test_prompt_pass(manager, run, monkeypatch):
    typed = iter(["", "secret", ""])
    asked = []
    monkeypatch.setattr("getpass.getpass", lambda text: asked.append(text) or next(typed))
    manager.add_command("ask", Command(lambda: print(prompt_pass("key"), prompt_pass("pin?", "0"))))
    assert run(manager, "ask").out == "secret 0\n"
    assert asked == ["key: ", "key: ", "pin? [0] "]


# Proxies


def test_proxies(app, manager, run):
    closed = []
    app.teardown_request(closed.append)
    app.before_request(lambda: print("not run"))

    @app.get("/items/<int:id>")
    def item(id):
        pass

    @manager.command
    def where():
        flask.g.seen = 1
        print(flask.current_app.name, flask.request.path, flask.url_for("item", id=3))
        assert flask._request_ctx_stack.top.app is app

    assert run(manager, "where").out == "shop / /items/3\n"
    assert closed == [None]


def test_request_ctx_stack(app):
    assert flask._request_ctx_stack.top is None
    with app.app_context():
        assert flask._request_ctx_stack.top is None
    with app.test_request_context("/a") as outer:
        assert flask._request_ctx_stack.top is outer
        with app.test_request_context("/b") as inner:
            assert flask._request_ctx_stack.top is inner
        assert flask._request_ctx_stack.top is outer
        assert flask._request_ctx_stack.top.app is app
    assert flask._request_ctx_stack.top is None


# Exit codes and errors


@pytest.mark.parametrize(
    ("value", "code"), [(None, 0), (0, 0), (3, 3), (True, True), ("done", "done"), ("", 0)]
)
def test_return_value_is_the_exit_code(manager, run, value, code):
    manager.add_command("end", Command(lambda: value))
    result = run(manager, "end")
    assert result.code == code
    assert type(result.code) is type(code)


def test_system_exit(manager, run):
    manager.add_command("end", Command(lambda: sys.exit(4)))
    assert run(manager, "end").code == 4


def test_exception_is_not_hidden(manager, run):
    def fail():
        raise IndexError("here")

    manager.command(fail)
    with pytest.raises(IndexError, match="here"):
        run(manager, "fail")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("hello", "the following arguments are required: name"),
        ("hello Ann Bob", "too many arguments"),
        ("hello Ann --loud", "too many arguments"),
        ("--loud", "too few arguments"),
        ("goodbye", "invalid choice: 'goodbye'"),
    ],
)
def test_wrong_arguments(manager, run, line, message):
    @manager.command
    def hello(name):
        print("hello", name)

    result = run(manager, line)
    assert (result.code, result.out) == (2, "")
    assert message in result.err


def test_invalid_command(manager, run):
    class Mix(Command):
        option_list = (Option("--foo"), Option("--bar"))

        def run(self, foo, bar):
            if foo and bar:
                raise InvalidCommand("foo and bar do not mix")

    manager.add_command("mix", Mix())
    assert run(manager, "mix --foo 1").code == 0
    with pytest.raises(InvalidCommand, match="do not mix"):
        run(manager, "mix --foo 1 --bar 2")


# Default commands


@pytest.fixture
def served(app, monkeypatch):
    """Return what app.run is called with, in place of a server."""
    calls = {}
    monkeypatch.setattr(app, "run", lambda **options: calls.update(options))
    return calls


def test_without_default_commands(app, run):
    manager = Manager(app, with_default_commands=False)
    manager.add_command("hello", Hello())
    assert "{hello}" in run(manager).out
    assert run(manager, "runserver").code == 2
    assert run(manager, "shell").code == 2


def test_default_commands_can_be_replaced(manager, run):
    manager.add_command("runserver", Hello())
    manager.add_command("shell", Hello())
    assert run(manager, "runserver").out == "hello world\n"
    assert run(manager, "shell").out == "hello world\n"


def test_server_defaults(manager, run, served):
    assert run(manager, "runserver").code == 0
    assert served == {
        "host": "127.0.0.1",
        "port": 5000,
        "debug": False,
        "use_debugger": False,
        "use_reloader": False,
        "threaded": False,
        "processes": 1,
        "passthrough_errors": False,
        "ssl_context": None,
    }


def test_server_with_its_own_defaults(manager, run, served):
    options = {"host": "0.0.0.0", "port": 9000, "threaded": True, "use_debugger": True}
    manager.add_command("runserver", Server(**options, extra_files=["a.cfg"]))
    assert run(manager, "runserver -p 9001").code == 0
    assert served.items() >= {**options, "port": 9001, "use_reloader": True}.items()
    assert served["extra_files"] == ["a.cfg"]


@pytest.mark.parametrize(
    ("flags", "debug", "reload"),
    [
        ("-d", True, True),
        ("-D", False, False),
        ("-r", False, True),
        ("-R", False, False),
        ("-d -R", True, False),
        ("--debug --no-reload", True, False),
        ("--no-debug --reload", False, True),
    ],
)
def test_server_debugger_and_reloader(manager, run, served, flags, debug, reload):
    assert run(manager, f"runserver {flags}").code == 0
    assert served["debug"] is served["use_debugger"] is debug
    assert served["use_reloader"] is reload


def test_server_follows_debug(app, manager, run, served):
    app.debug = True
    run(manager, "runserver")
    assert (served["debug"], served["use_reloader"]) == (True, True)


def test_server_takes_debug_none_as_on(app, manager, run, served):
    app.config["DEBUG"] = None
    run(manager, "runserver")
    assert served["debug"] is True
    assert not app.debug


def test_server_ssl(manager, run, served):
    run(manager, "runserver --ssl-crt a.crt --ssl-key a.key")
    assert served["ssl_context"] == ("a.crt", "a.key")


@pytest.fixture
def urls(app, manager):
    app.add_url_rule("/zoo", "animals")
    app.add_url_rule("/items/<int:id>", "item")
    app.add_url_rule("/save", "save", methods=["POST"])
    app.add_url_rule("/shelf/", "shelf")
    manager.add_command("urls", ShowUrls())
    manager.add_command("by-endpoint", ShowUrls(order="endpoint"))
    return manager


def first_words(text):
    return [line.split()[0] for line in text.splitlines()]


RULES = ["/items/<int:id>", "/save", "/shelf/", "/static/<path:filename>", "/zoo"]


def test_show_urls(urls, run):
    heading, line, *rules = first_words(run(urls, "urls").out)
    assert (heading, set(line)) == ("Rule", {"-"})
    assert rules == RULES
    assert "/zoo                     animals" in run(urls, "urls").out


@pytest.mark.parametrize("line", ["urls --order endpoint", "by-endpoint"])
def test_show_urls_in_order(urls, run, line):
    rules = first_words(run(urls, line).out)[2:]
    assert rules == ["/zoo", *RULES[:4]]


def test_show_urls_that_match(urls, run):
    shown = run(urls, "urls /items/7").out.splitlines()
    assert shown[0].split() == ["Rule", "Endpoint", "Arguments"]
    assert shown[2].split(maxsplit=2) == ["/items/<int:id>", "item", "{'id': 7}"]
    assert len(shown) == 3


def test_show_urls_that_match_nothing(urls, run):
    result = run(urls, "urls /nothing")
    assert result.code == 0
    assert "<404 Not Found:" in result.out
    assert "<405 Method Not Allowed:" in run(urls, "urls /save").out


def test_show_urls_that_redirect(urls, run):
    with pytest.raises(Exception, match="308"):
        run(urls, "urls /shelf")


def test_clean(manager, run, tmp_path, monkeypatch):
    kept = tmp_path / "a.py"
    gone = [tmp_path / "a.pyc", tmp_path / "deep" / "er" / "b.pyo"]
    gone[1].parent.mkdir(parents=True)
    for path in (kept, *gone):
        path.touch()
    monkeypatch.chdir(tmp_path)
    manager.add_command("clean", Clean())
    result = run(manager, "clean")
    assert sorted(result.out.split()) == ["./a.pyc", "./deep/er/b.pyo", "Removing", "Removing"]
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [kept]


# In a process of its own

MANAGE = """\
import legacy

import os
import threading

from flask import Flask
from flask_script import Manager, Server, Shell, prompt_pass

app = Flask("shop")
app.config["PROPAGATE_EXCEPTIONS"] = True
two = threading.Barrier(2)


@app.get("/")
def index():
    return "first"


@app.get("/pid")
def pid():
    return str(os.getpid())


@app.get("/meet/<float:seconds>")
def meet(seconds):
    "Wait for another request to come in."
    try:
        two.wait(seconds)
    except threading.BrokenBarrierError:
        return "alone"
    return "together"


@app.get("/fail")
def fail():
    raise ZeroDivisionError


manager = Manager(app)
# A host that is no machine's: -h and -p must do their work.
manager.add_command("runserver", Server(host="192.0.2.1", port=1))
manager.add_command("plain", Shell(banner="welcome", use_ipython=False, use_bpython=False,
                                   use_ptipython=False, use_ptpython=False))
manager.add_command("made", Shell(make_context=lambda: {"answer": 42}))


@manager.shell
def context():
    return {"app": app, "answer": 43}


@manager.command
def secret():
    print("got", prompt_pass("key"))


@manager.command
def text():
    return "some text"


@manager.command
def true():
    return True


if __name__ == "__main__":
    manager.run()
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """Return a folder with a manage.py and legacy.py."""
    folder = tmp_path_factory.mktemp("project")
    shutil.copy(LEGACY, folder)
    (folder / "manage.py").write_text(MANAGE)
    return folder


def python(folder, *args, stdin=""):
    return subprocess.run(
        [sys.executable, *args], cwd=folder, input=stdin, capture_output=True, text=True, timeout=30
    )


def snippet(folder, code, *flags):
    """Run the code in a fresh interpreter beside legacy.py; return what it printed."""
    done = python(folder, *flags, "-c", textwrap.dedent(code))
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_import_without_a_warning(project):
    code = """
        import legacy
        from flask._compat import text_type
        import flask, flask_script
        print(text_type("a"), flask._compat.text_type is str)
    """
    assert snippet(project, code, "-W", "error") == ["a", "True"]


def test_names_that_exist_are_left_alone(project):
    code = """
        import argparse, inspect, sys, types
        import flask
        compat = flask._compat = sys.modules["flask._compat"] = types.ModuleType("compat")
        compat.text_type = str
        stack = flask._request_ctx_stack = object()
        spec = inspect.getargspec = object()
        import legacy
        print(flask._compat is sys.modules["flask._compat"] is compat)
        print(flask._request_ctx_stack is stack, inspect.getargspec is spec)
        from flask_script import Manager
        mended = Manager._patch_argparser.__module__ == "legacy"
        print(mended == hasattr(argparse.ArgumentParser, "_parse_known_args2"))
    """
    assert snippet(project, code) == ["True"] * 4


def test_argparse_with_a_clashing_name(project):
    """The name came with Python 3.12.8 and 3.13.1; older ones are given it here."""
    code = """
        import argparse, sys
        Parser = argparse.ArgumentParser
        if not hasattr(Parser, "_parse_known_args2"):
            def known2(self, args, namespace, intermixed, inner=Parser.parse_known_args):
                return inner(self, args, namespace)
            Parser._parse_known_args2 = known2
            Parser.parse_known_args = lambda self, args=None, namespace=None: (
                self._parse_known_args2(args, namespace, intermixed=False))
        import legacy
        from flask import Flask
        from flask_script import Manager
        manager, sub = Manager(Flask("shop")), Manager()
        manager.add_command("sub", sub)
        @sub.command
        def hello(name="joe"):
            print("hello", name)
        manager.handle("manage.py", ["sub", "hello", "-n", "Ann"])
        for args in [], ["sub"], ["sub", "hello", "bad"]:
            try:
                manager.handle("manage.py", args)
            except SystemExit as stop:
                print("code", stop.code)
    """
    words = snippet(project, code)
    assert words[:2] == ["hello", "Ann"]
    assert words.count("usage:") == 2
    assert words.count("code") == 3
    assert words[-2:] == ["code", "2"]


def test_getargspec():
    def command(a, b: int, *c, d=1, **e):
        pass

    def plain(a, b: int = 2, *c, **e):
        pass

    assert tuple(inspect.getargspec(plain)) == (["a", "b"], "c", "e", (2,))
    with pytest.raises(ValueError, match="command"):
        inspect.getargspec(command)


def test_returned_text_fails(project):
    done = python(project, "manage.py", "text")
    assert (done.returncode, done.stdout, done.stderr) == (1, "", "some text\n")


def test_returned_true_fails(project):
    done = python(project, "manage.py", "true")
    assert (done.returncode, done.stdout, done.stderr) == (1, "", "")


def test_prompt_pass_is_not_echoed(project):
    terminal, end = pty.openpty()
    command = [sys.executable, "manage.py", "secret"]
    with subprocess.Popen(
        command, cwd=project, stdin=end, stdout=subprocess.PIPE, stderr=end, start_new_session=True
    ) as process:
        assert os.read(terminal, 100) == b"key: "
        os.write(terminal, b"hush\n")
        assert process.stdout.read() == b"got hush\n"
        assert os.read(terminal, 100).strip() == b""
    os.close(terminal)
    os.close(end)


# The shell

PLAIN = ["--no-ipython", "--no-bpython", "--no-ptipython", "--no-ptpython"]


def test_shell_with_the_app(project):
    code = "from flask import current_app, request\nprint(app is current_app._get_current_object())"
    done = python(project, "manage.py", "plain", stdin=code + "\nprint(app.name, request.path)\n")
    assert done.returncode == 0
    assert done.stdout.replace(">>> ", "").split() == ["True", "shop", "/"]
    assert "welcome" in done.stderr


@pytest.mark.parametrize(("command", "answer"), [("made", "42"), ("shell", "43")])
def test_shell_with_a_context(project, command, answer):
    done = python(project, "manage.py", command, *PLAIN, stdin="print(answer)\n")
    assert done.returncode == 0
    assert done.stdout.replace(">>> ", "").split() == [answer]


# The server


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def until(check, seconds=15):
    """Ask again and again until the answer is true; return it."""
    deadline = time.monotonic() + seconds
    while not (answer := check()):
        assert time.monotonic() < deadline, f"still not so after {seconds} s"
        time.sleep(0.02)
    return answer


@contextmanager
def serve(folder, *flags):
    """Run the server until it listens, and stop it and its children in the end."""
    port = free_port()
    log = folder / f"{port}.log"
    command = [sys.executable, "manage.py", "runserver", "-h", "127.0.0.1", "-p", str(port), *flags]
    with log.open("w") as out:
        server = subprocess.Popen(
            command, cwd=folder, stdout=out, stderr=subprocess.STDOUT, start_new_session=True
        )

    def get(path="/"):
        try:
            with urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as reply:
                return SimpleNamespace(
                    status=reply.status, type=reply.headers["Content-Type"], text=reply.read()
                )
        except HTTPError as error:
            return SimpleNamespace(status=error.code, type=None, text=error.read())

    def listening():
        assert server.poll() is None, log.read_text()
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    try:
        until(listening)
        yield SimpleNamespace(get=get, log=log.read_text, process=server)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(server.pid, signal.SIGKILL)
        server.wait()


DEBUGGER = "/?__debugger__=yes&cmd=resource&f=style.css"


@pytest.fixture(scope="module")
def plain(project):
    """Return a server with neither debugger nor reloader."""
    with serve(project, "-D", "-R") as server:
        yield server


def test_server_serves(plain):
    assert plain.get().text == b"first"
    assert plain.get("/pid").text == str(plain.process.pid).encode()


def test_server_without_debugger_or_reloader(plain):
    assert plain.get(DEBUGGER).text == b"first"
    assert "Debug mode: off" in plain.log()
    assert "Restarting with" not in plain.log()


def test_server_outlives_an_error(plain):
    assert plain.get("/fail").status == 500
    assert plain.get().text == b"first"
    assert plain.process.poll() is None


def two_at_once(server, path):
    with ThreadPoolExecutor(2) as pool:
        return [reply.text for reply in pool.map(server.get, [path] * 2)]


def test_server_has_one_thread(plain):
    assert two_at_once(plain, "/meet/0.2") == [b"alone", b"alone"]


def test_server_threaded(project):
    with serve(project, "-D", "-R", "--threaded") as server:
        assert two_at_once(server, "/meet/10.0") == [b"together", b"together"]


def test_server_processes(project):
    with serve(project, "-D", "-R", "--processes", "2") as server:
        pids = {int(server.get("/pid").text) for _ in range(2)}
    assert len(pids) == 2
    assert server.process.pid not in pids


def test_server_debugger(project):
    with serve(project, "-d", "-R") as server:
        assert server.get().text == b"first"
        assert server.get(DEBUGGER).type.startswith("text/css")
        assert b"ZeroDivisionError" in server.get("/fail").text
        assert "Restarting with" not in server.log()


def test_server_reloader(project, tmp_path):
    shutil.copytree(project, tmp_path, dirs_exist_ok=True)

    def page():
        with suppress(OSError, HTTPException):  # a restart cuts a reply short
            return server.get().text

    with serve(tmp_path, "-D", "-r") as server:
        until(lambda: "Restarting with" in server.log())
        assert server.get().text == b"first"
        (tmp_path / "manage.py").write_text(MANAGE.replace("first", "second"))
        until(lambda: page() == b"second")
        assert server.get(DEBUGGER).text == b"second"


def test_server_passthrough_errors(project):
    with serve(project, "-D", "-R", "--passthrough-errors") as server:
        assert server.get().text == b"first"
        with pytest.raises(ConnectionError):
            server.get("/fail")
        assert server.process.wait(10) == 1
        assert "ZeroDivisionError" in server.log()
