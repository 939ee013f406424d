"""The error pages of the whole app, for every error that HTTP has a status for."""

from flask import render_template
from werkzeug.exceptions import HTTPException


def init_app(app):
    app.register_error_handler(HTTPException, show_error)


def show_error(error):
    response = error.get_response()  # has the error's headers too: a 405 says what is allowed
    response.data = render_template("error.html", error=error)
    return response
