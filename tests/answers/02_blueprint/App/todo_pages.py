from flask import Blueprint, abort, redirect, render_template, request, url_for
from flask.views import MethodView

from .store import Todo, clean, rows

todo_pages = Blueprint("items", __name__)


def back():
    return redirect(url_for(".list"), 303)


def one(id_):
    for row in rows:
        if row.id == id_:
            return row
    abort(404)


class List(MethodView):
    def get(self, status=200):
        q = request.args.get("q", "")
        found = [row for row in rows if q.lower() in row.title.lower()]
        return render_template("pages/list.html", rows=found, q=q, refused=status == 400), status

    def post(self):
        title = clean(request.form.get("title"))
        if title is None:
            return self.get(400)
        rows.append(Todo(title))
        return back()


class One(MethodView):
    def get(self, id_, status=200):
        return render_template("pages/one.html", row=one(id_)), status

    def post(self, id_):
        row, title = one(id_), clean(request.form.get("title"))
        if title is None:
            return self.get(id_, 400)
        row.title, row.done = title, request.form.get("completed") == "yes"
        return back()


@todo_pages.route("/<int:id_>/delete", methods=["POST"])
def remove(id_):
    rows.remove(one(id_))
    return back()


todo_pages.add_url_rule("", view_func=List.as_view("list"))
todo_pages.add_url_rule("/<int:id_>", view_func=One.as_view("one"))
