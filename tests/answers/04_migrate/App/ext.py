from flask_migrate import Migrate
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import MetaData
from sqlalchemy.orm import DeclarativeBase


class Base(DeclarativeBase):
    metadata = MetaData(
        naming_convention={
            "pk": "%(table_name)s_pkey",
            "uq": "%(table_name)s_%(column_0_N_name)s_key",
            "fk": "%(table_name)s_%(column_0_name)s_%(referred_table_name)s_fkey",
            "ix": "%(table_name)s_%(column_0_name)s_idx",
        }
    )


sa = SQLAlchemy(model_class=Base, session_options={"expire_on_commit": False})


def init_ext(app):
    sa.init_app(app)
    Migrate(app, sa)
