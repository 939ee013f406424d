"""A todo, and the todos of this process: they are gone when it ends."""

from dataclasses import dataclass
from itertools import count


@dataclass
class Todo:
    """One thing to do."""

    id: int
    title: str
    completed: bool = False


todos = {1: Todo(1, "Buy milk", completed=True), 2: Todo(2, "Learn Flask")}
new_ids = count(3)


def valid_title(title):
    """Return `title` trimmed, or raise ValueError."""
    title = title.strip()
    if not 1 <= len(title) <= 200:
        raise ValueError("A title has 1 to 200 characters.")
    return title


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
