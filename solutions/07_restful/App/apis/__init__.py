"""The interface for programs, below /api: a resource for all todos, and one for each."""

from flask import Blueprint, request
from flask_restful import Api

from App.apis.todos import OneTodo, Todos

blue = Blueprint("api", __name__, url_prefix="/api")


class AppApi(Api):
    """Leaves errors to the app's own handlers, which Flask-RESTful would bypass."""

    def error_router(self, original_handler, error):
        return original_handler(error)


api = AppApi(blue)
api.add_resource(Todos, "/todos", endpoint="todos")
api.add_resource(OneTodo, "/todos/<int:todo_id>", endpoint="todo")


def in_api():
    """Tell whether the request is for the API, also where it has no such path."""
    return request.path.startswith("/api/")


@blue.after_app_request
def open_to_any_origin(response):
    """Let the pages of every site use the API. They bring no cookie, so they are guests."""
    if in_api():
        response.headers["Access-Control-Allow-Origin"] = "*"
        response.headers["Access-Control-Expose-Headers"] = "Link, Location"
        if request.method == "OPTIONS":
            response.headers["Access-Control-Allow-Methods"] = response.headers.get("Allow", "")
            response.headers["Access-Control-Allow-Headers"] = "Content-Type"
    return response
