"""Lesson 1, another way: what lesson 0's other way was, with a Todo and a configuration."""

import os
import threading
import time

import flask

app = flask.Flask(__name__)


class Config:
    HOST = "localhost"
    PORT = int(os.environ.get("PORT", 5000))


app.config.from_object(Config)


class Todo(dict):
    """A row of the store."""


class Store:
    """The todos of this process."""

    def __init__(self):
        self.lock = threading.Lock()
        self.rows = []
        self.add("Buy milk")
        self.add("Learn Flask")
        self.rows[0]["completed"] = True

    def add(self, title):
        with self.lock:
            self.rows.append(Todo(id=len(self.rows) + 1, title=title, completed=False))


store = Store()

LAYOUT = """<!doctype html><html lang="en"><title>{{ heading }}</title>
<link rel="stylesheet" href="{{ url_for('static', filename='style.css') }}">
<nav><a href="/">Home</a> <a href="{{ url_for('todos') }}">Todos</a></nav>
<h1>{{ heading }}</h1>"""

LIST = """<ul>{% for row in rows %}<li class="todo">
<a href="{{ url_for('todo', number=row.id) }}"><b>{{ row.title }}</b></a></li>{% endfor %}</ul>
<form method="GET" action="{{ url_for('todos') }}"><input name="q" value="{{ q }}"></form>
<form method="POST" action="{{ url_for('todos') }}"><input name="title"><button>+</button></form>"""


def render(heading, body, **values):
    return flask.render_template_string(LAYOUT + body, heading=heading, **values)


@app.route("/")
def home():
    return render("Home", "<p>Welcome</p>")


@app.route("/hello/<path:who>")
def hello(who):
    return render("Hello", "<p>Hello, <em>{{ who }}</em>!</p>", who=who)


@app.route("/todos", methods=["GET", "POST"])
def todos():
    status = 200
    if flask.request.method == "POST":
        title = " ".join(flask.request.form.get("title", default="").split())
        if 0 < len(title) < 201:
            store.add(title)
            return flask.redirect("/todos", code=303)
        status = 400
    q = flask.request.args.get("q", "")
    rows = [row for row in store.rows if q.lower() in row["title"].lower()]
    return render("Todos", LIST, rows=rows, q=q), status


@app.route("/todos/<number>")
def todo(number):
    for row in store.rows:
        if str(row["id"]) == number:
            return render("Todo", "<p>{{ row.title }}</p>", row=row)
    flask.abort(404)


@app.before_request
def before():
    flask.g.clock = time.time_ns()


@app.after_request
def after(response):
    response.headers["Server-Timing"] = f"app;dur={(time.time_ns() - flask.g.clock) / 1e6}"
    return response
