"""The todos as resources, as the contract of Todo-Backend has them."""

from flask import abort, g, url_for
from flask_restful import Resource, fields, marshal

from App.apis.reading import MAX_PAGE, read_page, read_todo
from App.models import Todo

FIELDS = {
    "id": fields.Integer(),
    "title": fields.String(),
    "completed": fields.Boolean(),
    "order": fields.Raw(),  # Integer would show 0 for None
}


class Todos(Resource):
    """All todos of whoever asks."""

    def get(self):
        page, per_page = read_page()
        todos, more = Todo.numbered_page(g.user, page, per_page)
        return shown(todos), 200, {"Link": links(page, per_page, more)}

    def post(self):
        todo = shown(Todo.add(g.user, **read_todo(required=["title"])))
        return todo, 201, {"Location": todo["url"]}

    def delete(self):
        Todo.delete_all(g.user)
        return "", 204


class OneTodo(Resource):
    """One of them."""

    def get(self, todo_id):
        return shown(get_or_404(todo_id))

    def patch(self, todo_id):
        todo = get_or_404(todo_id)
        todo.update(**read_todo())
        return shown(todo)

    def delete(self, todo_id):
        get_or_404(todo_id).delete()
        return "", 204


def get_or_404(todo_id):
    return Todo.get(g.user, todo_id) or abort(404, "There is no such todo.")


def shown(todos):
    """Return what programs see of a todo, or of each in a list."""
    here = url_for("api.todos", _external=True)  # asked once, and not for each todo
    url = fields.Raw(attribute=lambda todo: f"{here}/{todo.id}")
    return marshal(todos, FIELDS | {"url": url})


def links(page, per_page, more):
    """Return a header that leads to the pages around this one (RFC 8288)."""
    here = url_for("api.todos", _external=True)
    following = page + 1 if more and page < MAX_PAGE else None
    numbers = {"first": 1, "prev": page - 1, "next": following}
    return ", ".join(
        f'<{here}?page={number}&per_page={per_page}>; rel="{name}"'
        for name, number in numbers.items()
        if number
    )
