import os

SITE_NAME = os.getenv("SITE_NAME") or "Todo list"
HOST, PORT = "127.0.0.1", int(os.getenv("PORT") or 5000)
MAX_CONTENT_LENGTH = 2**16
TEMPLATES_AUTO_RELOAD = True
SQLALCHEMY_DATABASE_URI = os.getenv("DATABASE_URL") or "sqlite:///list.sqlite"
