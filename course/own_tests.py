"""Try a student's own tests on the app as it should be, and on apps that are broken.

The exercise stands in checks/testing.toml, and docs/testing.md leads to it. A test is done when it
passes on the solution and fails on each of its broken apps.
"""

from __future__ import annotations

import os
import re
import tomllib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from xml.etree import ElementTree

from course.answers import exit_words
from course.catalog import Course, Lesson
from course.errors import CourseError
from course.preparing import compiled
from course.processes import COMMAND_SECONDS, Finished, ForkServer, ForkServers, Job
from course.snapshot import Snapshot, read_file, take
from course.verdicts import (
    CRASHED,
    FAILED,
    IMPORT_ERROR,
    NOT_ATTEMPTED,
    PASSED,
    TIMED_OUT,
    Trace,
    Verdict,
    read_trace,
)
from course.written import Written

FOLDER = "tests"
"""Where a student's tests stand in the copy of the lesson."""

PAGE = "docs/testing.md"

SKIPPED = "skipped"
"""The state of a test that pytest did not run, or whose failure it was told to expect."""

CANNOT_BEGIN = 4
"""What pytest exits with where it cannot load conftest.py."""

_WORST_LAST = (PASSED, SKIPPED, FAILED)

REPORT_LIMIT = 4 * 1024 * 1024
"""Bytes that pytest's report may have."""

_PYTEST = (
    *("-m", "pytest", FOLDER, "--rootdir=.", "-c", os.devnull),  # no configuration from elsewhere
    *("--tb=native", "--continue-on-collection-errors", "-p", "no:cacheprovider"),
    *("--capture=sys", "-p", "no:faulthandler"),  # so that `course.job` can say where a loop is
)


@dataclass(frozen=True)
class Broken:
    """One change of the solution, and what to say of the app that it makes."""

    does: str
    ask: str
    file: str
    old: str
    new: str


@dataclass(frozen=True)
class Wanted:
    """A test that a student is to write, and the broken apps that it is to notice."""

    name: str
    title: str
    broken: tuple[Broken, ...]


@dataclass(frozen=True)
class Exercise:
    """The tests that are wanted, and the lesson whose solution they are tried on."""

    lesson: Lesson
    tests: tuple[Wanted, ...]


@dataclass(frozen=True)
class Tried:
    """How a test stands; `noticed` says of each broken app that it was tried on whether it failed.

    The verdict's message has words, and below them the student's own frames.
    """

    verdict: Verdict
    noticed: tuple[tuple[Broken, bool], ...] = ()


@dataclass(frozen=True)
class _Outcome:
    """How a test ended on one app, or why it did not run."""

    state: str
    said: str = ""
    trace: str = ""
    """The frames in the student's tests, and the error."""
    written: str = ""
    """What is in instance/ afterwards: the first of it, if there is any."""


def load(course: Course) -> Exercise:
    """Read checks/testing.toml. Raises `CourseError` where it is not as its head says."""
    path = course.root / "checks" / "testing.toml"
    try:
        data = tomllib.loads(path.read_text("utf-8"))
        tests = (
            Wanted(test["name"], test["title"], tuple(Broken(**each) for each in test["broken"]))
            for test in data["test"]
        )
        return Exercise(course.lesson(data["lesson"]), tuple(tests))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CourseError(f"{path} cannot be read: {error}") from error


def broken_app(right: Snapshot, broken: Broken) -> Snapshot:
    """Return the right app with one change. Raises `CourseError` where it does not fit."""
    try:
        return right.replacing(broken.file, broken.old, broken.new)
    except ValueError as error:
        raise CourseError(
            f"checks/testing.toml does not fit the solution, which is a mistake of ours: "
            f"for an app that {broken.does}, {error}."
        ) from error


def try_tests(
    course: Course, exercise: Exercise, copy: Snapshot, servers: ForkServers
) -> tuple[Tried, ...]:
    """Try the tests that stand in a student's copy of the lesson.

    Nothing else of the copy is used, and nothing in it is changed: each app is one of ours, in a
    folder and a process of its own. Raises `CourseError` where no program can be run.
    """
    own = {path: data for path, data in copy.files.items() if path.startswith(f"{FOLDER}/")}
    if not own:
        none = f"There is no file in {FOLDER}/ of your copy yet. {PAGE} has two to begin with."
        return tuple(_missing(test, copy, none) for test in exercise.tests)
    forks = servers.get((*course.imports(exercise.lesson), "pytest"))
    bench = _Bench(forks, take(exercise.lesson.solution), own)
    forks.imported()  # waits here, and not in each of several threads
    pool = ThreadPoolExecutor(os.cpu_count())  # more at a time would only take longer each
    try:
        on_right = [pool.submit(bench.run, test) for test in exercise.tests]
        wrong = [_wrong_on_right(run.result()) for run in on_right]
        on_broken = [
            [pool.submit(bench.run, test, each) for each in test.broken if not found]
            for test, found in zip(exercise.tests, wrong, strict=True)
        ]
        return tuple(
            (_missing(test, copy) if found[0] == NOT_ATTEMPTED else _tried(test, *found))
            if found
            else _judge(test, [run.result() for run in runs])
            for test, found, runs in zip(exercise.tests, wrong, on_broken, strict=True)
        )
    finally:
        pool.shutdown(cancel_futures=True)  # after Ctrl-C, what has not begun need not


def _wrong_on_right(outcome: _Outcome) -> tuple[str, str, str] | None:
    """Return state, words and frames for a test that is not in order on the right app."""
    if outcome.state == PASSED and outcome.written:
        return FAILED, _WRITTEN.format(name=outcome.written), ""
    if outcome.state == PASSED:
        return None
    if outcome.state == SKIPPED:
        return FAILED, _SKIPPED, ""
    if outcome.state == FAILED:
        return FAILED, outcome.said or _FAILED, outcome.trace
    return outcome.state, outcome.said, outcome.trace


_FAILED = "It fails on an app that does everything right, the solution, with:"
_SKIPPED = (
    "It is skipped, or marked as one that may fail (xfail): so it never stops anyone. "
    "Delete the mark, and mend what fails then."
)
_WRITTEN = (
    "It passes, but it has written instance/{name}. In instance/ are the todos and the sessions "
    "of the real app: give create_app() a database in tmp_path, and a SESSION_STORE, "
    f"as {PAGE} does."
)


def _judge(test: Wanted, outcomes: list[_Outcome]) -> Tried:
    """Say which of its broken apps a test notices, where it passes on the right one."""
    pairs = list(zip(test.broken, outcomes, strict=True))
    for broken, outcome in pairs:
        if outcome.state not in (PASSED, FAILED):
            if outcome.state == SKIPPED:
                return _tried(test, FAILED, _SKIPPED)
            said = f"It passes on the right app. But on one that {broken.does}: {outcome.said}"
            return _tried(test, outcome.state, said, outcome.trace)
    noticed = tuple((broken, outcome.state == FAILED) for broken, outcome in pairs)
    passes, total = sum(not seen for _, seen in noticed), len(noticed)
    said = f"It passes on the right app, and also on {passes} of {total} broken ones."
    if passes == total:
        said = (
            f"It passes on the right app, and also on all {total} broken ones: so it proves "
            "nothing yet. What does it ask the app for, and what does it assert of the answer?"
        )
    return replace(
        _tried(test, FAILED if passes else PASSED, said if passes else ""), noticed=noticed
    )


def _missing(
    test: Wanted,
    copy: Snapshot,
    none: str = f"There is no such function in {FOLDER}/test_….py yet.",
) -> Tried:
    """Say where a test stands that pytest does not find, or that there is `none`."""
    defined = re.compile(rf"^def {test.name}\(", re.MULTILINE)
    for path in sorted(copy.files):
        if path.endswith(".py") and defined.search(copy.text(path) or ""):
            none = f"It is in {path}, and pytest looks only into {FOLDER}/test_….py: move it there."
    return _tried(test, NOT_ATTEMPTED, none)


def _tried(test: Wanted, state: str, said: str, trace: str = "") -> Tried:
    return Tried(Verdict(test.name, test.title, state, f"{said}\n{trace}".rstrip(), 0))


@dataclass(frozen=True)
class _Bench:
    """Where tests are tried: the right app, and the student's `own` files that go with any."""

    forks: ForkServer
    right: Snapshot
    own: dict[str, bytes]

    def run(self, test: Wanted, broken: Broken | None = None) -> _Outcome:
        """Run one test on a copy of the right app, or of a broken one."""
        app = broken_app(self.right, broken) if broken else self.right
        with self.forks.written(compiled(Snapshot(app.files | self.own))) as written:
            folder = written.folder
            report = folder.with_name("report.xml")
            argv = [*_PYTEST, "-k", test.name, f"--junitxml={report}"]
            job = Job(argv, folder, env={"APP_ENV": None})  # as at a terminal, where it is not set
            finished = self.forks.start(job, folder.parent).wait()
            outcome = _outcome(test, report, finished, written)
            name = min((path.name for path in folder.glob("instance/*")), default="")
            return replace(outcome, written=name)


# What pytest says.


def _outcome(test: Wanted, report: Path, finished: Finished, written: Written) -> _Outcome:
    """Return how the test ended; of one with parameters, the worst."""
    try:
        cases = list(ElementTree.fromstring(read_file(report, REPORT_LIMIT)).iter("testcase"))
    except (OSError, ElementTree.ParseError):
        return _stopped(finished, written)
    own = [case for case in cases if case.get("name", "").partition("[")[0] == test.name]
    if own:
        return max((_case(case, written) for case in own), key=lambda o: _WORST_LAST.index(o.state))
    errors = [case for case in cases if case.find("error") is not None]  # of files, here
    return (
        replace(_case(errors[0], written), state=IMPORT_ERROR, said=_NOT_LOADED)
        if errors
        else _Outcome(NOT_ATTEMPTED)
    )


def _case(case: ElementTree.Element, written: Written) -> _Outcome:
    if case.find("skipped") is not None:
        return _Outcome(SKIPPED)
    found = next((each for each in case if each.tag in ("failure", "error")), None)
    if found is None:
        return _Outcome(PASSED)
    text = found.text or ""
    if fixture := _NO_FIXTURE.search(text):
        file, line, name = fixture.group("file", "line", "name")
        said = f"{FOLDER}/{file}, line {line}, asks for a fixture {name}, which nobody makes."
        where = f"Is one of that name in {FOLDER}/conftest.py, below @pytest.fixture?"
        return _Outcome(FAILED, f"{said} {where}")
    trace = _own_trace(text, written)
    return _Outcome(FAILED, "", trace or f"  {found.get('message', '')[:300]}")


_NO_FIXTURE = re.compile(
    rf"/{FOLDER}/(?P<file>\S+\.py), line (?P<line>\d+)\n"
    r"(?:.*\n)*?E +fixture '(?P<name>\w+)' not found"
)
_NOT_LOADED = "A file of your tests cannot be loaded. Mend that first."


def _stopped(finished: Finished, written: Written) -> _Outcome:
    """Say why pytest has left no report."""
    trace = _own_trace(finished.err, written)
    if finished.reason == "timeout":
        return _Outcome(TIMED_OUT, f"It has not ended within {COMMAND_SECONDS:g} seconds.", trace)
    if finished.reason == "output":
        return _Outcome(CRASHED, "It was stopped, for it printed more than 1 MiB.")
    if finished.reason == "ended" and finished.code == CANNOT_BEGIN:
        return _Outcome(IMPORT_ERROR, _NOT_LOADED, trace)
    return _Outcome(CRASHED, f"Python has ended before the test did ({exit_words(finished.code)}).")


_E = re.compile(r"^E {3}", re.MULTILINE)
_SHORT_FRAME = re.compile(r"^(?P<file>.+\.py):(?P<line>\d+): in (?P<function>.+)$", re.MULTILINE)


def _own_trace(text: str, written: Written) -> str:
    """Return the frames in the student's tests and the error, of what pytest or Python wrote.

    Of a file that cannot be loaded pytest writes in a form of its own.
    """
    text = _SHORT_FRAME.sub(r'File "\g<file>", line \g<line>, in \g<function>', _E.sub("", text))
    trace = read_trace(text, written)
    frames = (frame for frame in trace.frames if frame.file.startswith(f"{FOLDER}/"))
    return str(Trace(tuple(frames), trace.error))
