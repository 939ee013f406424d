"""The pages that belong to no feature."""

from flask import Blueprint, render_template

blue = Blueprint("main", __name__)


# TODO 5.1: Count in `session` how often this browser has been here, and show it on the page: "You
#   have been here 2 times."
@blue.get("/")
def home():
    return render_template("home.html")


@blue.get("/hello/<name>")
def hello(name):
    return render_template("hello.html", name=name)
