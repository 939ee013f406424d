"""The configuration. What differs from one machine to another comes from the environment."""

import os

HOST = "127.0.0.1"
PORT = int(os.environ.get("PORT", "5000"))
SITE_NAME = os.environ.get("SITE_NAME", "Todo list")
MAX_CONTENT_LENGTH = 64 * 1024
TEMPLATES_AUTO_RELOAD = True
SQLALCHEMY_DATABASE_URI = os.environ.get("DATABASE_URL", "sqlite:///todos.db")  # in instance/
SQLALCHEMY_ENGINE_OPTIONS = {"pool_pre_ping": True}  # PostgreSQL may have closed a connection
# TODO 5.1: Set DEVELOPMENT_KEY, any text, and SECRET_KEY: the environment's, else DEVELOPMENT_KEY,
#   also where the environment's is empty.
# TODO 5.2: Set APP_ENV (the environment's, else "production"), and SESSION_COOKIE_SAMESITE: "Lax".
#   PERMANENT_SESSION_LIFETIME: timedelta(days=14). SESSION_REFRESH_EACH_REQUEST: False, so that a
#   request that changes nothing in the session writes nothing.
# TODO 5.3: Set SESSION_STORE (the environment's SESSION_TYPE, else "files") and REDIS_URL (the
#   environment's, else "redis://localhost:6379/0").
