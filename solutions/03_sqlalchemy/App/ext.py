"""The objects of other packages, and the one function that binds them to the app."""

import sqlite3

from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import Engine, event

db = SQLAlchemy()


def init_ext(app):
    db.init_app(app)


@event.listens_for(Engine, "connect")
def set_up_sqlite(connection, record):
    """Let requests read while one writes, and let two that write wait for each other."""
    if isinstance(connection, sqlite3.Connection):
        connection.execute("PRAGMA busy_timeout = 10000")  # milliseconds
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA cache_size = -20000")  # KiB of what was read, which stay at hand
