from sqlite3 import Connection

from flask_migrate import Migrate
from flask_session import Session
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import MetaData, event, pool

NAMES = {
    "pk": "%(table_name)s_pk",
    "uq": "%(table_name)s_%(column_0_N_name)s_uq",
    "fk": "%(table_name)s_%(column_0_N_name)s_fk",
    "ix": "%(table_name)s_%(column_0_N_name)s_ix",
}

sa = SQLAlchemy(metadata=MetaData(naming_convention=NAMES))
migrate = Migrate(transactional_ddl=True)
sessions = Session()


def init_ext(app):
    sa.init_app(app)
    migrate.init_app(app, sa)


@event.listens_for(pool.Pool, "connect")
def keys(connection, _):
    if isinstance(connection, Connection):
        connection.execute("PRAGMA foreign_keys = 1")


@migrate.configure
def all_or_nothing(config):
    @event.listens_for(sa.engine, "begin")
    def begin(connection):
        connection.exec_driver_sql("PRAGMA foreign_keys = 0")
        connection.exec_driver_sql("BEGIN")

    return config
