import os
import time

from flask import Flask, abort, g, jsonify, make_response, render_template, request, session
from werkzeug.exceptions import HTTPException

from . import models, stores
from .accounts import accounts, private
from .api import programs
from .ext import init_ext
from .numbers import number_pages
from .pages import pages
from .todo_pages import todo_pages


def create_app(settings=None):
    app = Flask("App")
    app.config.from_pyfile("settings.py")
    if settings:
        app.config.update(settings)
    if os.environ.get("APP_ENV") != "development":
        app.config["SESSION_COOKIE_SECURE"] = True
        if not os.environ.get("SECRET_KEY") or app.secret_key == app.config["KNOWN"]:
            raise SystemExit("Please set SECRET_KEY to something secret.")
    for blueprint in (pages, todo_pages, accounts, private, number_pages):
        app.register_blueprint(blueprint)
    app.register_blueprint(programs, url_prefix="/api")
    init_ext(app)
    stores.init_app(app)

    @app.before_request
    def before():
        g.began = time.monotonic_ns()
        g.user = None
        g.program = request.path.startswith("/api/")
        if request.method == "POST" and foreign() and not g.program:
            abort(403)
        if "who" in session and not (g.program and foreign()):
            g.user = models.sa.session.get(models.Member, session["who"])

    @app.after_request
    def after(response):
        took = (time.monotonic_ns() - g.began) / 1_000_000
        response.headers["Server-Timing"] = f"app;dur={took}"
        if g.program:
            open_up(response)
        return response

    @app.errorhandler(HTTPException)
    def error_page(error):
        headers = [(k, v) for k, v in error.get_headers() if k.lower() != "content-type"]
        if g.program:
            told = {"message": error.description, "errors": {}, **getattr(error, "data", {})}
            return make_response(jsonify(told), error.code, headers)
        return render_template("pages/oops.html", error=error), error.code, headers

    return app


def open_up(response):
    response.headers["Access-Control-Allow-Origin"] = request.headers.get("Origin", "*")
    response.vary.add("Origin")
    response.access_control_expose_headers = ["Location", "Link"]
    response.access_control_allow_methods = list(response.allow)
    response.access_control_allow_headers = ["Content-Type"]


def foreign():
    origins = (None, request.host_url.rstrip("/"))
    return (
        request.headers.get("Sec-Fetch-Site", "none") not in ("none", "same-origin")
        or request.headers.get("Origin") not in origins
    )
