"""The todos as resources, as the contract of Todo-Backend has them."""

from flask import abort, g, url_for
from flask_restful import Resource, fields, marshal

from App.apis.reading import read_page, read_todo
from App.models import Todo


class Address(fields.Raw):
    """The absolute URL of a todo."""

    def output(self, key, todo):
        return url_for("api.todo", todo_id=todo.id, _external=True)


SHOWN = {
    "id": fields.Integer,
    "title": fields.String,
    "completed": fields.Boolean,
    "order": fields.Raw,  # Integer would make 0 of none
    "url": Address,
}


class Todos(Resource):
    """All todos of whoever asks."""

    def get(self):
        page, per_page = read_page()
        todos, more = Todo.numbered_page(g.user, page, per_page)
        return marshal(todos, SHOWN), 200, {"Link": links(page, per_page, more)}

    def post(self):
        todo = marshal(Todo.add(g.user, **read_todo(required=["title"])), SHOWN)
        return todo, 201, {"Location": todo["url"]}

    def delete(self):
        Todo.delete_all(g.user)
        return "", 204


class OneTodo(Resource):
    """One of them."""

    def get(self, todo_id):
        return marshal(get_or_404(todo_id), SHOWN)

    def patch(self, todo_id):
        todo = get_or_404(todo_id)
        todo.update(**read_todo())
        return marshal(todo, SHOWN)

    def delete(self, todo_id):
        get_or_404(todo_id).delete()
        return "", 204


def get_or_404(todo_id):
    return Todo.get(g.user, todo_id) or abort(404, "There is no such todo.")


def links(page, per_page, more):
    """Return a header that leads to the pages around this one (RFC 8288)."""
    numbers = {"first": 1, "prev": page - 1, "next": page + 1 if more else 0}
    urls = {
        name: url_for("api.todos", page=number, per_page=per_page, _external=True)
        for name, number in numbers.items()
        if number
    }
    return ", ".join(f'<{url}>; rel="{name}"' for name, url in urls.items())
