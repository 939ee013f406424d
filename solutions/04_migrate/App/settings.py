"""The configuration. What differs from one machine to another comes from the environment."""

import os

HOST = "127.0.0.1"
PORT = int(os.environ.get("PORT", "5000"))
SITE_NAME = os.environ.get("SITE_NAME", "Todo list")
MAX_CONTENT_LENGTH = 64 * 1024
TEMPLATES_AUTO_RELOAD = True
SQLALCHEMY_DATABASE_URI = os.environ.get("DATABASE_URL", "sqlite:///todos.db")  # in instance/
SQLALCHEMY_ENGINE_OPTIONS = {"pool_pre_ping": True}  # PostgreSQL may have closed a connection
