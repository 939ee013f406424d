"""The tables, and what is done with them."""

import csv

import werkzeug.security
from sqlalchemy import func
from sqlalchemy.exc import IntegrityError

from .ext import sa

SHOWN = 20
LEVELS = "low", "normal", "high"


class Member(sa.Model):
    id = sa.Column(sa.Integer, primary_key=True)
    called = sa.Column(sa.String(40), nullable=False, unique=True)
    secret = sa.Column(sa.Text, nullable=False)


class Todo(sa.Model):
    id = sa.Column(sa.Integer, primary_key=True)
    title = sa.Column(sa.String(200), nullable=False)
    completed = sa.Column(sa.Boolean, nullable=False, default=False)
    created_at = sa.Column(sa.DateTime, nullable=False, default=func.now())
    priority = sa.Column(sa.String(6), nullable=False, server_default="normal")
    member_id = sa.Column(sa.ForeignKey("member.id"), index=True)

    __table_args__ = (
        sa.CheckConstraint(
            "title = trim(title) AND length(title) BETWEEN 1 AND 200", name="ck_todo_title"
        ),
        sa.CheckConstraint(f"priority IN {LEVELS}", name="ck_todo_priority"),
    )


def clean(text, longest=200):
    text = (text or "").strip()
    return text if 0 < len(text) <= longest and text.isprintable() else None


def join(called, password):
    """Return a new member, or None where the name or the password will not do."""
    called = clean(called, 40)
    if not called or not 8 <= len(password) <= 200:
        return None
    if Member.query.filter_by(called=called).first():
        return None
    member = Member(called=called, secret=werkzeug.security.generate_password_hash(password))
    sa.session.add(member)
    try:
        sa.session.commit()
    except IntegrityError:  # someone else was quicker
        sa.session.rollback()
        return None
    return member


def enter(called, password):
    """Return the member, or None, after the same work in any case."""
    member = Member.query.filter_by(called=called.strip()).first()
    if member is None:
        werkzeug.security.generate_password_hash(password)
        return None
    return member if werkzeug.security.check_password_hash(member.secret, password) else None


def board(member):
    return Todo.query.filter(Todo.member_id == (None if member is None else member.id))


def one_or_404(member, id_):
    return board(member).filter_by(id=id_ if id_ < 2**31 else 0).first_or_404()


def containing(todos, text):
    for sign in "\\%_":
        text = text.replace(sign, "\\" + sign)
    if len(text) > 400 or not text.isprintable():
        return todos.filter(sa.false())
    return todos.filter(Todo.title.ilike(f"%{text}%", escape="\\")).order_by(Todo.id.desc())


def everything(text):
    return containing(Todo.query, text)


def page(member, text, top, bottom):
    """Return the todos from the id `top` down, or else from `bottom` up, and where others begin."""
    rows = containing(board(member), text)
    if bottom:
        up = rows.order_by(None).filter(Todo.id >= number(bottom)).order_by(Todo.id).limit(SHOWN)
        shown = up.all()[::-1]
    else:
        shown = rows.filter(Todo.id <= number(top)).limit(SHOWN).all()
    newer = shown and rows.order_by(None).filter(Todo.id > shown[0].id)
    older = shown and rows.filter(Todo.id < shown[-1].id)
    above = newer and newer.order_by(Todo.id).first()
    below = older and older.first()
    return shown, above and above.id, below and below.id


def number(text):
    """Return a number that every id is below, where `text` is none."""
    return min(int(text), 2**31 - 1) if text.isdecimal() and len(text) < 20 else 2**31 - 1


def save(row=None, **values):
    row = row or Todo()
    for name, value in values.items():
        setattr(row, name, value)
    sa.session.add(row)
    sa.session.commit()


def remove(row):
    sa.session.delete(row)
    sa.session.commit()


def fill(count):
    rows = [{"title": f"Number {i}", "completed": not i % 2} for i in range(count)]
    with sa.engine.begin() as connection:
        for start in range(0, count, 500):
            connection.execute(Todo.__table__.insert(), rows[start : start + 500])


def load(path):
    """Add what a CSV file says. Raises ValueError, and then the session is to be rolled back."""
    with open(path, "rb") as file:
        for line_number, line in enumerate(file, 1):
            try:
                line.decode()
            except UnicodeDecodeError:
                raise ValueError(f"{path}, line {line_number}: not UTF-8") from None
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
