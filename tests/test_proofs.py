"""What must always hold, for every lesson. A new lesson joins by being in course.toml.

tests/broken/<folder>.toml breaks the solution in the way each check is about, and makes the known
mistakes: `old` in `file` becomes `new` and, where that takes two places, `also_old` (in `also_file`
if it is another) becomes `also_new`. Of what a mend names of the copy, `tells` is a part.
docs/mistakes.md shows some of these verdicts, each in a block marked `shown:` and the mistake.
tests/answers/<folder>/ holds another right answer: all of its Python and its templates, and all of
migrations/ where it has its own.
"""

from __future__ import annotations

import ast
import contextlib
import re
import tomllib
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from course import markers
from course.catalog import Course, Ended, Lesson, Mistake, load
from course.checker import Checker, _verdict
from course.diagnosis import Diagnosis
from course.snapshot import Snapshot, take
from course.verdicts import FAILED, NOT_ATTEMPTED, PASSED

HERE = Path(__file__).parent
LESSONS = load().lessons
PAGE = (load().root / "docs" / "mistakes.md").read_text("utf-8")
SHOWN = dict(re.findall(r"^<!-- shown: (.+) -->\n```text\n((?:.*\n)*?)```$", PAGE, re.MULTILINE))


def proofs(lesson: Lesson, kind: str) -> list[dict[str, str]]:
    """Return the entries of a kind, `broken` or `mistake`; none where the file cannot be read yet.

    That is one lesson's trouble, which test_every_check_is_proved names, and not that of them all.
    """
    with contextlib.suppress(OSError, tomllib.TOMLDecodeError):
        return read_proofs(lesson).get(kind, [])
    return []


def read_proofs(lesson: Lesson) -> dict[str, list[dict[str, str]]]:
    return tomllib.loads((HERE / "broken" / f"{lesson.folder}.toml").read_text("utf-8"))


def known_by(mistake: Mistake | dict[str, str]) -> str:
    """Return what a mistake is known by: a text, or the name of a function."""
    fields = mistake if isinstance(mistake, dict) else vars(mistake)
    return fields.get("finds") or fields["says"]


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
    for of in course.before(lesson):
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
    wrong = {check: result.said for check, result in results.items() if result.state != FAILED}
    assert wrong == {}, "these pass, or fail by themselves"


@each(LESSONS)
def test_starter_is_the_solution_before_plus_todos_and_given_files(
    lesson: Lesson, course: Course
) -> None:
    earlier = course.before(lesson)
    before = texts(take(earlier[-1].solution)) if earlier else {}
    starter, solution = texts(take(lesson.starter)), texts(take(lesson.solution))
    given = set(lesson.given)
    wrong = [f"{path} is given twice" for path in given if lesson.given.count(path) > 1]
    wrong += [f"{path} is given, and not in the starter" for path in given - starter.keys()]
    wrong += [f"{path} has a TODO in the solution" for path in solution if tasks_in(solution, path)]
    for path in sorted(starter.keys() | before.keys()):
        text = starter.get(path, "")
        if path in given and path not in before and tasks_in(starter, path):
            continue  # the solution is what becomes of it
        if path in given and text != solution.get(path) and not fills(solution, path, text):
            wrong.append(f"{path} is given, without a TODO, and is not that of the solution")
        elif path not in given and path not in before:
            wrong.append(f"{path} is new in the starter, and not named in `given`")
        elif path not in given and markers.without(text) != markers.without(before[path]):
            wrong.append(f"{path} is not that of solutions/{earlier[-1].folder} plus TODOs")
    assert not wrong, f"In lessons/{lesson.folder}:\n" + "\n".join(wrong)


def tasks_in(files: dict[str, str], path: str) -> set[str]:
    return markers.tasks(files[path])


def fills(solution: dict[str, str], path: str, text: str) -> bool:
    """Tell whether the solution fills a package that is given empty: a task moves something there.

    Such a package has a docstring, and no TODO.
    """
    if not path.endswith("/__init__.py") or len(ast.parse(text).body) > 1:
        return False
    return solution.get(path, "").startswith(text)


def texts(snapshot: Snapshot) -> dict[str, str]:
    """Return the files as texts. What is none has no TODO, and is compared all the same."""
    return {path: data.decode("utf-8", "backslashreplace") for path, data in snapshot.files.items()}


@each(LESSONS)
def test_legacy_is_that_of_the_lesson_that_gave_it_last(lesson: Lesson, course: Course) -> None:
    giving = [each for each in course.up_to(lesson.number) if "legacy.py" in each.given]
    if not giving:
        assert "legacy.py" not in take(lesson.solution).files, "course.toml does not give legacy.py"
        return
    given = take(giving[-1].solution).text("legacy.py")
    assert given is not None, f"lesson {giving[-1].number} gives no legacy.py"
    assert take(lesson.solution).text("legacy.py") == given, (
        f"solutions/{lesson.folder}/legacy.py is not that of solutions/{giving[-1].folder}: carry "
        f"the change on (python -m course propagate {giving[-1].number}), or name it in `given`"
    )


@each(LESSONS)
def test_each_task_has_its_todo_its_hints_its_checks(lesson: Lesson) -> None:
    ids = [task.id for task in lesson.tasks]
    wanted = [f"{lesson.number}.{i}" for i in range(1, len(ids) + 1)]
    assert ids == wanted, "the tasks are not numbered in order"
    marked = set().union(*(markers.tasks(text) for text in texts(take(lesson.starter)).values()))
    wrong = [f"the starter has no TODO {task}" for task in sorted(set(ids) - marked)]
    wrong += [f"the starter has a TODO {task} of no task" for task in sorted(marked - set(ids))]
    for task in lesson.tasks:
        if len(task.hints) != 2:
            wrong.append(f"task {task.id} has not two hints, but {len(task.hints)}")
        if not task.checks:
            wrong.append(f"task {task.id} has no check")
    named = Counter(check for task in lesson.tasks for check in task.checks)
    source = lesson.checks.read_text("utf-8")
    defined = Counter(re.findall(r"^def (test_\w+)\(", source, re.MULTILINE))
    file = f"checks/{lesson.checks.name}"
    wrong += [f"{check} is in {file} more often than in course.toml" for check in defined - named]
    wrong += [f"{check} is in course.toml more often than in {file}" for check in named - defined]
    assert not wrong, "\n".join(wrong)


@each(LESSONS)
def test_a_lesson_is_of_the_usual_length(lesson: Lesson) -> None:
    """It stands by itself: while a lesson is being written, it must not hide what else is wrong."""
    fewest, most = 6, 8
    number = len(lesson.tasks)
    assert fewest <= number <= most, f"the lesson has {number} tasks, and not {fewest} to {most}"


@each(LESSONS)
def test_an_ended_check_is_one_and_the_page_says_so(lesson: Lesson, course: Course) -> None:
    known = {
        f"{other.checks.name}::{check}"
        for other in course.before(lesson)
        for task in other.tasks
        for check in task.checks
    }
    for ended in lesson.ends:
        assert ended.check in known, "it is not a check of a lesson before"
        page = lesson.page.read_text("utf-8")
        assert ended.why in page, f"docs/{lesson.page.name} does not say why {ended.check} ends"


@pytest.mark.parametrize(
    ("lesson", "broken"),
    [
        pytest.param(lesson, broken, id=f"{lesson.number}-{broken.get('check')}-{i}")
        for lesson in LESSONS
        for i, broken in enumerate(proofs(lesson, "broken"))
    ],
)
def test_a_broken_solution_fails_the_check(
    lesson: Lesson, broken: dict[str, str], checker: Checker
) -> None:
    check = broken["check"]
    copy = changed(lesson, broken)
    result = checker.results(lesson, copy, lesson.checks, frozenset({check}))[check]
    assert result.state != PASSED, "the break breaks nothing: the check passes"
    assert result.state == broken.get("state", FAILED), result.said
    assert broken["says"] in result.said


def changed(lesson: Lesson, proof: dict[str, str]) -> Snapshot:
    """Return the solution as an entry of tests/broken/ changes it."""
    copy = take(lesson.solution)
    for also in ("", "also_") if "also_old" in proof else ("",):
        file = proof.get(f"{also}file", proof["file"])
        copy = copy.replacing(file, proof[f"{also}old"], proof[f"{also}new"])
    return copy


@pytest.mark.parametrize("mistake", load().mistakes, ids=known_by)
def test_a_known_mistake_is_told_how_to_mend(
    mistake: Mistake, course: Course, checker: Checker
) -> None:
    assert bool(mistake.says) != bool(mistake.finds)
    found = [
        (lesson, made)
        for lesson in LESSONS
        for made in proofs(lesson, "mistake")
        if known_by(made) == known_by(mistake)
    ]
    assert len(found) == 1, "tests/broken/ makes each mistake once"
    lesson, made = found[0]
    check, copy = made["check"], changed(lesson, made)
    result = checker.results(lesson, copy, lesson.checks, frozenset({check}))[check]
    task = next(task for task in lesson.tasks if check in task.checks)
    diagnosis = Diagnosis(course.mistakes, copy)
    message = _verdict(task, [(check, result)], take(lesson.starter), diagnosis).message
    assert told(mistake, message)
    assert made["tells" if mistake.finds else "says"] in message
    said = message.partition("\n")[0]
    assert SHOWN.get(known_by(mistake), said).split() == said.split()


def told(mistake: Mistake, message: str) -> bool:
    """Tell whether the mend stands in a message, with a value for each name in braces."""
    words = re.split(r"\{\w+\}" if mistake.finds else "$^", mistake.mend)
    return re.search(".+?".join(map(re.escape, words)), message) is not None


@each(LESSONS)
def test_every_check_is_proved(lesson: Lesson) -> None:
    checks = {check for task in lesson.tasks for check in task.checks}
    proved = read_proofs(lesson)
    wrong = [
        f"the entry of {entry.get('check')}, {entry.get('old')!r}: {why}"
        for entry in (*proved.get("broken", []), *proved.get("mistake", []))
        for why in amiss(entry)
    ]
    assert not wrong, f"In tests/broken/{lesson.folder}.toml:\n" + "\n".join(wrong)
    broken = {entry["check"] for entry in proved.get("broken", [])}
    assert not checks - broken, f"add a [[broken]] entry for each of {sorted(checks - broken)}"
    assert broken <= checks, f"course.toml has no check {sorted(broken - checks)}"
    known = {known_by(mistake) for mistake in load().mistakes}
    made = {known_by(entry) for entry in proved.get("mistake", [])}
    assert made <= known, f"course.toml has no mistake {sorted(made - known)}"


def amiss(entry: dict[str, str]) -> Iterator[str]:
    """Give what is wrong with an entry. An empty text is none: it is a part of every verdict."""
    said = ("finds", "tells") if "finds" in entry else ("says",)
    needed = {"check", "file", "old", "new", *said}
    allowed = {"state", "also_file", "also_old", "also_new"}
    yield from (f"it has no {name}" for name in sorted(needed - entry.keys()))
    yield from (f"nobody reads its {name}" for name in sorted(entry.keys() - needed - allowed))
    for name in sorted(entry.keys() - {"new", "also_new"}):
        if not entry[name].strip():
            yield f"its {name} is empty"


@each(LESSONS)
def test_another_right_answer_passes(
    lesson: Lesson, course: Course, checker: Checker, tmp_path: Path
) -> None:
    answer = take(HERE / "answers" / lesson.folder)
    solution = take(lesson.solution)
    other = any(solution.files.get(path) != data for path, data in answer.files.items())
    assert other, f"tests/answers/{lesson.folder} is the solution itself"
    kept = {path: data for path, data in solution.files.items() if stays(path, answer)}
    Snapshot(kept | answer.files).write(tmp_path)
    for of in course.up_to(lesson.number):
        assert failing(checker, lesson, tmp_path, of) == {}


def stays(path: str, answer: Snapshot) -> bool:
    """Tell whether a file of the solution is also one of another answer that does not have it."""
    if path.startswith("migrations/"):
        return not any(own.startswith("migrations/") for own in answer.files)
    return not path.endswith((".py", ".html")) or path == "legacy.py"


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
