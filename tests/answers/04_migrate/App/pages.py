from flask import Blueprint, render_template

pages = Blueprint("pages", __name__)


@pages.route("/")
def index():
    return render_template("pages/index.html")


@pages.route("/hello/<user>")
def greet(user):
    return render_template("pages/greet.html", user=user)
