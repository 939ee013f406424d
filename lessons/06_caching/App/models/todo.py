"""A todo, and everything that is done with todos: no view has a query of its own."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, false, insert, select
from sqlalchemy.orm import Mapped, mapped_column

from App.ext import db
from App.models.text import TITLE_LENGTH, clean

PAGE_SIZE = 20
BATCH_SIZE = 10_000
PRIORITIES = ("low", "normal", "high")
MAX_ID = 2**31 - 1
"""The largest INTEGER that every database has."""


def now():
    """Return the time in UTC. It carries no time zone, since SQLite would not keep it."""
    return datetime.now(UTC).replace(tzinfo=None)


@dataclass
class Page:
    """Some todos, the newest first, and whether there are newer and older ones."""

    todos: list
    newer: bool
    older: bool


class Todo(db.Model):
    """One thing to do."""

    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str] = mapped_column(String(TITLE_LENGTH))
    completed: Mapped[bool] = mapped_column(default=False)
    created_at: Mapped[datetime] = mapped_column(default=now)  # not now(): once for each row
    priority: Mapped[str] = mapped_column(String(6), default="normal", server_default="normal")
    owner_id: Mapped[int | None] = mapped_column(ForeignKey("user.id"))

    __table_args__ = (
        CheckConstraint(
            f"title = trim(title) AND length(title) BETWEEN 1 AND {TITLE_LENGTH}",
            name="ck_todo_title",
        ),
        CheckConstraint("priority IN ('low', 'normal', 'high')", name="ck_todo_priority"),
        Index("ix_todo_owner_id_id", "owner_id", "id"),  # for a page of one owner's todos
    )

    @classmethod
    def of(cls, owner):
        """Return the query for the todos that there are for `owner`: a User, or None for a guest.

        This is the one place that says whose a todo is.
        """
        return select(cls).where(cls.owner_id == (owner.id if owner else None))

    @classmethod
    def get(cls, owner, todo_id):
        return (
            db.session.scalar(cls.of(owner).where(cls.id == todo_id)) if todo_id <= MAX_ID else None
        )

    @classmethod
    def containing(cls, q):
        """Return the condition that the title contains `q`, in capitals or not."""
        if len(q) > TITLE_LENGTH or "\0" in q:  # no title does, and not every database would say so
            return false()
        return cls.title.icontains(q, autoescape=True)

    @classmethod
    def page(cls, owner, q="", before=None, after=None):
        """Return the Page of the newest todos, or of those next to the id `before` or `after`.

        Going on from an id costs the same on every page; to skip N rows, all N are read.
        """
        todos = cls.of(owner).where(cls.containing(q))
        if after is not None:
            todos = todos.where(cls.id > bounded(after)).order_by(cls.id)
        elif before is not None:
            todos = todos.where(cls.id < bounded(before)).order_by(cls.id.desc())
        else:
            todos = todos.order_by(cls.id.desc())
        found = list(db.session.scalars(todos.limit(PAGE_SIZE + 1)))
        found, more = found[:PAGE_SIZE], len(found) > PAGE_SIZE
        if after is None:
            return Page(found, newer=bool(found) and before is not None, older=more)
        return Page(found[::-1], newer=more, older=bool(found) and after > 0)

    @classmethod
    def find(cls, text, only_open, limit):
        """Return the newest todos, `limit` at most, whose title contains `text`: everyone's."""
        todos = select(cls).where(cls.containing(text)).order_by(cls.id.desc())
        todos = todos.limit(bounded(limit))
        return db.session.scalars(todos.where(~cls.completed) if only_open else todos)

    @classmethod
    def add(cls, owner, title):
        todo = cls(title=clean("title", title, TITLE_LENGTH), owner_id=owner.id if owner else None)
        db.session.add(todo)
        db.session.commit()
        return todo

    @classmethod
    def add_all(cls, rows):
        """Add a todo to the guest board for each dict of `rows`: all of them, or none."""
        if rows:
            db.session.execute(insert(cls), rows)
        db.session.commit()

    @classmethod
    def seed(cls, number):
        """Add as many todos to the guest board, and yield how many after each batch."""
        newest = now()
        for start in range(0, number, BATCH_SIZE):
            batch = range(start, min(start + BATCH_SIZE, number))
            rows = [
                {
                    "title": f"Todo {i + 1}",
                    "completed": i % 3 == 0,
                    "created_at": newest - timedelta(minutes=number - i),
                }
                for i in batch
            ]
            db.session.execute(insert(cls.__table__), rows)
            yield len(batch)
        db.session.commit()

    def change(self, title, completed, priority):
        if priority not in PRIORITIES:
            raise ValueError("The priority is low, normal or high.")
        self.title = clean("title", title, TITLE_LENGTH)
        self.priority = priority
        self.completed = completed
        db.session.commit()

    def delete(self):
        db.session.delete(self)
        db.session.commit()


def bounded(number):
    return min(max(number, 0), MAX_ID)
