"""Lesson 2, another way: the commands find the app that is current."""

import legacy

import sys

from flask import current_app
from flask_script import Manager, Server, Shell
from flask_script.commands import ShowUrls

import App
from App.store import Todo, rows

app = App.create_app()
cli = Manager(app)
cli.add_command("runserver", Server(app.config["HOST"], app.config["PORT"], threaded=True))
cli.add_command("urls", ShowUrls)
cli.add_command("shell", Shell(make_context=lambda: dict(app=app, Todo=Todo, todos=rows)))


@cli.option("-n", "--limit", type=int, default=None)
@cli.option("-o", "--open", dest="undone", action="store_true")
@cli.option("text")
def find(text, undone, limit):
    hits = [r for r in rows if text.lower() in r.title.lower() and not (undone and r.done)]
    for row in hits[:limit]:
        print(f"{row.id} {row.title}")


@cli.option("path")
@cli.option("-X", "--method", default="GET")
def request(path, method):
    with current_app.test_client() as client:
        answer = client.open(path, method=method)
    print(answer.status)
    print(answer.text)
    sys.exit(answer.status_code >= 400)


if __name__ == "__main__":
    cli.run()
