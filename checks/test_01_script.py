"""Lesson 1: what the project can do from a terminal."""

from checks.test_00_request import EXAMPLES, examples
from course.answers import Command, expect
from course.site import Site, free_port

SETTING = """
import flask, gc, os
if not os.environ["PORT"]:
    del os.environ["PORT"]
import manage
for app in gc.get_objects():
    if issubclass(type(app), flask.Flask):
        value = app.config.get(os.environ["NAME"])
        print("the text " * isinstance(value, str) + repr(value))
"""


def test_help(site: Site) -> None:
    """Without a command, manage.py lists those that it has."""
    command = site.manage().exits(2)
    for name in ("runserver", "shell"):
        command.prints(name)
    code = "import manage\nprint('nothing ran')"
    site.probe("import manage", code).exits(0).prints("nothing ran")


def test_unknown_command(site: Site) -> None:
    """A command that does not exist is refused."""
    command = site.manage("nosuchcommand").exits(2)
    expect("nosuchcommand" in command.err, command.did, "'nosuchcommand' named", command.err)


def test_port_from_config(site: Site) -> None:
    """Without options, runserver takes its port from the configuration, and that from PORT.

    Only this machine reaches it.
    """
    port = free_port()
    with site.runserver("-R", port=port, env={"PORT": str(port)}) as server:
        expect(server.get("/") == 200, "GET /", "status 200", server.get("/"))
        server.omits("all addresses")
        did = "GET / while another request is under way"
        expect(server.serves_two(), did, "an answer", "none: is the Server threaded=True?")
    setting(site, "PORT", str(port)).prints_line(str(port), f"{port}, a number")
    setting(site, "PORT").prints_line("5000", "5000, a number")
    setting(site, "HOST").prints_line("the text '(127.0.0.1|localhost)'", "127.0.0.1")


def setting(site: Site, name: str, port: str = "") -> Command:
    """Have the app say a setting, with PORT in the environment, or without."""
    words = f"with PORT={port}" if port else "without PORT in the environment"
    did = f'app.config["{name}"] {words}'
    return site.probe(did, SETTING, env={"PORT": port, "NAME": name}).exits(0)


def test_host_and_port(site: Site) -> None:
    """-h and -p win over the configuration, and the debugger is off."""
    port = free_port()
    with site.runserver("-R", "-h", "localhost", "-p", str(port), port=port) as server:
        server.says(f"http://localhost:{port}")
        status = server.get("/console")
        expect(status == 404, "GET /console without -d", "status 404: no debugger", status)


def test_debug(site: Site) -> None:
    """-d turns Werkzeug's debugger on."""
    port = free_port()
    with site.runserver("-d", "-R", "-p", str(port), port=port) as server:
        status = server.get("/console")
        expect(status in (200, 400), "GET /console with -d", "the debugger's answer", status)


def test_reload(site: Site) -> None:
    """-r watches the files."""
    port = free_port()
    with site.runserver("-r", "-p", str(port), port=port) as server:
        server.says("Restarting with")


def test_find(site: Site) -> None:
    """Find TEXT prints id and title, a line for each todo that contains TEXT."""
    examples(site)
    page = site.get("/todos")
    lines = [f"{page.link(title).rpartition('/')[2]} {title}" for title in EXAMPLES]
    site.manage("find", "LEARN").exits(0).prints_lines(1).prints_line(lines[1], lines[1])
    site.manage("find", "zebra").exits(0).prints_lines(0)
    command = site.manage("find", "").exits(0)
    for line in lines:
        command.prints_line(line, line)


def test_find_open(site: Site) -> None:
    """--open leaves out what is done."""
    examples(site)
    for flag in ("--open", "-o"):
        site.manage("find", "l", flag).exits(0).omits("Buy milk").prints("Learn Flask")


def test_find_limit(site: Site) -> None:
    """--limit N prints N lines at most, and N is a number."""
    examples(site)
    for flag in ("--limit", "-n"):
        site.manage("find", "l", flag, "1").exits(0).prints_lines(1)
        site.manage("find", "l", "--open", flag, "1").exits(0).prints("Learn Flask")
        site.manage("find", "l", flag, "0").exits(0).prints_lines(0)
    site.manage("find", "l", "--open", "-n", "0").exits(0).prints_lines(0)
    site.manage("find", "l", "--limit", "many").exits(2)
    site.manage("find").exits(2)


def test_request(site: Site) -> None:
    """A request goes through the app without a server."""
    site.manage("request", "/hello/Ann").exits(0).prints("200 OK").prints("Ann").omits("b'")


def test_request_fails(site: Site) -> None:
    """From status 400 up, the exit code is 1."""
    site.manage("request", "/no/such/page").exits(1).prints("404 NOT FOUND").prints("Not Found")
    for option in ("-X", "--method"):
        command = site.manage("request", option, "POST", "/hello/Ann").exits(1)
        command.prints("405 METHOD NOT ALLOWED")
    site.manage("request", "-X", "POST", "/todos").exits(1).prints("400 BAD REQUEST")
    command = site.manage("request", "-X", "DELETE", "/todos").exits(1)
    command.prints("405 METHOD NOT ALLOWED")


def test_urls(site: Site) -> None:
    """The URL map names every rule with its endpoint."""
    site.get("/")
    command = site.manage("urls").exits(0)
    for rule in site.facts["rules"]:
        command.prints(rule["rule"]).prints(rule["endpoint"])


def test_shell(site: Site) -> None:
    """The shell knows the app and the model."""
    code = "print('app is', app.name, type(app).__name__)\nprint('todo is', Todo.__name__)\n"
    command = site.manage("shell", stdin=code).exits(0)
    command.prints("todo is Todo").prints("app is").prints("Flask")
