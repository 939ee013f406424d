"""What the app is about: todos and users, the sessions that say who is who, and numbers."""

from App.models.csv_file import read_csv
from App.models.statistics import statistics
from App.models.stored_session import StoredSession
from App.models.text import clean
from App.models.todo import TITLE_LENGTH, Todo, now
from App.models.user import User

__all__ = [
    "TITLE_LENGTH",
    "StoredSession",
    "Todo",
    "User",
    "clean",
    "now",
    "read_csv",
    "statistics",
]
