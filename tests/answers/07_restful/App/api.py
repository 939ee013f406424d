from flask import Blueprint, abort, g, request, url_for
from flask_restful import Api, Resource, fields, marshal_with
from flask_restful import abort as refuse
from werkzeug.exceptions import BadRequest

from . import models
from .ext import sa

programs = Blueprint("programs", __name__)
LARGEST = 2_147_483_647
LAST_PAGE = 10_000
TODO = {
    "id": fields.Integer,
    "title": fields.String,
    "completed": fields.Boolean,
    "order": fields.Raw(attribute="rank"),
    "url": fields.Url("programs.one", absolute=True),
}


class OurApi(Api):
    def _has_fr_route(self):  # so that the app's own error handlers are asked
        return False


api = OurApi(programs, prefix="/todos")


@api.resource("", endpoint="all")
class All(Resource):
    @marshal_with(TODO)
    def get(self):
        page, size = bounds()
        rows = models.board(g.user).order_by(models.Todo.id.desc())
        number = rows.order_by(None).count()
        last = min(max(1, -(-number // size)), LAST_PAGE)
        there = {"first": 1, "last": last}
        if page > 1:
            there["prev"] = page - 1
        if page < last:
            there["next"] = page + 1
        link = ", ".join(
            f"<{url_for('.all', per_page=size, page=number)}>; rel={rel}"
            for rel, number in there.items()
        )
        return rows.limit(size).offset(size * (page - 1)).all(), 200, {"Link": link}

    def post(self):
        row = models.Todo(member_id=g.user and g.user.id, **body())
        sa.session.add(row)
        sa.session.flush()
        told = shown(row)
        sa.session.commit()
        return told, 201, {"Location": told["url"]}

    def delete(self):
        models.board(g.user).delete()
        sa.session.commit()
        return None, 204


@api.resource("/<int:id>", endpoint="one")
class One(Resource):
    def get(self, id):
        return shown(models.one_or_404(g.user, id))

    def patch(self, id):
        row, values = models.one_or_404(g.user, id), body()
        if values and not models.board(g.user).filter_by(id=id).update(values):
            abort(404)
        told = shown(row)
        sa.session.commit()
        return told

    def delete(self, id):
        models.remove(models.one_or_404(g.user, id))
        return None, 204


@marshal_with(TODO)
def shown(row):
    return row


def wrong(**errors):
    refuse(400, message="This cannot be taken.", errors=errors)


def body():
    """Return the columns that the request names, or answer 400."""
    try:
        given = request.get_json()
    except (RecursionError, BadRequest):
        abort(400)
    if type(given) is not dict:
        abort(400)
    values, errors = {}, {}
    for name, value in given.items():
        if name == "title" and type(value) is str and models.clean(value):
            values["title"] = models.clean(value)
        elif name == "completed" and type(value) is bool:
            values["completed"] = value
        elif name == "order" and (value is None or whole(value)):
            values["rank"] = value
        else:
            errors[name] = "This cannot be taken."
    if "title" not in given and request.method == "POST":
        errors["title"] = "A title is needed."
    if errors:
        wrong(**errors)
    return values


def whole(value):
    return type(value) is int and -LARGEST <= value <= LARGEST


def bounds():
    found, errors = {"page": 1, "per_page": 20}, {}
    for name, text in request.args.items():
        most = {"page": LAST_PAGE, "per_page": 100}.get(name, 0)
        if text.isascii() and text.isdigit() and len(text) < 6 and 0 < int(text) <= most:
            found[name] = int(text)
        else:
            errors[name] = f"from 1 to {most}"
    if errors:
        wrong(**errors)
    return found["page"], found["per_page"]
