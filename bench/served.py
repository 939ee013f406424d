"""Two apps for bench_api.py, on the same database: the course's, and a bare one to compare it with.

gunicorn imports this beside a copy of the last solution.
"""

from __future__ import annotations

from flask import Flask, jsonify, request

from App import create_app
from App.ext import cache, db
from App.models import Todo

course = create_app()
course.add_url_rule("/empty", view_func=lambda: "")

bare = Flask("bare")
bare.config["SQLALCHEMY_DATABASE_URI"] = course.config["SQLALCHEMY_DATABASE_URI"]
bare.config["CACHE_TYPE"] = "NullCache"
bare.config["CACHE_NO_NULL_WARNING"] = True
bare.instance_path = course.instance_path
db.init_app(bare)
cache.init_app(bare)


def shown(todo: Todo) -> dict:
    url = f"{request.host_url}api/todos/{todo.id}"
    return {
        "id": todo.id,
        "title": todo.title,
        "completed": todo.completed,
        "order": todo.order,
        "url": url,
    }


@bare.get("/api/todos")
def todos():
    found, _ = Todo.numbered_page(None, 1, 20)
    return jsonify([shown(todo) for todo in found])


@bare.post("/api/todos")
def add():
    return jsonify(shown(Todo.add(None, request.get_json()["title"]))), 201


@bare.get("/api/todos/<int:todo_id>")
def todo(todo_id):
    return jsonify(shown(Todo.get(None, todo_id)))
