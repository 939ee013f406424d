from flask import Blueprint, render_template, session

pages = Blueprint("pages", __name__)


@pages.route("/")
def index():
    visits = session.setdefault("visits", [])
    visits.append("here")
    session.modified = True
    return render_template("pages/index.html", visits=len(visits))


@pages.route("/hello/<user>")
def greet(user):
    return render_template("pages/greet.html", user=user)
