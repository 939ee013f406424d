"""Lesson 4, another way: commands as classes, and a context made by hand."""

import legacy

import sys

from flask import current_app
from flask_migrate import MigrateCommand
from flask_script import Command, Manager, Option, Server, Shell
from flask_script.commands import ShowUrls

import App
from App import models

app = App.create_app()
manager = Manager(app)
manager.add_command("runserver", Server(app.config["HOST"], app.config["PORT"], threaded=True))
manager.add_command("urls", ShowUrls)
manager.add_command("db", MigrateCommand())
manager.add_command("shell", Shell(make_context=lambda: dict(app=app, Todo=models.Todo)))


@manager.option("-n", "--limit", type=int, default=None)
@manager.option("-o", "--open", dest="undone", action="store_true")
@manager.option("text")
def find(text, undone, limit):
    hits = [row for row in models.containing(text) if not (undone and row.completed)]
    for row in hits[:limit]:
        print(f"{row.id} {row.title}")


@manager.option("path")
@manager.option("-X", "--method", default="GET")
def request(path, method):
    with current_app.test_client() as client:
        answer = client.open(path, method=method)
    print(answer.status)
    print(answer.text)
    sys.exit(answer.status_code >= 400)


@manager.option("count", type=int)
def seed(count):
    models.fill(count, say=lambda done: print(f"{done} of {count}", end="\r"))


class Import(Command):
    """Read todos from a file."""

    option_list = (Option("path"),)

    def run(self, path):
        try:
            models.load(path)
        except (OSError, ValueError) as error:
            sys.exit(str(error))


manager.add_command("import", Import())

if __name__ == "__main__":
    manager.run()
