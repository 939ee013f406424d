"""A todo, and the todos of this process: they are gone when it ends."""

from dataclasses import dataclass
from itertools import count


# TODO 3.2: Make Todo a db.Model with the columns id, title and completed, and a CheckConstraint
#   for the title: 1 to 200 characters, and not blank. Until task 3.3, todos and add() below stay:
#   a model takes its values by name, Todo(id=1, title="Buy milk", ...).
# TODO 3.4: Add the column created_at: the time in UTC, read anew for each row.
@dataclass
class Todo:
    """One thing to do."""

    id: int
    title: str
    completed: bool = False


# TODO 3.3: Delete todos and new_ids: the todos are in the database now. Make search, add, change
#   and delete methods of Todo, and write one more, get(id). search gives the newest first, add
#   returns the new todo. clean() in text.py does what valid_title did, and refuses control
#   characters as well.
todos = {1: Todo(1, "Buy milk", completed=True), 2: Todo(2, "Learn Flask")}
new_ids = count(3)


def valid_title(title):
    """Return `title` trimmed, or raise ValueError."""
    title = title.strip()
    if not 1 <= len(title) <= 200:
        raise ValueError("A title has 1 to 200 characters.")
    return title


# TODO 3.6: Write a method for a page of 20 todos: the newest, those before an id, or after one.
# TODO 3.8: Have %, _ and \ in q mean themselves, and let a q that is too long for a title, or has a
#   NUL in it, find nothing.
def search(q):
    """Return the todos whose title contains `q`, in capitals or not."""
    return [todo for todo in todos.values() if q.casefold() in todo.title.casefold()]


def add(title):
    todo_id = next(new_ids)
    todos[todo_id] = Todo(todo_id, valid_title(title))


def change(todo, title, completed):
    todo.title = valid_title(title)
    todo.completed = completed


def delete(todo):
    todos.pop(todo.id, None)
