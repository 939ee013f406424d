import re

from flask import Blueprint, current_app, g, redirect, render_template, request, session, url_for
from flask.views import MethodView

from . import models

accounts = Blueprint("accounts", __name__)
private = Blueprint("private", __name__)


class Door(MethodView):
    """A form for name and password; `knock` returns a member, or None."""

    def __init__(self, knock, words):
        self.knock, self.words = knock, words

    def get(self, status=200):
        following = request.values.get("next", "")
        return render_template("pages/door.html", words=self.words, following=following), status

    def post(self):
        member = self.knock(request.form.get("name", ""), request.form.get("password", ""))
        if member is None:
            return self.get(400)
        remember(member)
        following = request.form.get("next", "")
        here = re.fullmatch(r"/(?![/\\])[!-\[\]-~]*", following)
        return redirect(following if here else url_for("items.list"), 303)


def remember(member):
    session.clear()
    session["who"] = member.id
    regenerate = getattr(current_app.session_interface, "regenerate", None)
    if regenerate:
        regenerate(session)


accounts.add_url_rule("/register", view_func=Door.as_view("join", models.join, "Register"))
accounts.add_url_rule("/login", view_func=Door.as_view("enter", models.enter, "Log in"))


@accounts.route("/logout", methods=["POST"])
def leave():
    session.clear()
    return redirect(url_for("pages.index"), 303)


@private.before_request
def members_only():
    if g.user is None:
        query = request.query_string.decode()
        path = request.script_root + request.path + (f"?{query}" if query else "")
        return redirect(url_for("accounts.enter", next=path), 303)


@private.route("/account")
def account():
    return render_template("pages/me.html")
