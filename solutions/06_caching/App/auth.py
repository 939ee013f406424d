"""Who asks: g.user is a User, or None for a guest."""

from functools import wraps

from flask import current_app, g, redirect, request, session, url_for

from App.models import User


def init_app(app):
    app.before_request(load_user)


def load_user():
    g.user = User.get(session.get("user_id"))


def log_in(user):
    """Begin a new session, with an id that whoever knew the old one does not know."""
    session.clear()
    session["user_id"] = user.id
    if hasattr(current_app.session_interface, "regenerate"):  # Flask's own cookie has no id
        current_app.session_interface.regenerate(session)


def log_out():
    session.clear()


def login_required(view):
    """Send guests to the login page, and back when they have logged in."""

    @wraps(view)
    def guarded(*args, **kwargs):
        if g.user is None:
            here = request.script_root + request.full_path.rstrip("?")
            return redirect(url_for("users.log_in_form", next=here))
        return view(*args, **kwargs)

    return guarded
