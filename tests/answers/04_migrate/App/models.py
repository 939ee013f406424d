"""The table of todos, and what is done with it."""

import csv
from datetime import UTC, datetime

from .ext import sa

SHOWN = 20
PRIORITIES = ["low", "normal", "high"]


class Todo(sa.Model):
    __tablename__ = "todo"

    id = sa.Column(sa.Integer, primary_key=True)
    title = sa.Column(sa.String(200), nullable=False)
    completed = sa.Column(sa.Boolean, nullable=False, default=False)
    created_at = sa.Column(sa.DateTime, nullable=False, default=lambda: datetime.now(UTC))
    priority = sa.Column(
        sa.Enum(*PRIORITIES, native_enum=False, create_constraint=True, name="todo_priority"),
        nullable=False,
        server_default="normal",
    )

    __table_args__ = (
        sa.CheckConstraint(
            "title = trim(title) AND length(title) BETWEEN 1 AND 200", name="ck_todo_title"
        ),
    )


def clean(title):
    title = (title or "").strip()
    return title if 0 < len(title) <= 200 and title.isprintable() else None


def one_or_404(id_):
    return Todo.query.get_or_404(id_ if id_ < 2**31 else 0)


def containing(text):
    for sign in "\\%_":
        text = text.replace(sign, "\\" + sign)
    if len(text) > 400 or not text.isprintable():
        return Todo.query.filter(sa.false())
    return Todo.query.filter(Todo.title.ilike(f"%{text}%", escape="\\")).order_by(Todo.id.desc())


def page(text, top, bottom):
    """Return the todos from the id `top` down, or else from `bottom` up, and where others begin."""
    rows = containing(text)
    if bottom:
        up = rows.order_by(None).filter(Todo.id >= number(bottom)).order_by(Todo.id).limit(SHOWN)
        shown = up.all()[::-1]
    else:
        shown = rows.filter(Todo.id <= number(top)).limit(SHOWN).all()
    newer = shown and containing(text).order_by(None).filter(Todo.id > shown[0].id)
    older = shown and rows.filter(Todo.id < shown[-1].id)
    above = newer and newer.order_by(Todo.id).first()
    below = older and older.first()
    return shown, above and above.id, below and below.id


def number(text):
    """Return a number that every id is below, where `text` is none."""
    return min(int(text), 2**62) if text.isdecimal() and len(text) < 20 else 2**62


def save(row=None, **values):
    row = row or Todo()
    for name, value in values.items():
        setattr(row, name, value)
    sa.session.add(row)
    sa.session.commit()


def remove(row):
    Todo.query.filter_by(id=row.id).delete()
    sa.session.commit()


def fill(count, say):
    rows = [{"title": f"Number {i}", "completed": not i % 2} for i in range(count)]
    with sa.engine.begin() as connection:
        for start in range(0, count, 500):
            connection.execute(Todo.__table__.insert(), rows[start : start + 500])
            say(start)


def load(path):
    """Add what a CSV file says. Raises ValueError, and then the session is to be rolled back."""
    with open(path, "rb") as file:
        for number, line in enumerate(file, 1):
            try:
                line.decode()
            except UnicodeDecodeError:
                raise ValueError(f"{path}, line {number}: not UTF-8") from None
    with open(path, encoding="utf-8-sig", newline="") as file:
        rows = csv.reader(file)
        if next(rows, None) != ["title", "completed"]:
            raise ValueError(f"{path}, line 1: title,completed is missing")
        for row in rows:
            title = clean(row[0]) if len(row) == 2 else None
            if not title or row[1] not in ("yes", "no", ""):
                raise ValueError(f"{path}, line {rows.line_num}: this is no todo: {row}")
            sa.session.add(Todo(title=title, completed=row[1] == "yes"))
            sa.session.flush()
    sa.session.commit()
