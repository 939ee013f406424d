"""The configuration. What differs from one machine to another comes from the environment."""

import os
from datetime import timedelta

APP_ENV = os.environ.get("APP_ENV", "production")
DEVELOPMENT_KEY = "known to everyone who reads this"
SECRET_KEY = os.environ.get("SECRET_KEY") or DEVELOPMENT_KEY
HOST = "127.0.0.1"
PORT = int(os.environ.get("PORT", "5000"))
SITE_NAME = os.environ.get("SITE_NAME", "Todo list")
MAX_CONTENT_LENGTH = 64 * 1024
TEMPLATES_AUTO_RELOAD = True
SQLALCHEMY_DATABASE_URI = os.environ.get("DATABASE_URL", "sqlite:///todos.db")  # in instance/
SQLALCHEMY_ENGINE_OPTIONS = {"pool_pre_ping": True}  # PostgreSQL may have closed a connection
REDIS_URL = os.environ.get("REDIS_URL", "redis://localhost:6379/0")
SESSION_STORE = os.environ.get("SESSION_TYPE", "files")  # cookie, memory, files, database, redis
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_REFRESH_EACH_REQUEST = False
PERMANENT_SESSION_LIFETIME = timedelta(days=14)
CACHE_TYPE = os.environ.get("CACHE_TYPE", "FileSystemCache")  # which all processes share
CACHE_REDIS_URL = REDIS_URL
CACHE_KEY_PREFIX = "todo_cache_"  # in Redis, what else is there stays when this is cleared
CACHE_DEFAULT_TIMEOUT = 60 * 60  # seconds
CACHE_NO_NULL_WARNING = True
