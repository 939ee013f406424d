"""What all todos say in numbers. To count them reads every row, so it is done once a change."""

from threading import Lock
from uuid import uuid4

from flask import current_app, g
from redis import RedisError
from sqlalchemy import event, func, select

from App.ext import cache, db
from App.models.todo import Todo
from App.models.user import User

MOST_USERS = 10
TEN_YEARS = 10 * 365 * 24 * 60 * 60
"""In seconds. A full cache throws out what ends first, and takes 0, "no end", for the first."""

counting = Lock()


def get_statistics(since):
    """Return the numbers of all todos; those by day begin with the date `since`.

    g.cache is "hit" or "miss" afterwards. Many may ask at once: one counts, the others wait for it.
    What the caller has not committed is rolled back.
    """
    g.cache = "hit"
    if db.session.registry.has():  # not so for a guest, who has asked the database nothing
        db.session.rollback()  # whoever waits gives back the connection that the counting needs
    with counting:
        return count(since, last_change())


@cache.memoize()
def count(since, change):
    """Read every row. `change` is here to be a part of the key: after a write it is another one."""
    g.cache = "miss"
    todos = func.count(Todo.id)
    total, completed = db.session.execute(select(todos, todos.filter(Todo.completed))).one()
    day = func.date(Todo.created_at)
    days = select(day, todos).where(Todo.created_at >= since).group_by(day).order_by(day.desc())
    users = select(User.name, todos).join(Todo).group_by(User.id, User.name)
    users = users.order_by(todos.desc(), User.name).limit(MOST_USERS)
    return {
        "total": total,
        "completed": completed,
        "by_day": [(str(day), number) for day, number in db.session.execute(days)],
        "by_user": [tuple(row) for row in db.session.execute(users)],
    }


def last_change():
    """Return a text that is another one after each change."""
    change = cache.get("last_change")
    if change is None:  # a cold cache, or a change
        # Added, not set: the text of a process that was faster holds. And for longer than all else
        # here, since FileSystemCache's add takes what has expired for what is there.
        cache.add("last_change", uuid4().hex, timeout=TEN_YEARS)
        change = cache.get("last_change") or uuid4().hex  # another change, in just this moment
    return change


@event.listens_for(db.session, "after_commit")
def note_change(session):
    """Whoever changes something, in a page or a command: the next to ask has it counted again.

    cache.delete_memoized(count) is made for this, but a count that ends just then can undo it.
    """
    try:
        cache.delete("last_change")
    except RedisError:  # what is committed stays so, and must not be answered as a failure
        current_app.logger.exception("The cache has not heard of a change.")
