"""Lesson 4, another way: the transaction begins in env.py, and the column comes in two steps."""

import time

from flask import Flask, g, render_template
from werkzeug.exceptions import HTTPException

from .ext import init_ext
from .pages import pages
from .todo_pages import todo_pages


def create_app(settings=None):
    app = Flask("App")
    app.config.from_pyfile("settings.py")
    if settings:
        app.config.update(settings)
    app.register_blueprint(pages)
    app.register_blueprint(todo_pages, url_prefix="/todos")
    init_ext(app)

    @app.before_request
    def before():
        g.began = time.monotonic_ns()

    @app.after_request
    def after(response):
        took = (time.monotonic_ns() - g.began) / 1_000_000
        response.headers["Server-Timing"] = f"app;dur={took}"
        return response

    @app.errorhandler(HTTPException)
    def error_page(error):
        headers = [(k, v) for k, v in error.get_headers() if k.lower() != "content-type"]
        return render_template("pages/oops.html", error=error), error.code, headers

    return app
