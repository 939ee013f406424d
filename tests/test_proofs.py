"""What must always hold, for every lesson. A new lesson joins by being in course.toml.

tests/broken/<folder>.toml breaks the solution in the way each check is about, and
tests/answers/<folder>/ holds another right answer: all of its Python and its templates.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest

from course import markers
from course.catalog import Course, Ended, Lesson, Mistake, load
from course.checker import Checker
from course.snapshot import Snapshot, take
from course.verdicts import FAILED, NOT_ATTEMPTED, PASSED

HERE = Path(__file__).parent
LESSONS = load().lessons


def breaks(lesson: Lesson) -> list[dict[str, str]]:
    path = HERE / "broken" / f"{lesson.folder}.toml"  # test_every_check_is_proved misses it
    return tomllib.loads(path.read_text("utf-8"))["broken"] if path.exists() else []


def name(value: object) -> str | None:
    return value.folder if isinstance(value, Lesson) else None


def each(lessons: tuple[Lesson, ...]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("lesson", lessons, ids=name)


def failing(checker: Checker, lesson: Lesson, folder: Path, of: Lesson) -> dict[str, str]:
    """Return the tasks of the lesson `of` that do not pass in a copy of `lesson`."""
    verdicts = checker.check(lesson, folder, of)
    return {verdict.id: verdict.message for verdict in verdicts if verdict.state != PASSED}


@each(LESSONS)
def test_solution_passes_every_check_so_far(
    lesson: Lesson, course: Course, checker: Checker
) -> None:
    for of in course.up_to(lesson.number):
        assert failing(checker, lesson, lesson.solution, of) == {}
        if of == lesson:
            assert len(checker.check(lesson, lesson.solution)) == len(lesson.tasks)


@each(LESSONS)
def test_starter_passes_the_checks_of_the_lessons_before(
    lesson: Lesson, course: Course, checker: Checker
) -> None:
    for of in course.up_to(lesson.number)[:-1]:
        assert failing(checker, lesson, lesson.starter, of) == {}


@each(LESSONS)
def test_starter_fails_each_task_for_its_own_reason(lesson: Lesson, checker: Checker) -> None:
    verdicts = checker.check(lesson, lesson.starter)
    assert {verdict.id: verdict.state for verdict in verdicts} == dict.fromkeys(
        [task.id for task in lesson.tasks], NOT_ATTEMPTED
    )
    assert len({verdict.message for verdict in verdicts}) == len(lesson.tasks)


@each(LESSONS)
def test_starter_fails_every_check(lesson: Lesson, checker: Checker) -> None:
    wanted = checker.expected(lesson, lesson)
    results = checker.results(lesson, take(lesson.starter), lesson.checks, wanted)
    assert results.keys() == wanted
    assert [check for check, result in results.items() if result.state == PASSED] == []


@each(LESSONS)
def test_starter_is_the_solution_before_plus_todos_and_given_files(
    lesson: Lesson, course: Course
) -> None:
    starter = texts(take(lesson.starter))
    before = [other for other in course.lessons if other.number < lesson.number]
    solution = texts(take(before[-1].solution)) if before else {}
    given = {path for path in starter if path not in solution}
    assert sorted(lesson.given) == sorted(given)
    assert {path: markers.without(starter.get(path, "")) for path in solution} == {
        path: markers.without(text) for path, text in solution.items()
    }
    assert [path for path, text in solution.items() if markers.tasks(text)] == []


def texts(snapshot: Snapshot) -> dict[str, str]:
    return {path: data.decode("utf-8") for path, data in snapshot.files.items()}


def test_legacy_is_one_text_in_lessons_1_to_3(course: Course) -> None:
    texts = {take(lesson.solution).text("legacy.py") for lesson in course.lessons[1:4]}
    assert len(texts) == 1
    assert None not in texts


@each(LESSONS)
def test_each_task_has_its_todo_its_hints_its_checks(lesson: Lesson) -> None:
    ids = [task.id for task in lesson.tasks]
    assert ids == [f"{lesson.number}.{i}" for i in range(1, len(ids) + 1)]
    assert 5 <= len(ids) <= 8
    marked = set().union(*(markers.tasks(text) for text in texts(take(lesson.starter)).values()))
    assert marked == set(ids)
    for task in lesson.tasks:
        assert len(task.hints) == 2
        assert task.checks
    named = [check for task in lesson.tasks for check in task.checks]
    defined = re.findall(r"^def (test_\w+)\(", lesson.checks.read_text("utf-8"), re.MULTILINE)
    assert sorted(named) == sorted(defined)


@each(LESSONS)
def test_an_ended_check_is_one_and_the_page_says_so(lesson: Lesson, course: Course) -> None:
    known = {
        f"{other.checks.name}::{check}"
        for other in course.up_to(lesson.number)[:-1]
        for task in other.tasks
        for check in task.checks
    }
    for ended in lesson.ends:
        assert ended.check in known
        assert ended.why in lesson.page.read_text("utf-8")


@pytest.mark.parametrize(
    ("lesson", "broken"),
    [
        pytest.param(lesson, broken, id=f"{lesson.number}-{broken['check']}-{i}")
        for lesson in LESSONS
        for i, broken in enumerate(breaks(lesson))
    ],
)
def test_a_broken_solution_fails_the_check(
    lesson: Lesson, broken: dict[str, str], checker: Checker
) -> None:
    copy = take(lesson.solution)
    text = copy.text(broken["file"]) or ""
    for old, new in (("old", "new"), ("also_old", "also_new")):
        if old in broken:
            assert text.count(broken[old]) == 1, "what is to be broken stands there no more"
            text = text.replace(broken[old], broken[new])
    files = copy.files | {broken["file"]: text.encode()}
    check = broken["check"]
    result = checker.results(lesson, Snapshot(files), lesson.checks, frozenset({check}))[check]
    assert result.state == broken.get("state", FAILED), result.said
    assert broken["says"] in result.said


MISTAKES = {
    "No module named 'flask._compat'": (1, "test_help", "manage.py", "import legacy", "import re"),
    "'NoneType' object is not callable": (0, "test_list", "app.py", "    return response\n", ""),
    "did not return a valid response": (
        0, "test_list", "app.py", "return todo_list(q", "todo_list(q",
    ),
    "Could not build url for endpoint": (
        2, "test_change", "App/views/todos.py", "todos.index", "index",
    ),
    "got an unexpected keyword argument": (
        1, "test_find", "manage.py", "def find(text, only_open", "def find(text, open_only",
    ),
    "TemplateNotFound": (2, "test_change", "App/views/todos.py", '"todos.html"', '"Todos.html"'),
    "is already registered": (2, "test_change", "App/views/main.py", '"main"', '"todos"'),
    "GET /todos: expected status 200 OK, got status 400 Bad Request": (
        0, "test_search", "app.py", '.args.get("q", "")', '.args["q"]',
    ),
}  # fmt: skip


@pytest.mark.parametrize("mistake", load().mistakes, ids=lambda mistake: mistake.says)
def test_a_known_mistake_is_told_how_to_mend(
    mistake: Mistake, course: Course, checker: Checker, tmp_path: Path
) -> None:
    number, check, file, old, new = MISTAKES[mistake.says]
    lesson = course.lesson(number)
    copy = take(lesson.solution)
    text = copy.text(file) or ""
    assert old in text
    Snapshot(copy.files | {file: text.replace(old, new).encode()}).write(tmp_path)
    task = next(task.id for task in lesson.tasks if check in task.checks)
    assert mistake.mend in failing(checker, lesson, tmp_path, lesson)[task]


@each(LESSONS)
def test_every_check_is_proved(lesson: Lesson) -> None:
    checks = {check for task in lesson.tasks for check in task.checks}
    assert {broken["check"] for broken in breaks(lesson)} == checks


@each(LESSONS)
def test_another_right_answer_passes(
    lesson: Lesson, course: Course, checker: Checker, tmp_path: Path
) -> None:
    answer = take(HERE / "answers" / lesson.folder)
    solution = take(lesson.solution)
    assert any(solution.files.get(path) != data for path, data in answer.files.items())
    answer.write(tmp_path)
    for path, data in solution.files.items():
        if path not in answer.files and (
            not path.endswith((".py", ".html")) or path == "legacy.py"
        ):
            (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / path).write_bytes(data)
    for of in course.up_to(lesson.number):
        assert failing(checker, lesson, tmp_path, of) == {}


def test_a_check_that_a_later_lesson_ends_is_not_run_there(
    course: Course, checker: Checker
) -> None:
    first, second = course.lessons[:2]
    check = next(iter(first.tasks[0].checks))
    ended = Ended(f"{first.checks.name}::{check}", "Because.")
    changed = replace(course, lessons=(first, replace(second, ends=(ended,))))
    later = Checker(changed, checker.servers)
    assert check not in later.expected(changed.lessons[1], first)
    assert later.expected(first, first) == checker.expected(first, first)
