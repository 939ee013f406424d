"""A todo list in one file: a request arrives, the router picks a view, the view answers."""

from dataclasses import dataclass
from itertools import count
from time import perf_counter

from flask import Flask, abort, g, redirect, request, url_for
from markupsafe import escape

app = Flask(__name__)


@dataclass
class Todo:
    """One thing to do."""

    id: int
    title: str
    completed: bool = False


todos = {1: Todo(1, "Buy milk", completed=True), 2: Todo(2, "Learn Flask")}
new_ids = count(3)


def page(title, body):
    """Return a whole page. Both texts are HTML: escape what came from outside before."""
    return f"""<!doctype html>
<html lang="en">
<head>
  <meta charset="utf-8">
  <meta name="viewport" content="width=device-width, initial-scale=1">
  <title>{title}</title>
  <link rel="stylesheet" href="/static/style.css">
  <link rel="icon" href="data:,">
</head>
<body>
  <nav><a href="/">Home</a> <a href="/todos">Todos</a></nav>
  <main>
    <h1>{title}</h1>
    {body}
  </main>
</body>
</html>
"""


@app.before_request
def start_clock():
    g.started = perf_counter()


@app.after_request
def add_timing(response):
    milliseconds = (perf_counter() - g.started) * 1000
    response.headers["Server-Timing"] = f"app;dur={milliseconds:.3f}"
    return response


@app.get("/")
def home():
    return page("Home", '<p>It runs. The list is at <a href="/todos">/todos</a>.</p>')


@app.get("/hello/<name>")
def hello(name):
    return page("Hello", f"<p>Hello, {escape(name)}!</p>")


def search(q):
    """Return the todos whose title contains `q`, in capitals or not."""
    return [todo for todo in todos.values() if q.casefold() in todo.title.casefold()]


def todo_list(q="", error=""):
    """Return the page with the todos that `q` finds, and both forms."""
    items = "".join(
        f'<li><a href="/todos/{todo.id}">{escape(todo.title)}</a></li>' for todo in search(q)
    )
    alert = f'<p class="error" role="alert">{error}</p>' if error else ""
    return page(
        "Todos",
        f"""<form action="/todos">
      <label for="q">Search</label>
      <input id="q" name="q" value="{escape(q)}">
      <button>Search</button>
    </form>
    <ul>{items}</ul>
    {alert}
    <form action="/todos" method="post">
      <label for="title">New todo</label>
      <input id="title" name="title" required maxlength="200">
      <button>Add</button>
    </form>""",
    )


@app.get("/todos")
def list_todos():
    return todo_list(q=request.args.get("q", ""))


@app.post("/todos")
def add_todo():
    title = request.form.get("title", "").strip()
    if not 1 <= len(title) <= 200:
        return todo_list(error="A title has 1 to 200 characters."), 400
    todo_id = next(new_ids)
    todos[todo_id] = Todo(todo_id, title)
    return redirect(url_for("list_todos"))


@app.get("/todos/<int:todo_id>")
def show_todo(todo_id):
    todo = todos.get(todo_id)
    if todo is None:
        abort(404)
    state = "done" if todo.completed else "open"
    return page(escape(todo.title), f"<p>This todo is {state}.</p>")


if __name__ == "__main__":
    app.run(port=5000, use_reloader=True)
