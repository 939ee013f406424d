"""The pages of the todos, all below /todos."""

from flask import Blueprint, abort, redirect, render_template, request, url_for

from App import models

blue = Blueprint("todos", __name__, url_prefix="/todos")


# TODO 3.3: Let each view call a method of Todo: no query and no commit stands in this file.
# TODO 3.6: Show a page of 20: ?before=ID and ?after=ID, both numbers, say where it begins.
@blue.get("")
def index():
    q = request.args.get("q", "")
    return render_template("todos.html", todos=models.search(q), q=q)


@blue.post("")
def add():
    try:
        models.add(request.form.get("title", ""))
    except ValueError as error:
        return render_template("todos.html", todos=models.search(""), error=error), 400
    return redirect(url_for("todos.index"))


@blue.get("/<int:todo_id>")
def show(todo_id):
    return render_template("todo.html", todo=get_or_404(todo_id))


@blue.post("/<int:todo_id>")
def change(todo_id):
    todo = get_or_404(todo_id)
    try:
        models.change(todo, request.form.get("title", ""), "completed" in request.form)
    except ValueError as error:
        return render_template("todo.html", todo=todo, error=error), 400
    return redirect(url_for("todos.index"))


@blue.post("/<int:todo_id>/delete")
def delete(todo_id):
    models.delete(get_or_404(todo_id))
    return redirect(url_for("todos.index"))


def get_or_404(todo_id):
    return models.todos.get(todo_id) or abort(404)
