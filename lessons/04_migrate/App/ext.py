"""The objects of other packages, and the one function that binds them to the app."""

import sqlite3

from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import Engine, event

db = SQLAlchemy()
# TODO 4.1: Make a Migrate object, and bind it to the app and to db in init_ext().


def init_ext(app):
    db.init_app(app)


# TODO 4.4: Have an upgrade that fails leave the database as it was. Migrate takes
#   transactional_ddl=True. And SQLite must be told BEGIN: a function under @migrate.configure has
#   every transaction of db.engine begin so, where the database is SQLite.
# TODO 4.7: Give db, above, a MetaData with a naming_convention, so that no unique constraint,
#   foreign key, primary key or index is without a name: no migration can change what has none.
@event.listens_for(Engine, "connect")
def set_up_sqlite(connection, record):
    """Let requests read while one writes, and let two that write wait for each other."""
    if isinstance(connection, sqlite3.Connection):
        connection.execute("PRAGMA busy_timeout = 10000")  # milliseconds
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA cache_size = -20000")  # KiB of what was read, which stay at hand
