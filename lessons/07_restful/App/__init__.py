"""The todo list as a package: create_app() puts its parts together."""

from flask import Flask

from App import auth, errors, security, sessions, timing
from App.ext import init_ext
from App.views import main, stats, todos, users


def create_app(settings=None):
    """Return a new app. `settings` is a dict whose values replace those of settings.py."""
    app = Flask(__name__)
    app.config.from_object("App.settings")
    app.config.from_mapping(settings or {})
    init_ext(app)
    timing.init_app(app)
    security.init_app(app)
    sessions.init_app(app)
    auth.init_app(app)
    app.register_blueprint(main.blue)
    app.register_blueprint(todos.blue)
    app.register_blueprint(users.blue)
    app.register_blueprint(stats.blue)
    # TODO 7.1: Register the blueprint of App/apis.
    errors.init_app(app)
    return app
