"""The error pages of the whole app, for every error that HTTP has a status for."""

from flask import render_template
from sqlalchemy.orm.exc import StaleDataError
from werkzeug.exceptions import BadHost, HTTPException, NotFound, SecurityError

from App.ext import db


def init_app(app):
    app.register_error_handler(HTTPException, show_error)
    app.register_error_handler(StaleDataError, show_gone)
    for error in (BadHost, SecurityError):  # without a host of ours, no page can have links
        app.register_error_handler(error, error.get_response)


def show_error(error):
    db.session.rollback()  # what has failed is given up: the page may read the database too
    response = error.get_response()  # has the error's headers too: a 405 says what is allowed
    response.data = render_template("error.html", error=error)
    return response


def show_gone(error):
    """Someone else has deleted, a moment before, what was to be changed."""
    return show_error(NotFound())
