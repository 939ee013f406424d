"""What the app is about: todos and users, the sessions that say who is who, and numbers."""

from App.models.csv_file import read_csv
from App.models.statistics import get_statistics
from App.models.stored_session import StoredSession
from App.models.todo import Todo, now
from App.models.user import User

__all__ = ["StoredSession", "Todo", "User", "get_statistics", "now", "read_csv"]
