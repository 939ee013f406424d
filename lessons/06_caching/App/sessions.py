"""Where sessions are kept: SESSION_STORE says it, and the views do not notice."""

from time import time

from cachelib import FileSystemCache, SimpleCache
from flask_session import Session
from redis import Redis

from App.database_sessions import DatabaseSessions

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


def delete_expired(app):
    """Delete the sessions that have expired. Redis does so by itself; the rest leave no trace."""
    if app.config["SESSION_STORE"] == "files":
        app.config["SESSION_CACHELIB"]._remove_expired(time())  # cachelib has no public name for it
    elif app.config["SESSION_STORE"] == "database":
        app.session_interface._delete_expired_sessions()
