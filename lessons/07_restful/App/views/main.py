"""The pages that belong to no feature."""

from flask import Blueprint, render_template, session

blue = Blueprint("main", __name__)


@blue.get("/")
def home():
    session["visits"] = session.get("visits", 0) + 1
    return render_template("home.html", visits=session["visits"])


@blue.get("/hello/<name>")
def hello(name):
    return render_template("hello.html", name=name)
