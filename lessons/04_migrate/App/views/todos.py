"""The pages of the todos, all below /todos."""

from flask import Blueprint, abort, redirect, render_template, request, url_for

from App.models import Todo

blue = Blueprint("todos", __name__, url_prefix="/todos")


@blue.get("")
def index():
    return show_list(request.args.get("q", ""))


@blue.post("")
def add():
    try:
        Todo.add(request.form.get("title", ""))
    except ValueError as error:
        return show_list("", error=error), 400
    return redirect(url_for("todos.index"))


@blue.get("/<int:todo_id>")
def show(todo_id):
    return render_template("todo.html", todo=get_or_404(todo_id))


# TODO 4.5: Take `priority` from the form. One that is not sent stays as it is; one that is none of
#   the three, also an empty one, is refused with status 400.
@blue.post("/<int:todo_id>")
def change(todo_id):
    todo = get_or_404(todo_id)
    try:
        todo.change(request.form.get("title", ""), "completed" in request.form)
    except ValueError as error:
        return render_template("todo.html", todo=todo, error=error), 400
    return redirect(url_for("todos.index"))


@blue.post("/<int:todo_id>/delete")
def delete(todo_id):
    get_or_404(todo_id).delete()
    return redirect(url_for("todos.index"))


def show_list(q, error=None):
    before, after = (request.args.get(name, type=int) for name in ("before", "after"))
    page = Todo.page(q, before, after)
    return render_template("todos.html", page=page, q=q, error=error)


def get_or_404(todo_id):
    return Todo.get(todo_id) or abort(404)
