from flask import Blueprint, g, redirect, render_template, request, url_for
from flask.views import MethodView

from . import models

todo_pages = Blueprint("items", __name__, url_prefix="/todos")


def back():
    return redirect(url_for(".list"), 303)


class List(MethodView):
    def get(self, status=200):
        q = request.args.get("q", "")
        top, bottom = request.args.get("top", ""), request.args.get("bottom", "")
        rows, above, below = models.page(g.user, q, top, bottom)
        return render_template(
            "pages/list.html", rows=rows, above=above, below=below, q=q, refused=status == 400
        ), status

    def post(self):
        title = models.clean(request.form.get("title"))
        if title is None:
            return self.get(400)
        models.save(title=title, member_id=g.user.id if g.user else None)
        return back()


class One(MethodView):
    def get(self, id_, status=200):
        return render_template("pages/one.html", row=models.one_or_404(g.user, id_)), status

    def post(self, id_):
        row, title = models.one_or_404(g.user, id_), models.clean(request.form.get("title"))
        priority = request.form.get("priority", row.priority)
        if title is None or priority not in models.LEVELS:
            return self.get(id_, 400)
        done = request.form.get("completed") == "yes"
        models.save(row, title=title, completed=done, priority=priority)
        return back()


@todo_pages.route("/<int:id_>/delete", methods=["POST"])
def remove(id_):
    models.remove(models.one_or_404(g.user, id_))
    return back()


todo_pages.add_url_rule("", view_func=List.as_view("list"))
todo_pages.add_url_rule("/<int:id_>", view_func=One.as_view("one"))
