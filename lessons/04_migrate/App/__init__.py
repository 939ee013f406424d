"""The todo list as a package: create_app() puts its parts together."""

from flask import Flask

from App import errors, timing
from App.ext import init_ext
from App.views import main, todos


def create_app(settings=None):
    """Return a new app. `settings` is a dict whose values replace those of settings.py."""
    app = Flask(__name__)
    app.config.from_object("App.settings")
    app.config.from_mapping(settings or {})
    init_ext(app)
    timing.init_app(app)
    app.register_blueprint(main.blue)
    app.register_blueprint(todos.blue)
    errors.init_app(app)
    return app
