"""Lesson 6, another way: no memoize, plain SQL, and the mark of a write kept beside the numbers."""

import legacy

import os
import sys

from flask_migrate import MigrateCommand
from flask_script import Command, Manager, Option, Server, Shell
from flask_script.commands import ShowUrls

os.environ.setdefault("APP_ENV", "development")

import App
from App import cookies, ext, models, stores

app = App.create_app()
manager = Manager(app)
manager.add_command("db", MigrateCommand)
manager.add_command("runserver", Server(app.config["HOST"], app.config["PORT"], threaded=True))
manager.add_command("urls", ShowUrls)
names = dict(app=app, Todo=models.Todo, User=models.Member)
manager.add_command("shell", Shell(make_context=lambda: names))


@manager.option("-n", "--limit", type=int, default=None)
@manager.option("-o", "--open", dest="undone", action="store_true")
@manager.option("text")
def find(text, undone, limit):
    hits = [row for row in models.everything(text) if not (undone and row.completed)]
    for row in hits[:limit]:
        print(f"{row.id} {row.title}")


@manager.option("path")
@manager.option("-X", "--method", default="GET")
def request(path, method):
    answer = app.test_client().open(path, method=method)
    print(answer.status)
    print(answer.text)
    sys.exit(answer.status_code >= 400)


@manager.option("count", type=int)
def seed(count):
    models.fill(count)


@manager.option("cookie")
def read_cookie(cookie):
    """Show what is in a cookie."""
    try:
        sys.stdout.write(cookies.read(cookie) + "\n")
    except ValueError:
        sys.exit("No session in there.")


@manager.command
def clear_cache():
    """Empty the shelf."""
    ext.shelf.clear()


class Clean(Command):
    """Throw away what has expired."""

    def run(self):
        stores.clean(app)


class Import(Command):
    """Read todos from a file."""

    option_list = (Option("path"),)

    def run(self, path):
        try:
            models.load(path)
        except (OSError, ValueError) as error:
            sys.exit(str(error))


manager.add_command("import", Import())
manager.add_command("clean_sessions", Clean())

if __name__ == "__main__":
    manager.run()
