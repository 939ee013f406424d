from flask_sqlalchemy import SQLAlchemy

sa = SQLAlchemy()


def init_ext(app):
    for extension in [sa]:
        extension.init_app(app)
