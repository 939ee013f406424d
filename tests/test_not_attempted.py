"""A task counts as not attempted while its TODO comments say so, and no other task's work tells."""

from __future__ import annotations

from course.catalog import Course
from course.checker import Checker
from course.markers import untouched
from course.snapshot import Snapshot, take
from course.verdicts import FAILED, NOT_ATTEMPTED

STARTER = """
# TODO 9.1: Name the fruit.
# TODO 9.2: Count it,
#   and say so.
fruit = None


# TODO 9.3: Eat it.
def eat(): ...
"""
EARLIER = "# TODO 9.1: Name the fruit.\n"
COMMENT = "# TODO 9.2: Count it,\n#   and say so.\n"


def yours(old: str, new: str, begun: str = STARTER) -> str:
    assert begun.count(old) == 1
    return begun.replace(old, new)


def begun_tasks(text: str) -> list[str]:
    return [task for task in ("9.1", "9.2", "9.3") if not untouched(STARTER, text, task)]


def test_as_it_was() -> None:
    assert begun_tasks(STARTER) == []
    assert begun_tasks(yours("\n\n\n", "\n\n\n\n")) == []


def test_work_below_the_comment() -> None:
    assert begun_tasks(yours("fruit = None", "fruit = ['apple']")) == ["9.1", "9.2"]
    assert begun_tasks(yours("# TODO 9.2", "count = 0\n# TODO 9.2")) == ["9.1"]
    assert begun_tasks(yours("def eat(): ...", "def eat(): del fruit[:]")) == ["9.3"]


def test_comment_is_gone_or_cut() -> None:
    assert begun_tasks(yours(COMMENT, "")) == ["9.2"]
    assert begun_tasks(yours("#   and say so.\n", "")) == ["9.2"]


def test_an_earlier_task_has_changed_the_place() -> None:
    done = yours(EARLIER, "")
    assert begun_tasks(done) == ["9.1"]
    done = yours("fruit = None", "fruit = 'apple'", done)
    assert begun_tasks(done) == ["9.1"]
    moved = yours(COMMENT, f"class Fruit:\n    {COMMENT.replace('#   ', '    #   ')}", done)
    assert begun_tasks(moved) == ["9.1"]
    assert begun_tasks(yours(COMMENT, "", done)) == ["9.1", "9.2"]


def test_an_earlier_task_is_done_and_this_one_begun() -> None:
    """What may be the earlier one's does not count: what it has replaced, or what both share."""
    done = yours(EARLIER, "")
    eat, comment = "def eat(): ...\n", "# TODO 9.3: Eat it.\n"
    begun = ["9.1", "9.3"]
    assert begun_tasks(yours(comment, f"{comment}def wash(): ...\n\n\n", done)) == begun
    assert begun_tasks(yours(eat, "def eat(fruit): ...\n", done)) == ["9.1"]
    assert begun_tasks(yours(eat, f"{eat}    del fruit\n", done)) == begun
    assert begun_tasks(yours(eat, f"{eat}\n\ndef other(): ...\n", done)) == ["9.1"]
    assert begun_tasks(yours(eat, "", done)) == ["9.1"]
    apart = yours(eat, f"\n{eat}", done)
    assert untouched(yours(eat, f"\n{eat}"), yours(eat, f"{eat}    del fruit\n", apart), "9.3")
    last = STARTER.replace(eat, "")
    assert not untouched(last, yours(EARLIER, "", last) + eat, "9.3")


def test_a_view_below_its_todo_is_looked_at(course: Course, checker: Checker) -> None:
    """Task 0.1 is done, its comment deleted. 0.2 is begun below its own, which stands."""
    lesson = course.lesson(0)
    starter, solution = (
        take(each).text("app.py") or "" for each in (lesson.starter, lesson.solution)
    )
    first = starter[starter.index("# TODO 0.1") : starter.index("# TODO 0.2")]
    view = solution[solution.index("def search") : solution.index('@app.post("/todos")')]
    hello = '@app.get("/hello/<name>")\ndef hello(name):\n    page("Hello", "")\n\n\n'
    text = yours("# TODO 0.3", f"{hello}# TODO 0.3", yours(first, view, starter))
    copy = Snapshot(take(lesson.starter).files | {"app.py": text.encode()})
    found = {verdict.id: verdict for verdict in checker.check_copy(lesson, copy)}
    assert found["0.2"].state == FAILED
    assert "hello() (app.py, line" in found["0.2"].message
    assert {found[id_].state for id_ in ("0.4", "0.5", "0.6")} == {NOT_ATTEMPTED}


def test_a_table_that_is_not_made_yet_is_an_earlier_tasks_trouble(
    course: Course, checker: Checker
) -> None:
    """Between `db init` and the first migration, every page that shows todos has an error."""
    lesson = course.lesson(4)
    starter, solution = take(lesson.starter), take(lesson.solution)
    begun = ("App/ext.py", "manage.py")
    made = {
        path: data
        for path, data in solution.files.items()
        if path in begun or (path.startswith("migrations/") and "/versions/" not in path)
    }
    found = checker.check_copy(lesson, Snapshot(starter.files | made))
    column = next(verdict for verdict in found if verdict.id == "4.5")
    assert "no such table" in column.message
    assert column.state == NOT_ATTEMPTED


def test_verdicts_after_one_task(course: Course, checker: Checker) -> None:
    """Task 3.2 changes what stands below the comments of 3.3, 3.4 and others in its file."""
    lesson = course.lesson(3)
    starter, path = take(lesson.starter), "App/models/todo.py"
    text = starter.text(path) or ""
    done = text[: text.index("# TODO 3.2")] + text[text.index("# TODO 3.4") :]
    done = yours("    completed: bool = False\n", "    completed: int = 0\n", done)
    copy = Snapshot(starter.files | {path: done.encode()})
    found = {verdict.id: verdict.state for verdict in checker.check_copy(lesson, copy)}
    todo = dict.fromkeys([task.id for task in lesson.tasks], NOT_ATTEMPTED)
    assert found == todo | {"3.2": FAILED}
