"""The pages with which one becomes a user, comes and goes."""

from flask import Blueprint, render_template

blue = Blueprint("users", __name__)


@blue.get("/register")
def register_form():
    return render_template("register.html")


# TODO 5.4: Write register(), which answers POST /register: the fields are name and password. It
#   redirects to /todos; what is refused is told on the form, with status 400.
# TODO 5.5: Whoever has registered is logged in.


# TODO 5.5: Write log_in_form(), GET /login, and log_in(), POST /login, which redirects to /todos.
#   A wrong name and a wrong password get the same answer: login.html with an `error`, status 400.


# TODO 5.5: Write log_out(), POST /logout, which redirects to /, and account(), GET /account.
# TODO 5.6: Guard account() with login_required. After the login, go where the form's field `next`
#   says, if that is on this site.
