"""Sessions, where the database keeps them."""

from datetime import datetime

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from App.ext import db


class StoredSession(db.Model):
    """A session. Its id is the hash of the cookie's: reading this table opens nobody's session."""

    __tablename__ = "session"

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    data: Mapped[bytes]
    expires_at: Mapped[datetime] = mapped_column(index=True)
