"""Let Flask-Script run on today's Flask and Python: import this before flask_script.

Flask-Script 2.0.6 is from 2017. It needs three names that are gone by now, and one of its own
has come to clash with Python's. Flask-Migrate has dropped the command that was made for it. Each
is mended below, and only where it is broken.
"""

import argparse
import inspect
import sys
import types

import flask
import flask_migrate.cli

# flask._compat held what differed between Python 2 and 3, and left with Python 2 in Flask 2.0.
# flask_script imports text_type from it: the type of text, which is str.
if not hasattr(flask, "_compat"):
    flask._compat = sys.modules["flask._compat"] = types.ModuleType("flask._compat")
    flask._compat.text_type = str


class RequestContextStack:
    """Flask keeps no stack of contexts any more, so only the current one is ever on top."""

    @property
    def top(self):
        if flask.has_request_context():
            return flask.globals.request_ctx._get_current_object()
        return None


# Gone in Flask 3.0. The `shell` command takes `app` from _request_ctx_stack.top.
if not hasattr(flask, "_request_ctx_stack"):
    flask._request_ctx_stack = RequestContextStack()


def getargspec(func):
    """Return the arguments, the names of * and **, and the defaults; annotations are welcome."""
    spec = inspect.getfullargspec(func)
    if spec.kwonlyargs:
        raise ValueError(f"{func.__name__}: a command has no keyword-only arguments; drop the *")
    return spec[:4]


# Gone in Python 3.11. @manager.command reads a function's arguments with it; it refused every
# function with an annotation, which ours does not.
if not hasattr(inspect, "getargspec"):
    inspect.getargspec = getargspec


def help_if_empty(manager, parser):
    """Have the parser print its help when it is given no arguments."""
    parse_known_args = parser.parse_known_args

    def parse_or_help(args=None, namespace=None):
        if not args:
            parser.print_help()
            parser.exit(2)
        return parse_known_args(args, namespace)

    parser.parse_known_args = parse_or_help


# Manager._patch_argparser keeps a method of its own on the parser as _parse_known_args2. Since
# Python 3.12.8 and 3.13.1 that name is one of argparse's, so every command crashed.
if hasattr(argparse.ArgumentParser, "_parse_known_args2"):
    from flask_script import Manager  # not earlier: it needs the names above

    Manager._patch_argparser = help_if_empty


from flask_script import Command  # noqa: E402 - not earlier: it needs what is mended above


class MigrateCommand(Command):
    """Change the schema of the database, step by step."""

    capture_all_args = True
    help_args = ()  # --help too is for the group to answer

    def run(self, args):
        flask_migrate.cli.db.main(args, prog_name=f"{sys.argv[0]} db")


# Gone in Flask-Migrate 3.0, whose commands have been a group of click's since then: `flask db`.
# This one hands to that group whatever follows `manage.py db`.
if not hasattr(flask_migrate, "MigrateCommand"):
    flask_migrate.MigrateCommand = MigrateCommand
