"""A user, whose password is known to nobody else."""

from sqlalchemy import String, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Mapped, mapped_column
from werkzeug.security import check_password_hash, generate_password_hash

from App.ext import db
from App.models.text import clean

NAME_LENGTH = 40
NOBODY = (
    "scrypt:32768:8:1$AmzWyiiVIpQrOyHt$"
    "129083d0af69d2b95db1713ce1407439064e0ec9065d11dbc50938cbc42b9f13"
    "319d2d5489cd6abc2933a8e3dcb695034502fb6d1806123179cec1ccdf528845"
)
"""The hash of a password that nobody has."""


class User(db.Model):
    """Someone who can log in."""

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(NAME_LENGTH), unique=True)
    password_hash: Mapped[str] = mapped_column(String(200))

    @classmethod
    def get(cls, user_id):
        return db.session.get(cls, user_id) if user_id else None

    @classmethod
    def register(cls, name, password):
        """Add a user, or raise ValueError where the name or the password will not do."""
        if not 8 <= len(password) <= 200:
            raise ValueError("A password has 8 to 200 characters.")
        name = clean("name", name, NAME_LENGTH)
        user = cls(name=name, password_hash=generate_password_hash(password))
        db.session.add(user)
        try:
            db.session.commit()
        except IntegrityError:
            db.session.rollback()
            raise ValueError("Someone else has that name.") from None
        return user

    @classmethod
    def with_password(cls, name, password):
        """Return the user, or None. It takes as long when it is the name that nobody has."""
        named = select(cls).where(cls.name == name.strip().replace("\0", ""))
        user = db.session.scalar(named)
        right = check_password_hash(user.password_hash if user else NOBODY, password)
        return user if user and right else None
