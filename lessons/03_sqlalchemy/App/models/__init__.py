"""What the app is about: todos."""

from App.models.todo import Todo, add, change, delete, search, todos

__all__ = ["Todo", "add", "change", "delete", "search", "todos"]
