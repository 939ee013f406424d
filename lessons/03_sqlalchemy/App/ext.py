"""The objects of other packages, and the one function that binds them to the app."""

import sqlite3

from sqlalchemy import Engine, event

# TODO 3.1: Make db, a SQLAlchemy() of flask_sqlalchemy, and write init_ext(app), which binds it to
#   the app. Call that in create_app().


@event.listens_for(Engine, "connect")
def set_up_sqlite(connection, record):
    """Let requests read while one writes, and let two that write wait for each other."""
    if isinstance(connection, sqlite3.Connection):
        connection.execute("PRAGMA busy_timeout = 10000")  # milliseconds
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA cache_size = -20000")  # KiB of what was read, which stay at hand
