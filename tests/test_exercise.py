"""The exercise of docs/testing.md: a student's tests are tried on the right app and on broken ones.

tests/answers/testing/own.py holds tests that do all that is wanted; it is no part of any page.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from course import own_tests
from course.catalog import Course
from course.errors import CourseError
from course.own_tests import Broken, Exercise, Tried, broken_app
from course.pages import read
from course.processes import ForkServers
from course.snapshot import Snapshot, take
from course.verdicts import CRASHED, FAILED, IMPORT_ERROR, NOT_ATTEMPTED, PASSED, TIMED_OUT

ROOT = Path(__file__).resolve().parent.parent
PAGE = read(ROOT / "docs" / "testing.md")
CONFTEST, OWN = "tests/conftest.py", "tests/test_own.py"
GOOD = (ROOT / "tests" / "answers" / "testing" / "own.py").read_text("utf-8")
NAMES = ("test_another_users_todo", "test_old_cookie")


@pytest.fixture(scope="module")
def servers() -> Iterator[ForkServers]:
    with ForkServers() as servers:
        yield servers


@pytest.fixture(scope="module")
def exercise(course: Course) -> Exercise:
    return own_tests.load(course)


class Student:
    """Tries tests that stand in a copy of the lesson."""

    def __init__(self, course: Course, exercise: Exercise, servers: ForkServers) -> None:
        self._given = course, exercise, servers

    def tries(self, own: str, **files: str) -> dict[str, Tried]:
        """Try a test_own.py beside the conftest.py of the page, or other files by their names."""
        texts = {CONFTEST: PAGE.examples[CONFTEST], OWN: own} | files
        return self.tries_copy({path: text for path, text in texts.items() if text})

    def tries_copy(self, texts: dict[str, str]) -> dict[str, Tried]:
        course, exercise, servers = self._given
        copy = Snapshot({path: text.encode() for path, text in texts.items()})
        found = own_tests.try_tests(course, exercise, copy, servers)
        return {each.verdict.id: each for each in found}


@pytest.fixture
def student(course: Course, exercise: Exercise, servers: ForkServers) -> Student:
    return Student(course, exercise, servers)


def states(found: dict[str, Tried]) -> dict[str, str]:
    return {name: each.verdict.state for name, each in found.items()}


def missed(tried: Tried) -> list[str]:
    """Return what the broken apps do that a test passes on."""
    return [broken.does for broken, noticed in tried.noticed if not noticed]


def test_the_reference_tests_do_all_that_is_wanted(student: Student, exercise: Exercise) -> None:
    found = student.tries(GOOD)
    assert states(found) == dict.fromkeys(NAMES, PASSED)
    for test in exercise.tests:
        assert [broken for broken, _ in found[test.name].noticed] == list(test.broken)
        assert missed(found[test.name]) == []
        assert found[test.name].verdict.message == ""


def test_each_test_is_of_its_broken_apps_and_says_what_they_do(exercise: Exercise) -> None:
    assert tuple(test.name for test in exercise.tests) == NAMES
    for test in exercise.tests:
        assert len({broken.does for broken in test.broken}) == len(test.broken) >= 4
        for broken in test.broken:
            assert not broken.does.endswith(".")
            assert broken.ask.endswith("?")


IN_LIST = 'assert "Ring the doctor" not in bob.get("/todos").text'
OF_PAGE = "assert bob.get(page).status_code == 404"
OF_DELETE = 'assert bob.post(f"{page}/delete").status_code == 404'
SEEN = "assert seen.status_code == 200"
UNCHANGED = "assert 'value=\"Ring the doctor\"' in seen.text"
BOB = 'browser_of("Bob")'
BEFORE = 'assert "logged in as Ann" in thief.get(closed).text'
AFTER = "thief.get(closed, follow"


@pytest.mark.parametrize(
    ("changes", "number", "passes_on"),
    [
        ({IN_LIST: "pass"}, 0, ["lists everyone's todos"]),
        ({OF_PAGE: "pass"}, 0, ["shows a todo's page"]),
        ({UNCHANGED: "pass"}, 0, ["makes it all the same"]),
        (
            {OF_DELETE: "pass", SEEN: "pass", UNCHANGED: "pass"},
            0,
            ["makes it all the same", "delete a todo", "404 to everyone"],
        ),
        ({"== 404": "in (403, 404)"}, 0, ["answers 403 to Bob"]),
        (
            {"users_todo(browser_of)": "users_todo(browser_of, client)", BOB: "client"},
            0,
            ["guests"],
        ),
        ({BEFORE: "pass"}, 1, ["lets nobody in"]),
        ({AFTER: "ann.get(closed, follow"}, 1, ["takes the cookie", "keeps the whole session"]),
    ],
    ids=["list", "page", "change", "owner", "403", "guest", "before", "cookie"],
)
def test_each_line_of_the_reference_tests_is_for_a_broken_app(
    student: Student, changes: dict[str, str], number: int, passes_on: list[str]
) -> None:
    own = GOOD
    for old, new in changes.items():
        assert old in own
        own = own.replace(old, new)
    tried = student.tries(own)[NAMES[number]]
    assert tried.verdict.state == FAILED
    found = missed(tried)
    assert [part for part, does in zip(passes_on, found, strict=True) if part in does] == passes_on
    total = len(tried.noticed)
    said = f"It passes on the right app, and also on {len(passes_on)} of {total} broken ones."
    assert tried.verdict.message == said


def test_no_logout_at_all(student: Student) -> None:
    own = GOOD.replace('ann.post("/logout")', "pass")
    assert student.tries(own)[NAMES[1]].verdict.state == FAILED


def test_logging_out_is_looked_at(student: Student) -> None:
    own = 'def test_old_cookie(browser_of):\n    assert browser_of("Ann").post("/logout").location'
    assert len(missed(student.tries(own)[NAMES[1]])) == 4


# What a student is told of tests that prove nothing.

MARKED = "import pytest\n\n\n@pytest.mark.{mark}\ndef test_old_cookie(browser_of):\n    {body}\n"


@pytest.mark.parametrize(
    "body", ["pass", "assert True", 'browser_of("Ann")', "for x in []:\n        assert x"]
)
def test_an_empty_test_passes_on_all(student: Student, exercise: Exercise, body: str) -> None:
    found = student.tries(f"def test_old_cookie(browser_of):\n    {body}\n")
    tried = found["test_old_cookie"]
    assert tried.verdict.state == FAILED
    assert missed(tried) == [broken.does for broken in exercise.tests[1].broken]
    assert "also on all 4 broken ones: so it proves nothing yet." in (tried.verdict.message)
    assert found["test_another_users_todo"].verdict.state == NOT_ATTEMPTED
    assert "There is no such function in tests/" in found["test_another_users_todo"].verdict.message


@pytest.mark.parametrize("mark", ["skip", "xfail", "xfail(strict=False)"])
@pytest.mark.parametrize("body", ["pass", "assert False"])
def test_a_mark_makes_no_test(student: Student, mark: str, body: str) -> None:
    tried = student.tries(MARKED.format(mark=mark, body=body))["test_old_cookie"]
    assert tried.verdict.state == FAILED
    if mark == "skip" or body == "assert False":
        assert "It is skipped, or marked as one that may fail (xfail)" in tried.verdict.message
    else:
        assert len(missed(tried)) == 4


def test_a_mark_on_what_would_notice_is_told(student: Student) -> None:
    own = GOOD.replace("@pytest.mark.parametrize", "@pytest.mark.xfail\n@pytest.mark.parametrize")
    tried = student.tries(own)["test_old_cookie"]
    assert tried.verdict.state == FAILED
    assert "marked as one that may fail (xfail)" in tried.verdict.message


def test_no_folder_yet(student: Student) -> None:
    found = student.tries_copy({"App/__init__.py": "raise SystemExit('not looked at')"})
    assert states(found) == dict.fromkeys(NAMES, NOT_ATTEMPTED)
    for tried in found.values():
        assert "There is no file in tests/ of your copy yet" in tried.verdict.message
        assert "docs/testing.md" in tried.verdict.message


def test_no_test_of_that_name(student: Student) -> None:
    found = student.tries(GOOD.replace("def test_old_cookie", "def test_old_cookies"))
    assert states(found) == {NAMES[0]: PASSED, NAMES[1]: NOT_ATTEMPTED}


@pytest.mark.parametrize("path", ["test_own.py", "tests/own.py", "App/tests/test_own.py"])
def test_a_test_in_another_place(student: Student, path: str) -> None:
    for files in ({path: GOOD}, {path: GOOD, "tests/test_other.py": ""}):
        for tried in student.tries_copy(files).values():
            assert tried.verdict.state == NOT_ATTEMPTED
            said = f"It is in {path}, and pytest looks only into tests/test_….py: move it there."
            assert tried.verdict.message == said


def test_a_test_that_fails_on_the_right_app(student: Student) -> None:
    own = GOOD.replace("assert bob.get(page).status_code == 404", "assert bob.get(page) == page")
    message = student.tries(own)[NAMES[0]].verdict.message
    said, *trace = message.splitlines()
    assert said.startswith("It fails on an app that does everything right, the solution")
    line = own.splitlines().index("    assert bob.get(page) == page") + 1
    assert trace[0] == (
        f"  tests/test_own.py, line {line}, in test_another_users_todo: "
        "assert bob.get(page) == page"
    )
    assert trace[1].startswith("  AssertionError: assert <WrapperTestResponse")
    assert len(trace) == 2


def test_what_a_test_asserts_in_words_is_shown(student: Student) -> None:
    own = 'def test_old_cookie(client):\n    assert client.get("/") is None, "no page"\n'
    assert "AssertionError: no page" in student.tries(own)["test_old_cookie"].verdict.message


def test_an_error_in_the_app_has_the_lines_of_the_test_alone(student: Student) -> None:
    own = 'from App.models import Todo\n\n\ndef test_old_cookie():\n    Todo.add(None, "Tea")\n'
    message = student.tries(own)["test_old_cookie"].verdict.message
    assert 'tests/test_own.py, line 5, in test_old_cookie: Todo.add(None, "Tea")' in message
    assert "RuntimeError: Working outside of application context." in message
    assert "App/models" not in message


def test_a_fixture_that_fails_or_is_not_there(student: Student) -> None:
    tried = student.tries("def test_old_cookie(clients):\n    pass\n")["test_old_cookie"]
    assert tried.verdict.state == FAILED
    assert tried.verdict.message == (
        "tests/test_own.py, line 1, asks for a fixture clients, which nobody makes. "
        "Is one of that name in tests/conftest.py, below @pytest.fixture?"
    )
    conftest = PAGE.examples[CONFTEST]
    failing = student.tries(GOOD, **{CONFTEST: conftest.replace("tmp_path}/", "tmp_path}//no/")})
    assert "OperationalError" in failing[NAMES[0]].verdict.message
    assert "tests/conftest.py, line" in failing[NAMES[0]].verdict.message


def test_the_environment_is_that_of_a_terminal(student: Student) -> None:
    conftest = PAGE.examples[CONFTEST].replace('"APP_ENV": "development",', "")
    failing = student.tries(GOOD, **{CONFTEST: conftest})
    assert "RuntimeError: Set SECRET_KEY" in failing[NAMES[0]].verdict.message


@pytest.mark.parametrize("path", [OWN, CONFTEST])
@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("def test_old_cookie(:\n    pass\n", "SyntaxError: "),
        ("from App import nothing\n", "ImportError: cannot import name 'nothing' from 'App'"),
        ("import nowhere\n", "ModuleNotFoundError: No module named 'nowhere'"),
        ("oops\n", "NameError: name 'oops' is not defined"),
    ],
)
def test_a_file_that_cannot_be_loaded(student: Student, path: str, text: str, error: str) -> None:
    found = student.tries(**{"own": GOOD, path: text} if path != OWN else {"own": text})
    assert states(found) == dict.fromkeys(NAMES, IMPORT_ERROR)
    message = found[NAMES[0]].verdict.message
    assert "A file of your tests cannot be loaded. Mend that first." in message
    assert f"  {path}, line 1" in message
    assert f"  {error}" in message
    assert "/dev/shm" not in message


def test_another_file_that_cannot_be_loaded_is_not_asked_for(student: Student) -> None:
    found = student.tries(GOOD, **{"tests/test_other.py": "oops"})
    assert states(found) == dict.fromkeys(NAMES, PASSED)


def test_an_endless_loop(student: Student) -> None:
    own = GOOD.replace('    ann.post("/logout")\n', "    while True:\n        closed = closed\n")
    found = student.tries(own)
    assert states(found) == {NAMES[0]: PASSED, NAMES[1]: TIMED_OUT}
    message = found[NAMES[1]].verdict.message
    assert "It has not ended within 10 seconds." in message
    assert re.search(r"tests/test_own.py, line \d+, in test_old_cookie: ", message)


def test_a_loop_on_a_broken_app_alone(student: Student) -> None:
    own = GOOD.replace(
        "assert bob.get(page).status_code == 404",
        "while bob.get(page).status_code == 403:\n        pass",
    )
    tried = student.tries(own)[NAMES[0]]
    assert tried.verdict.state == TIMED_OUT
    assert "But on one that answers 403 to Bob" in tried.verdict.message


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("import os; os._exit(0)", "Python has ended before the test did (exit code 0)."),
        ("import os; os.kill(os.getpid(), 9)", "Python has ended before the test did (signal 9)."),
        ("import os; [os.write(1, b'x' * 65536) for _ in range(99)]", "printed more than 1 MiB"),
    ],
)
def test_a_test_that_ends_everything(student: Student, body: str, said: str) -> None:
    tried = student.tries(f"def test_old_cookie():\n    {body}\n")["test_old_cookie"]
    assert tried.verdict.state == CRASHED
    assert said in tried.verdict.message


@pytest.mark.parametrize(
    ("line", "file"),
    [
        ('"SQLALCHEMY_DATABASE_URI": f"sqlite:///{tmp_path}/test.db",', "instance/todos.db"),
        ('"SESSION_STORE": "memory",', "instance/sessions"),
    ],
)
def test_a_test_that_uses_what_is_real(student: Student, line: str, file: str) -> None:
    conftest = PAGE.examples[CONFTEST]
    assert conftest.count(line) == 1
    found = student.tries(GOOD, **{CONFTEST: conftest.replace(line, "")})
    assert states(found) == dict.fromkeys(NAMES, FAILED)
    for tried in found.values():
        assert f"It passes, but it has written {file}" in tried.verdict.message


def test_a_change_that_does_not_fit_is_our_mistake(course: Course) -> None:
    right = take(course.lesson(5).solution)
    with pytest.raises(CourseError, match="a mistake of ours"):
        broken_app(right, Broken("does", "ask?", "App/auth.py", "stands nowhere", ""))
    with pytest.raises(CourseError, match="a mistake of ours"):
        broken_app(right, Broken("does", "ask?", "App/auth.py", "session", ""))


@pytest.mark.parametrize("text", ["", "lesson = 5\n", "[[test]\n", None, "lesson = 5\ntest = 1\n"])
def test_an_exercise_that_cannot_be_read(tmp_path: Path, course: Course, text: str | None) -> None:
    (tmp_path / "checks").mkdir()
    if text is not None:
        (tmp_path / "checks" / "testing.toml").write_text(text)
    with pytest.raises(CourseError, match=r"testing\.toml cannot be read"):
        own_tests.load(Course(tmp_path, course.lessons))


# The command.


@pytest.fixture
def home(pristine: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "my 课程"
    shutil.copytree(pristine, folder)
    return folder


def check_tests(home: Path, code: int) -> str:
    done = subprocess.run(
        [sys.executable, "-c", "from course.cli import main; main()", "check-tests"],
        cwd=home, env=os.environ | {"COLUMNS": "80"}, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout if code < 2 else done.stderr


def test_the_command(home: Path) -> None:
    assert "You have no copy of lesson 5 yet. make lesson-5 makes it." in check_tests(home, 2)
    copy = home / "work" / "05_session"
    shutil.copytree(home / "lessons" / "05_session", copy)
    said = check_tests(home, 1)
    assert said.count("There is no file in tests/ of your copy yet.") == 1
    for path in (CONFTEST, OWN):
        (copy / path).parent.mkdir(exist_ok=True)
        (copy / path).write_text(PAGE.examples[path])
    before = take(copy, made=True)
    said = check_tests(home, 1)
    shown = re.search(r"^<!-- shown: first try -->\n```text\n((?:.*\n)*?)```$", PAGE.text, re.M)
    assert shown
    assert said == shown[1]
    assert take(copy, made=True) == before
    (copy / OWN).write_text(GOOD)
    assert "2 of 2 tests" in check_tests(home, 0)


def test_what_pytest_leaves_is_not_the_students(tmp_path: Path) -> None:
    Snapshot({OWN: b"", ".pytest_cache/v/cache/lastfailed": b""}).write(tmp_path)
    assert take(tmp_path).files.keys() == {OWN}
