"""The configuration. What differs from one machine to another comes from the environment."""

import os

HOST = "127.0.0.1"
PORT = int(os.environ.get("PORT", "5000"))
SITE_NAME = os.environ.get("SITE_NAME", "Todo list")
MAX_CONTENT_LENGTH = 64 * 1024
TEMPLATES_AUTO_RELOAD = True
# TODO 3.1: Set SQLALCHEMY_DATABASE_URI: the environment's DATABASE_URL, else "sqlite:///todos.db".
#   Set SQLALCHEMY_ENGINE_OPTIONS to {"pool_pre_ping": True}.
