"""The statistics. With what is kept stands the mark of the last write before it was counted."""

import datetime
import secrets
import threading

from flask import Blueprint, abort, make_response, render_template, request
from sqlalchemy import event, text
from sqlalchemy.orm import Session

from .ext import sa, shelf

ALL = "SELECT count(*), coalesce(sum(CASE WHEN completed THEN 1 ELSE 0 END), 0) FROM todo"
DAYS = """
    SELECT substr(created_at, 1, 10) AS day, count(*) FROM todo
    WHERE created_at >= :first GROUP BY day ORDER BY day DESC
"""
MEMBERS = """
    SELECT called, count(*) AS number FROM todo JOIN member ON member.id = member_id
    GROUP BY called ORDER BY number DESC, called LIMIT 10
"""

number_pages = Blueprint("numbers", __name__)
turn = threading.RLock()


@number_pages.route("/stats", methods=["GET"])
def numbers():
    asked = request.args.get("days", "30")
    days = int(asked) if asked.isdecimal() and len(asked) <= 3 else 0
    if days not in range(1, 367):
        abort(400)
    today = datetime.datetime.now(datetime.UTC).date()
    first = today - datetime.timedelta(days=days - 1)
    found, state = kept_since(first.isoformat())
    response = make_response(render_template("pages/numbers.html", **found))
    response.headers["X-Cache"] = state
    return response


def kept_since(first):
    sa.session.close()
    with turn:
        mark = shelf.get("mark") or new_mark()
        kept = shelf.get(first)
        if kept and kept["mark"] == mark:
            return kept["numbers"], "HIT"
        numbers = {
            "all": tuple(sa.session.execute(text(ALL)).one()),
            "days": [tuple(row) for row in sa.session.execute(text(DAYS), {"first": first})],
            "members": [tuple(row) for row in sa.session.execute(text(MEMBERS))],
        }
        shelf.set(first, {"mark": mark, "numbers": numbers})
        return numbers, "MISS"


@event.listens_for(Session, "after_commit")
def new_mark(session=None):
    mark = secrets.token_hex()
    shelf.set("mark", mark)
    return mark
