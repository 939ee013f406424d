"""Lesson 1, another way: a class for each command."""

import legacy

import sys

import flask_script as script
from werkzeug.test import Client

import app as application
from app import Todo, app, store

manager = script.Manager(lambda: app)


class Find(script.Command):
    """Find todos by their title."""

    option_list = [
        script.Option("text"),
        script.Option("--open", "-o", action="store_true"),
        script.Option("--limit", "-n", type=int),
    ]

    def run(self, text, open, limit):
        rows = [row for row in store.rows if text.lower() in row["title"].lower()]
        if open:
            rows = [row for row in rows if not row["completed"]]
        sys.stdout.write("".join(f"{row['id']} {row['title']}\n" for row in rows[slice(limit)]))


class Request(script.Command):
    """Ask the app for a page."""

    def get_options(self):
        return [script.Option("path"), script.Option("--method", "-X", default="GET")]

    def run(self, path, method):
        answer = Client(app).open(path, method=method.upper())
        print(answer.status, answer.text, sep="\n")
        if answer.status_code >= 400:
            sys.exit(1)


class Urls(script.Command):
    """List the rules."""

    def run(self):
        for rule in app.url_map.iter_rules():
            print(f"{rule.endpoint:20} {rule.rule}")


class Server(script.Server):
    """The development server, on the port of the configuration."""

    def __init__(self):
        host, port = app.config["HOST"], app.config["PORT"]
        super().__init__(host, port, threaded=True, use_reloader=True)


manager.add_command("find", Find)
manager.add_command("request", Request())
manager.add_command("urls", Urls())
manager.add_command("runserver", Server())
manager.add_command(
    "shell", script.Shell(banner="Hi", make_context=lambda: {"todos": store, **vars(application)})
)

if __name__ == "__main__":
    manager.run()
