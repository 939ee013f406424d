from flask import Blueprint, current_app, redirect, render_template, request, url_for
from flask.views import MethodView

from . import models

todo_pages = Blueprint("items", __name__)


def back():
    return redirect(url_for(".list"), 303)


class List(MethodView):
    def get(self, status=200):
        q = request.args.get("q", "")
        top, bottom = request.args.get("top", ""), request.args.get("bottom", "")
        rows, above, below = models.page(q, top, bottom)
        return render_template(
            "pages/list.html",
            rows=rows,
            above=above,
            below=below,
            q=q,
            refused=status == 400,
        ), status

    def post(self):
        title = models.clean(request.form.get("title"))
        if title is None:
            return self.get(400)
        row = models.save(title=title)
        current_app.logger.info("Added: %s", row.title)  # which is read anew after the commit
        return back()


class One(MethodView):
    def get(self, id_, status=200):
        return render_template("pages/one.html", row=models.one_or_404(id_)), status

    def post(self, id_):
        row, title = models.one_or_404(id_), models.clean(request.form.get("title"))
        if title is None:
            return self.get(id_, 400)
        models.save(row, title=title, completed=request.form.get("completed") == "yes")
        return back()


@todo_pages.route("/<int:id_>/delete", methods=["POST"])
def remove(id_):
    models.remove(models.one_or_404(id_))
    return back()


todo_pages.add_url_rule("", view_func=List.as_view("list"))
todo_pages.add_url_rule("/<int:id_>", view_func=One.as_view("one"))
