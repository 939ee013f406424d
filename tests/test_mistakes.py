"""What students do to their code: each mistake gets its verdict, and costs no other check one."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from course.catalog import Course
from course.checker import Checker, Result
from course.processes import ForkServers
from course.snapshot import take
from course.verdicts import (
    CRASHED,
    FAILED,
    IMPORT_ERROR,
    NOT_ATTEMPTED,
    PASSED,
    TIMED_OUT,
    Verdict,
    read_trace,
)
from course.written import Written

OUTLIVES = f"outlives its check {os.getpid()}"
LIST_VIEW = "def list_todos():\n"


@pytest.fixture
def copy(course: Course, tmp_path: Path) -> Path:
    """A copy of lesson 0's solution, in a folder with a space and Chinese characters."""
    folder = tmp_path / "my 作业"
    take(course.lesson(0).solution).write(folder)
    return folder


@pytest.fixture(autouse=True)
def nothing_is_left(course: Course, checker: Checker) -> Iterator[None]:
    """After each mistake, the next check passes, and no process of the mistake's is left."""
    yield
    assert check_list(course, checker, course.lesson(0).solution).state == PASSED
    assert running(OUTLIVES) == []


def running(words: str) -> list[str]:
    found = []
    for entry in Path("/proc").iterdir() if Path("/proc").is_dir() else []:
        if entry.name.isdigit():
            try:
                line = (entry / "cmdline").read_bytes().decode("utf-8", "replace")
            except OSError:
                continue
            if words in line:
                found.append(line)
    return found


def edit(copy: Path, old: str, new: str) -> None:
    text = (copy / "app.py").read_text("utf-8")
    assert text.count(old) == 1
    (copy / "app.py").write_text(text.replace(old, new), "utf-8")


def at_import(copy: Path, code: str) -> None:
    edit(copy, "app = Flask(__name__)\n", f"{code}\napp = Flask(__name__)\n")


def in_view(copy: Path, code: str) -> None:
    edit(copy, LIST_VIEW, f"{LIST_VIEW}    {code}\n")


def check(course: Course, checker: Checker, copy: Path) -> dict[str, Verdict]:
    return {verdict.id: verdict for verdict in checker.check(course.lesson(0), copy)}


def check_list(course: Course, checker: Checker, copy: Path) -> Result:
    """Run the one check of the list view, where each would take its time."""
    lesson = course.lesson(0)
    return checker.results(lesson, take(copy), lesson.checks, frozenset({"test_list"}))["test_list"]


def line_of(copy: Path, code: str) -> int:
    lines = (copy / "app.py").read_text("utf-8").splitlines()
    return next(number for number, line in enumerate(lines, 1) if code in line)


@pytest.mark.parametrize(
    ("code", "state", "says"),
    [
        ("def (", IMPORT_ERROR, "SyntaxError: invalid syntax"),
        ("count = kount", IMPORT_ERROR, "NameError: name 'kount' is not defined"),
        ("import flask_nothing", IMPORT_ERROR, "No module named 'flask_nothing'"),
        ("import sys; sys.exit()", CRASHED, "the end of the program (exit code 0)"),
        ("import sys; sys.exit('No.')", CRASHED, "exit code 1: No"),
        ("import os; os._exit(0)", CRASHED, "the end of the program (exit code 0)"),
        ("import os; os.abort()", CRASHED, "the end of the program (signal 6)"),
        ("x = bytearray(10**11)", IMPORT_ERROR, "MemoryError"),
        ("import os; os.kill(os.getppid(), 9)", CRASHED, "the end of the program"),
    ],
)
def test_at_import(
    code: str, state: str, says: str, course: Course, checker: Checker, copy: Path
) -> None:
    at_import(copy, code)
    found = check(course, checker, copy)
    assert {verdict.state for verdict in found.values()} == {state}, found
    assert says in found["0.1"].message
    if state == IMPORT_ERROR:
        assert f"app.py, line {line_of(copy, code)}: {code}" in found["0.1"].message


def test_endless_loop_at_import(course: Course, checker: Checker, copy: Path) -> None:
    at_import(copy, "while True: pass")
    began = time.monotonic()
    found = check(course, checker, copy)
    assert time.monotonic() - began < 20  # one wait for each core, not for each check
    assert {verdict.state for verdict in found.values()} == {TIMED_OUT}
    assert f"app.py, line {line_of(copy, 'while True')}" in found["0.1"].message


@pytest.mark.parametrize(
    ("code", "state", "says"),
    [
        ("while True: pass", TIMED_OUT, "GET /todos: expected an answer within 3 seconds"),
        ("import os; os._exit(0)", CRASHED, "the end of the program (exit code 0)"),
        ("import sys; sys.exit()", CRASHED, "a closed connection, as after sys.exit()"),
        (
            "while True: __import__('sys').stderr.write('x\\n'); __import__('time').sleep(0.01)",
            TIMED_OUT,
            "GET /todos: expected an answer within 3 seconds",
        ),
        ("while True: print('x' * 10**6)", CRASHED, "more than 1 MiB of printed text"),
        ("return 'x' * 10**7", CRASHED, "an answer of at most 4 MiB"),
        ("return nonsense", FAILED, "NameError: name 'nonsense' is not defined"),
        ("pass; return", FAILED, "TypeError: The view function for 'list_todos' did not return"),
    ],
)
def test_in_a_view(
    code: str, state: str, says: str, course: Course, checker: Checker, copy: Path
) -> None:
    in_view(copy, code)
    found = check_list(course, checker, copy)
    assert found.state == state
    assert says in found.said + found.trace
    if "nonsense" in code or code == "while True: pass":
        assert f"app.py, line {line_of(copy, code)}, in list_todos: {code}" in found.trace


def test_answer_that_never_ends(course: Course, checker: Checker, copy: Path) -> None:
    in_view(copy, "return iter(lambda: __import__('time').sleep(0.01) or 'x', None)")
    assert check_list(course, checker, copy).state == TIMED_OUT


def test_one_view_fails_alone(course: Course, checker: Checker, copy: Path) -> None:
    edit(copy, "Hello, {escape(name)}!", "Hello, {nonsense}!")
    states = {verdict.id: verdict.state for verdict in check(course, checker, copy).values()}
    assert states == dict.fromkeys(states, PASSED) | {"0.2": FAILED}


def test_timing_needs_no_other_task(course: Course, checker: Checker, copy: Path) -> None:
    """Task 0.6 passes where 0.4 is a route() without methods, and where it is not there at all."""
    edit(copy, '@app.post("/todos")', '@app.route("/todos")')
    found = check(course, checker, copy)
    assert (found["0.4"].state, found["0.6"].state) == (FAILED, PASSED)
    done, begun = (copy / "app.py").read_text("utf-8"), take(course.lesson(0).starter)
    timing = done[done.index("@app.before_request") : done.index('@app.get("/")')]
    (copy / "app.py").write_text(begun.text("app.py") or "", "utf-8")
    edit(copy, '@app.get("/")', f'{timing}@app.get("/")')
    states = {verdict.id: verdict.state for verdict in check(course, checker, copy).values()}
    assert states == dict.fromkeys(states, NOT_ATTEMPTED) | {"0.6": PASSED}


def test_the_error_that_led_to_another_is_told(
    course: Course, checker: Checker, copy: Path
) -> None:
    """Without what before_request keeps, after_request fails as well, and that is not its fault."""
    edit(copy, "def start_clock():", "def start_clock(request):")
    said = check(course, checker, copy)["0.6"].message
    assert "TypeError: start_clock() missing 1 required positional argument" in said
    assert "AttributeError" not in said


def test_what_the_server_says_late_is_not_told(copy: Path) -> None:
    """It says it when the answer is out: a check that reads a moment sooner is to say the same."""
    raised = 'Traceback (most recent call last):\n  File "app.py", line 1, in view\nTypeError: {}\n'
    first, late = raised.format("None is no response"), raised.format("None is not callable")
    written = Written(take(copy), copy.parent / "written")
    for text in (first, f"{first}Error on request:\n{late}"):
        assert read_trace(text, written).error == "TypeError: None is no response"
    assert read_trace(f"Error on request:\n{late}", written).error.endswith("is not callable")


def test_child_that_outlives_its_check(course: Course, checker: Checker, copy: Path) -> None:
    in_view(
        copy,
        "import subprocess, sys; subprocess.Popen([sys.executable, '-c', "
        f"'import time; time.sleep(600) # {OUTLIVES}'], start_new_session=True)",
    )
    assert {verdict.state for verdict in check(course, checker, copy).values()} == {PASSED}


def test_file_is_gone(course: Course, checker: Checker, copy: Path) -> None:
    (copy / "app.py").unlink()
    found = check(course, checker, copy)
    assert {verdict.state for verdict in found.values()} == {IMPORT_ERROR}
    assert "expected the file app.py, got no such file" in found["0.1"].message


def test_file_is_not_utf8(course: Course, checker: Checker, copy: Path) -> None:
    path = copy / "app.py"
    path.write_bytes(b"# caf\xe9\n" + path.read_bytes())
    found = check(course, checker, copy)
    assert {verdict.state for verdict in found.values()} == {IMPORT_ERROR}
    assert "app.py, line 1" in found["0.1"].message
    assert "SyntaxError: not UTF-8 text" in found["0.1"].message


@pytest.mark.parametrize("name", ["flask.py", "random.py", "json/__init__.py"])
def test_file_hides_a_module(name: str, course: Course, checker: Checker, copy: Path) -> None:
    (copy / name).parent.mkdir(exist_ok=True)
    (copy / name).write_text("value = 1\n")
    found = check(course, checker, copy)
    module = name.removesuffix(".py").removesuffix("/__init__")
    assert {verdict.state for verdict in found.values()} == {IMPORT_ERROR}
    assert f"hides the module {module}" in found["0.1"].message


@pytest.mark.parametrize("name", ["conftest.py", "sitecustomize.py", "usercustomize.py"])
def test_file_that_tools_would_read(
    name: str, course: Course, checker: Checker, copy: Path
) -> None:
    (copy / name).write_text("import os\nos._exit(0)\n")
    (copy / "pytest.ini").write_text("[pytest]\naddopts = --nonsense\n")
    edit(copy, "Hello, {escape(name)}!", "Hello!")
    found = check(course, checker, copy)
    assert found["0.2"].state == FAILED
    assert [v.state for v in found.values() if v.id != "0.2"] == [PASSED] * 5


def test_own_environment_is_not_the_students(
    course: Course, checker: Checker, copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FLASK_DEBUG", "1")
    monkeypatch.setenv("PYTHONPATH", "/nowhere")
    at_import(copy, "import os; assert not {'FLASK_DEBUG', 'PYTHONPATH'} & set(os.environ)")
    assert {verdict.state for verdict in check(course, checker, copy).values()} == {PASSED}


def test_copy_is_not_touched(course: Course, checker: Checker, copy: Path) -> None:
    at_import(copy, "open('made.txt', 'w').write(os.getcwd()) if (os := __import__('os')) else 0")
    before = {path: path.stat().st_mtime_ns for path in copy.rglob("*")}
    assert {verdict.state for verdict in check(course, checker, copy).values()} == {PASSED}
    assert {path: path.stat().st_mtime_ns for path in copy.rglob("*")} == before
    assert "made.txt" not in take(copy).files


def test_without_a_running_server_nothing_is_left(course: Course) -> None:
    with ForkServers() as servers:
        checker = Checker(course, servers)
        checker.check(course.lesson(0), course.lesson(0).starter)
        pid = servers.get(course.imports(course.lesson(0)))._process.pid
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
