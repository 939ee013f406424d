import os
from datetime import timedelta

KNOWN = "secret"
SECRET_KEY = os.getenv("SECRET_KEY") or KNOWN
SITE_NAME = os.getenv("SITE_NAME") or "Todo list"
HOST, PORT = "127.0.0.1", int(os.getenv("PORT") or 5000)
MAX_CONTENT_LENGTH = 2**16
TEMPLATES_AUTO_RELOAD = True
SQLALCHEMY_DATABASE_URI = os.getenv("DATABASE_URL") or "sqlite:///list.sqlite"
SESSION_COOKIE_NAME = "visit"
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_REFRESH_EACH_REQUEST = False
PERMANENT_SESSION_LIFETIME = timedelta(weeks=2)
STORE = os.getenv("SESSION_TYPE") or "files"
REDIS_URL = os.getenv("REDIS_URL", "redis://localhost")
