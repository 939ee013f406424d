"""Where sessions are kept: SESSION_STORE says it, and the views do not notice."""

import base64
import hashlib
import zlib
from time import time

from cachelib import FileSystemCache, SimpleCache
from flask_session import Session
from flask_session.base import ServerSideSessionInterface
from redis import Redis
from sqlalchemy import delete, insert, select, update

from App.ext import db
from App.models import StoredSession
from App.models.todo import now

STORES = ("cookie", "memory", "files", "database", "redis")


def init_app(app):
    store = app.config["SESSION_STORE"]
    if store not in STORES:
        raise RuntimeError(f"SESSION_TYPE is one of {', '.join(STORES)}, not {store}.")
    if store == "database":
        app.session_interface = DatabaseSessions(app)
    elif store == "redis":
        app.config["SESSION_TYPE"] = "redis"
        app.config["SESSION_REDIS"] = Redis.from_url(app.config["REDIS_URL"])
        Session(app)
    elif store != "cookie":  # that one is Flask's own
        app.config["SESSION_TYPE"] = "cachelib"
        app.config["SESSION_CACHELIB"] = session_cache(app, store)
        Session(app)


def session_cache(app, store):
    if store == "memory":
        return SimpleCache(threshold=100_000)
    # Past its threshold, cachelib deletes the oldest: those people would be logged out. 0 is none.
    return FileSystemCache(f"{app.instance_path}/sessions", threshold=0)


class DatabaseSessions(ServerSideSessionInterface):
    """Sessions in the database, on a connection of their own.

    Flask-Session's own store, "sqlalchemy", commits what a view has left uncommitted, defines its
    table again with every create_app(), and makes it where only a migration should.
    """

    def save_session(self, app, session, response):
        db.session.rollback()  # what a view has not committed must not hold up the database
        super().save_session(app, session, response)

    def _retrieve_session_data(self, store_id):
        alive = StoredSession.expires_at > now()
        query = select(StoredSession.data).where(same_id(store_id), alive)
        with db.engine.connect() as connection:
            data = connection.scalar(query)
        return self.serializer.decode(data) if data else None

    def _upsert_session(self, session_lifetime, session, store_id):
        values = {"data": self.serializer.encode(session), "expires_at": now() + session_lifetime}
        with db.engine.begin() as connection:
            changed = connection.execute(update(StoredSession).where(same_id(store_id)), values)
            if not changed.rowcount:
                new = insert(StoredSession).values(id=hashed(store_id))
                connection.execute(new, values)

    def _delete_session(self, store_id):
        with db.engine.begin() as connection:
            connection.execute(delete(StoredSession).where(same_id(store_id)))


def hashed(store_id):
    return hashlib.sha256(store_id.encode()).hexdigest()


def same_id(store_id):
    return StoredSession.id == hashed(store_id)


def delete_expired(app):
    """Delete the sessions that have expired. Redis does so by itself; the rest leave no trace."""
    if app.config["SESSION_STORE"] == "files":
        app.config["SESSION_CACHELIB"]._remove_expired(time())  # cachelib has no public name for it
    elif app.config["SESSION_STORE"] == "database":
        with db.engine.begin() as connection:
            connection.execute(delete(StoredSession).where(StoredSession.expires_at <= now()))


def read_cookie(cookie):
    """Return what Flask's own session cookie holds. No key is needed: it is signed, not encrypted.

    Raises ValueError where it is no such cookie.
    """
    payload = cookie.removeprefix(".").partition(".")[0]
    data = base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4))
    try:
        return (zlib.decompress(data) if cookie.startswith(".") else data).decode()
    except zlib.error as error:
        raise ValueError(error) from error
