"""What the app is about: todos."""

from App.models.csv_file import read_csv
from App.models.todo import Todo

__all__ = ["Todo", "read_csv"]
