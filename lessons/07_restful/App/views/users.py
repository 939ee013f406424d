"""The pages with which one becomes a user, comes and goes."""

from flask import Blueprint, redirect, render_template, request, url_for

from App import auth
from App.auth import login_required
from App.models import User
from App.security import is_local

blue = Blueprint("users", __name__)


@blue.get("/register")
def register_form():
    return render_template("register.html")


@blue.post("/register")
def register():
    form = request.form
    try:
        user = User.register(form.get("name", ""), form.get("password", ""))
    except ValueError as error:
        return render_template("register.html", error=error), 400
    auth.log_in(user)
    return redirect(url_for("todos.index"))


@blue.get("/login")
def log_in_form():
    return render_template("login.html")


@blue.post("/login")
def log_in():
    form = request.form
    user = User.with_password(form.get("name", ""), form.get("password", ""))
    if user is None:
        error = "There is no user with this name and password."
        return render_template("login.html", error=error), 400
    auth.log_in(user)
    following = form.get("next", "")
    return redirect(following if is_local(following) else url_for("todos.index"))


@blue.post("/logout")
def log_out():
    auth.log_out()
    return redirect(url_for("main.home"))


@blue.get("/account")
@login_required
def account():
    return render_template("account.html")
