"""The project's command line: python manage.py COMMAND."""

import legacy  # restores what flask_script misses in today's Flask, so it comes first

import os

from click import progressbar
from flask_migrate import MigrateCommand
from flask_script import Command, Manager, Server
from flask_script.commands import ShowUrls

from App import cookies, create_app, sessions
from App.ext import cache, db
from App.models import Todo, User, read_csv

app = create_app({"APP_ENV": os.environ.get("APP_ENV", "development")})
manager = Manager(app)
manager.add_command(
    "runserver", Server(host=app.config["HOST"], port=app.config["PORT"], threaded=True)
)
manager.add_command("urls", ShowUrls())
manager.add_command("db", MigrateCommand)


@manager.option("text", help="what the title contains")
@manager.option("-o", "--open", dest="only_open", action="store_true", help="not what is done")
@manager.option("-n", "--limit", type=int, default=10, help="how many at most (default: 10)")
def find(text, only_open, limit):
    """Print the todos whose title contains TEXT."""
    for todo in Todo.find(text, only_open, limit):
        print(todo.id, todo.title)


@manager.option("number", type=int, help="how many todos to add")
def seed(number):
    """Add many todos, to see how the pages fare with them."""
    with progressbar(length=max(number, 0), label="Adding todos") as bar:
        for added in Todo.seed(number):
            bar.update(added)


def import_file(path):
    """Add the todos of a CSV file, or none if a line of it is wrong."""
    try:
        rows = read_csv(path)
    except OSError as error:
        return f"{path} cannot be read: {error.strerror}."
    except ValueError as error:
        return f"{path}: {error} Nothing was imported."
    Todo.add_all(rows)
    print(f"Todos imported: {len(rows)}")


manager.add_command("import", Command(import_file))  # no function can be called import


@manager.command
def read_cookie(cookie):
    """Print what a session cookie of Flask's own tells to anyone who has it."""
    try:
        print(cookies.read(cookie))
    except ValueError:
        return "This is not a session cookie of Flask's own."


@manager.command
def clean_sessions():
    """Delete the sessions that have expired."""
    sessions.delete_expired(app)


@manager.command
def clear_cache():
    """Forget everything that the cache keeps."""
    cache.clear()


@manager.option("path", help="what to ask for, such as /todos?q=milk")
@manager.option("-X", "--method", default="GET", help="the HTTP method (default: GET)")
def request(path, method):
    """Send a request through the app. The exit code is 1 where the status is 400 or more."""
    response = app.test_client().open(path, method=method)
    print(response.status)
    print(response.get_data(as_text=True))
    return int(response.status_code >= 400)


@manager.shell
def shell_names():
    return {"app": app, "db": db, "Todo": Todo, "User": User}


if __name__ == "__main__":
    manager.run()
