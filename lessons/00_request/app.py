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


@app.get("/")
def home():
    return page("Home", '<p>It runs. The list is at <a href="/todos">/todos</a>.</p>')


# TODO 0.1: Write a view for the path /todos. It returns page("Todos", body), where body
#   is an HTML list (<ul>) with one item (<li>) for each todo: its title, escaped.


# TODO 0.2: Write a view for /hello/<name>. It returns a page that says "Hello, NAME!",
#   with the name as text, whatever it contains.


# TODO 0.3: In your view for /todos, read q from the query string: /todos?q=milk shows only
#   the todos whose title contains it, in capitals or not. Put a search form on the page.


# TODO 0.4: Write a view for POST /todos. It takes `title` from the form, trims it, adds a Todo
#   and redirects to /todos. A title that is blank or longer than 200 characters is refused with
#   status 400. Put the form on the page of /todos.


# TODO 0.5: Write a view for /todos/<id>, where the id is a whole number. It shows the todo's
#   title, and answers 404 for an id that is not there. Link to it from the list.


# TODO 0.6: Before each request, note the time in g. After it, give every response a header
#   Server-Timing: app;dur=MILLISECONDS (the milliseconds since then).


if __name__ == "__main__":
    app.run(port=5000, use_reloader=True)
