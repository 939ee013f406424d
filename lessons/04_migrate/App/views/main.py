"""The pages that belong to no feature."""

from flask import Blueprint, render_template

blue = Blueprint("main", __name__)


@blue.get("/")
def home():
    return render_template("home.html")


@blue.get("/hello/<name>")
def hello(name):
    return render_template("hello.html", name=name)
