"""The objects of other packages, and the one function that binds them to the app."""

import sqlite3

from flask_caching import Cache
from flask_migrate import Migrate
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import Engine, MetaData, event

# A constraint without a name can be made, but no migration can drop or change it.
NAMES = {
    "pk": "pk_%(table_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
}

# TODO 7.3: The API answers with the todo that it has just written. Have what was written not read
#   from the database again for that: session_options={"expire_on_commit": False}.
db = SQLAlchemy(metadata=MetaData(naming_convention=NAMES))
migrate = Migrate(transactional_ddl=True)
cache = Cache()
CACHE_TYPES = ("FileSystemCache", "SimpleCache", "RedisCache", "NullCache")


def init_ext(app):
    if app.config["CACHE_TYPE"] not in CACHE_TYPES:
        raise RuntimeError(f"CACHE_TYPE is one of {', '.join(CACHE_TYPES)}, written like this.")
    app.config.setdefault("CACHE_DIR", f"{app.instance_path}/cache")
    db.init_app(app)
    migrate.init_app(app, db)
    cache.init_app(app)


@migrate.configure
def migrate_whole_or_not_at_all(config):
    """Have SQLite undo a migration that fails, as PostgreSQL does: Python's driver must be told.

    Its foreign keys rest meanwhile, because SQLite changes a table by making it anew.
    """
    if db.engine.dialect.name == "sqlite":
        event.listen(db.engine, "begin", begin_migration, once=True)
    return config


def begin_migration(connection):
    connection.exec_driver_sql("PRAGMA foreign_keys = OFF")
    connection.exec_driver_sql("BEGIN IMMEDIATE")
    event.listen(db.engine, "checkin", end_migration, once=True)  # when it is given back


def end_migration(connection, record):
    connection.execute("PRAGMA foreign_keys = ON")


@event.listens_for(Engine, "connect")
def set_up_sqlite(connection, record):
    """Let requests read while one writes, let two that write wait, and have foreign keys hold."""
    if isinstance(connection, sqlite3.Connection):
        connection.execute("PRAGMA busy_timeout = 10000")  # milliseconds
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA cache_size = -20000")  # KiB of what was read, which stay at hand
        connection.execute("PRAGMA foreign_keys = ON")
