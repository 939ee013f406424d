"""What is done to a copy before the checks: commands are run, and modules compiled."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from course.catalog import Course
from course.checker import Checker
from course.preparing import Prepared, compiled, prepare
from course.processes import ForkServer
from course.snapshot import Snapshot, take
from course.verdicts import FAILED, NOT_ATTEMPTED, PASSED

NO_COMPILER = """
import sys
from importlib.machinery import SourceFileLoader

def refuse(*args, **more):
    raise RuntimeError("compiled again")

SourceFileLoader.source_to_code = refuse
sys.dont_write_bytecode = True
import package.module
print(package.module.value, package.module.where())
"""


@pytest.fixture(scope="module")
def forks() -> Iterator[ForkServer]:
    with ForkServer(()) as forks:
        yield forks


def fails_in(code: str, forks: ForkServer) -> str:
    copy = Snapshot({"manage.py": code.encode()})
    prepared = prepare(forks, copy, ("python manage.py create",))
    assert prepared.command is None
    assert prepared.copy == copy
    return prepared.failure


def test_a_command_that_fails_is_told_with_the_students_own_line(forks: ForkServer) -> None:
    said, *frames = fails_in("def create():\n    1 / 0\n\ncreate()", forks).splitlines()
    assert said.startswith("python manage.py create, before the checks: expected exit code 0, got")
    assert "ZeroDivisionError" in said
    assert frames[-2] == "  manage.py, line 2, in create: 1 / 0"
    assert "signal 9" in fails_in("import os; os.kill(os.getpid(), 9)", forks)


def test_a_command_that_is_not_written_yet_has_not_failed(
    forks: ForkServer, course: Course
) -> None:
    lesson = course.lesson(3)
    prepared = prepare(forks, take(lesson.starter), course.ways_to_prepare(lesson))
    assert (prepared.command, prepared.failure) == (None, "")


def test_a_way_that_works_leaves_no_failure(forks: ForkServer) -> None:
    copy = Snapshot({"manage.py": b"import sys\nsys.argv[1] == 'old' or 1 / 0"})
    prepared = prepare(forks, copy, ("python manage.py new", "python manage.py old"))
    assert (prepared.command, prepared.failure) == ("python manage.py old", "")


def test_the_verdict_says_which_command_failed_before_the_checks(
    course: Course, checker: Checker, tmp_path: Path
) -> None:
    lesson = course.lesson(5)
    copy = take(lesson.solution)
    path = "migrations/versions/0004_users.py"
    text = copy.text(path) or ""
    wrong = text.replace("op.create_table(", "op.create_tabel(")
    assert wrong != text
    Snapshot(copy.files | {path: wrong.encode()}).write(tmp_path)
    found = {verdict.id: verdict for verdict in checker.check(lesson, tmp_path)}
    users = [found[id] for id in ("5.4", "5.5", "5.6", "5.7", "5.8")]
    assert {verdict.state for verdict in users} == {FAILED}
    (message,) = {verdict.message for verdict in users}
    assert message.startswith("python manage.py db upgrade, before the checks: expected exit code")
    assert "has no attribute 'create_tabel'" in message
    assert f"\n  {path}, line " in message


def test_what_is_not_attempted_is_not_told_of_it(
    course: Course, checker: Checker, tmp_path: Path
) -> None:
    lesson = course.lesson(5)
    copy = take(lesson.starter)
    wrong = b"raise RuntimeError('here')\n" + copy.files["migrations/versions/0001_todos.py"]
    Snapshot(copy.files | {"migrations/versions/0001_todos.py": wrong}).write(tmp_path)
    found = {verdict.id: verdict for verdict in checker.check(lesson, tmp_path)}
    assert found["5.1"].state == NOT_ATTEMPTED
    assert "before the checks" not in found["5.1"].message


# Compiled modules


def imports(folder: Path) -> tuple[str, str]:
    """Return what a Python prints and says that imports the module and cannot compile it."""
    done = subprocess.run(
        [sys.executable, "-c", NO_COMPILER], cwd=folder, capture_output=True, text=True
    )
    return done.stdout, done.stderr


def test_a_compiled_module_is_taken_while_its_source_is_the_same(tmp_path: Path) -> None:
    folder = tmp_path / "my 作业"
    module = (
        b"import sys\nvalue = '\\d'\ndef where():\n    return sys._getframe().f_code.co_filename\n"
    )
    copy = Snapshot({"package/__init__.py": b"", "package/module.py": module, "a.txt": b"text"})
    copy.write(folder)
    assert "compiled again" in imports(folder)[1]
    compiled(copy).write(folder)
    path = folder / "package" / "module.py"
    assert imports(folder) == (f"\\d {path}\n", "")
    path.write_bytes(module.replace(b"\\d", b"\\w"))
    assert "compiled again" in imports(folder)[1]


@pytest.mark.parametrize(
    "source",
    [b"def (", b"\0", b"caf\xe9", b"(" * 10_000, b"-" * 100_000 + b"1", b"# " + b"x" * 10**6],
)
def test_what_cannot_be_compiled_is_left_as_it_is(source: bytes) -> None:
    copy = Snapshot({"wrong.py": source, "right.py": b"1"})
    added = set(compiled(copy).files) - set(copy.files)
    assert added == {f"__pycache__/right.{sys.implementation.cache_tag}.pyc"}


def test_a_name_that_leaves_no_room_for_a_compiled_ones_is_left_alone(tmp_path: Path) -> None:
    copy = Snapshot({"n" * 252 + ".py": b"1", "字" * 80 + ".py": b"1"})
    assert compiled(copy) == copy
    compiled(copy).write(tmp_path / "copy")


def test_a_copy_is_prepared_once_for_all_the_lessons_that_it_is_asked_for(
    course: Course, checker: Checker, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepared = []

    def counting(forks: ForkServer, copy: Snapshot, *more: Any) -> Prepared:
        prepared.append(copy)
        return prepare(forks, copy, *more)

    monkeypatch.setattr("course.checker.prepare", counting)
    lesson = course.lesson(3)
    copy = take(lesson.solution)
    assert all(v.state == PASSED for v in checker.check_copy(lesson, copy))
    assert all(v.state == PASSED for v in checker.check_copy(lesson, copy, course.lesson(0)))
    assert len(prepared) == 1
    checker.check_copy(lesson, take(lesson.starter))
    assert len(prepared) == 2
