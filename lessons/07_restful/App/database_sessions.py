"""Sessions in the database, on a connection of their own.

Flask-Session's own store, "sqlalchemy", commits what a view has left uncommitted, defines its
table again with every create_app(), and makes it where only a migration should.
"""

import hashlib

from flask import request
from flask_session.base import ServerSideSessionInterface
from sqlalchemy import delete, insert, select, update

from App.ext import db
from App.models import StoredSession
from App.models.todo import now


class DatabaseSessions(ServerSideSessionInterface):
    """Goes into app.session_interface, which Flask asks for the session of each request."""

    ttl = False  # no session goes away by itself

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
        statement = insert(StoredSession).values(id=hashed(store_id))
        if request.cookies.get(self.get_cookie_name(self.app)) == session.sid:  # it was there
            # Where a logout has deleted it since, this changes no row, and it stays dead.
            statement = update(StoredSession).where(same_id(store_id))
        with db.engine.begin() as connection:
            connection.execute(statement, values)

    def _delete_session(self, store_id):
        with db.engine.begin() as connection:
            connection.execute(delete(StoredSession).where(same_id(store_id)))

    def _delete_expired_sessions(self):
        with db.engine.begin() as connection:
            connection.execute(delete(StoredSession).where(StoredSession.expires_at <= now()))


def hashed(store_id):
    return hashlib.sha256(store_id.encode()).hexdigest()


def same_id(store_id):
    return StoredSession.id == hashed(store_id)
