"""Where sessions are: one function for each store."""

import contextlib
import datetime
import hashlib
import time

import flask_session.base
import redis
from cachelib import FileSystemCache, SimpleCache

from .ext import sa, sessions


class Visit(sa.Model):
    key = sa.Column(sa.Text, primary_key=True)
    content = sa.Column(sa.LargeBinary, nullable=False)
    until = sa.Column(sa.Float, nullable=False)


class InTheDatabase(flask_session.base.ServerSideSessionInterface):
    def save_session(self, app, session, response):
        sa.session.remove()
        super().save_session(app, session, response)

    @contextlib.contextmanager
    def one(self, store_id):
        with sa.engine.begin() as connection:
            yield connection, Visit.key == hashlib.blake2b(store_id.encode()).hexdigest()

    def _retrieve_session_data(self, store_id):
        with self.one(store_id) as (connection, this):
            query = sa.select(Visit.content).where(this, Visit.until > time.time())
            found = connection.scalar(query)
        return found and self.serializer.decode(found)

    def _delete_session(self, store_id):
        with self.one(store_id) as (connection, this):
            connection.execute(sa.delete(Visit).where(this))

    def _upsert_session(self, session_lifetime, session, store_id):
        values = {
            "key": hashlib.blake2b(store_id.encode()).hexdigest(),
            "content": self.serializer.encode(session),
            "until": time.time() + session_lifetime / datetime.timedelta(seconds=1),
        }
        with self.one(store_id) as (connection, this):
            connection.execute(sa.delete(Visit).where(this))
            connection.execute(sa.insert(Visit), [values])


def cookie(app):
    pass


def memory(app):
    cachelib(app, SimpleCache(threshold=10**6))


def files(app):
    cachelib(app, FileSystemCache(app.instance_path + "/visits", threshold=10**6))


def database(app):
    app.session_interface = InTheDatabase(app)


def in_redis(app):
    app.config.update(SESSION_TYPE="redis", SESSION_REDIS=redis.from_url(app.config["REDIS_URL"]))
    sessions.init_app(app)


def cachelib(app, cache):
    app.config.update(SESSION_TYPE="cachelib", SESSION_CACHELIB=cache)
    sessions.init_app(app)


STORES = {each.__name__: each for each in (cookie, memory, files, database)} | {"redis": in_redis}


def init_app(app):
    try:
        STORES[app.config["STORE"]](app)
    except KeyError as error:
        raise SystemExit(f"No such SESSION_TYPE: {error}. Use: {' '.join(STORES)}") from None


def clean(app):
    if app.config["STORE"] == "database":
        with sa.engine.begin() as connection:
            connection.execute(sa.delete(Visit).where(Visit.until < time.time()))
    elif app.config["STORE"] == "files":
        app.session_interface.cache._remove_expired(time.time())
