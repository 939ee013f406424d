"""What is done passes, and what is not begun says so, also where a lesson is half done.

Between the starter and the solution a lesson is in states that neither of them has.
"""

from __future__ import annotations

from course.catalog import Course
from course.checker import BROKEN, Checker
from course.snapshot import Snapshot, take
from course.verdicts import NOT_ATTEMPTED, PASSED

MODEL = """
class Todo(db.Model):
    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str] = mapped_column(String(200))
    completed: Mapped[bool] = mapped_column(default=False)

    __table_args__ = (
        CheckConstraint("title = trim(title) AND length(title) BETWEEN 1 AND 200", name="c"),
    )
"""
IMPORTS = """
from sqlalchemy import CheckConstraint, String
from sqlalchemy.orm import Mapped, mapped_column

from App.ext import db
"""
CREATE_DB = """@manager.command
def create_db():
    db.create_all()


# This has made the tables that"""
DATACLASS = '''@dataclass
class Todo:
    """One thing to do."""

    id: int
    title: str
    completed: bool = False
'''
CHANGES = (
    ("App/models/todo.py", "from dataclasses import dataclass\n", IMPORTS),
    ("App/models/todo.py", DATACLASS, MODEL),
    ("App/models/todo.py", 'Todo(1, "Buy milk"', 'Todo(id=1, title="Buy milk"'),
    ("App/models/todo.py", 'Todo(2, "Learn Flask")', 'Todo(id=2, title="Learn Flask")'),
    ("App/models/todo.py", "Todo(todo_id, valid", "Todo(id=todo_id, title=valid"),
    ("manage.py", "from App.models import", "from App.ext import db\nfrom App.models import"),
    ("manage.py", "# TODO 3.2: The command create_db makes the tables that", CREATE_DB),
)


def test_a_model_whose_todos_are_in_memory(course: Course, checker: Checker) -> None:
    """So lesson 3 stands after its second task."""
    lesson = course.lesson(3)
    first = ("App/ext.py", "App/__init__.py", "App/settings.py")
    starter, solution = take(lesson.starter), take(lesson.solution)
    copy = Snapshot(starter.files | {path: solution.files[path] for path in first})
    text = copy.text("App/models/todo.py") or ""
    todo = text[text.index("# TODO 3.2:") : text.index("# TODO 3.4:")]
    for path, old, new in (("App/models/todo.py", todo, ""), *CHANGES):
        copy = copy.replacing(path, old, new)
    tasks = checker.check_copy(lesson, copy)
    assert {task.id: task.state for task in tasks if task.state != NOT_ATTEMPTED} == {
        "3.1": PASSED,
        "3.2": PASSED,
    }
    assert len(tasks) == len(lesson.tasks)
    found = checker.results(lesson, copy, lesson.checks, checker.expected(lesson, lesson))
    assert [result.said for result in found.values() if result.state == BROKEN] == []
