"""The page of the statistics."""

from datetime import timedelta

from flask import Blueprint, abort, g, render_template, request

from App.models import get_statistics, now

blue = Blueprint("stats", __name__)


@blue.get("/stats")
def show():
    days = request.args.get("days", 30, type=int)
    if not 1 <= days <= 366:
        abort(400, "The number of days is from 1 to 366.")
    numbers = get_statistics(now().date() - timedelta(days=days - 1))
    return render_template("stats.html", numbers=numbers, days=days), {"X-Cache": g.cache}
