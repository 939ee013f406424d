from flask_sqlalchemy import SQLAlchemy

sa = SQLAlchemy(session_options={"expire_on_commit": False})


def init_ext(app):
    for extension in [sa]:
        extension.init_app(app)
