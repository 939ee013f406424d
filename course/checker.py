"""Run the checks of a lesson on someone's copy of it, and say how each task stands."""

from __future__ import annotations

import shlex
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import pytest

from course import markers
from course.catalog import Course, Lesson, Task
from course.errors import CourseError
from course.processes import ForkServer, scratch_folder
from course.site import Site
from course.snapshot import Snapshot, take
from course.verdicts import FAILED, NOT_ATTEMPTED, PASSED, CheckFailed, TimedOut, Verdict


@dataclass
class Result:
    """What one check found."""

    state: str
    message: str
    seconds: float


@dataclass
class Checker:
    """Runs checks. The processes that it keeps make the second run faster than the first."""

    course: Course
    _forks: dict[tuple[str, ...], ForkServer] = field(default_factory=dict)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for forks in self._forks.values():
            forks.close()

    def warm_up(self, lesson: Lesson) -> None:
        """Start the process that runs the student's code, so that it is ready when needed."""
        self._forks_for(lesson)

    def check(
        self, lesson: Lesson, folder: Path, earlier: Lesson | None = None
    ) -> tuple[Verdict, ...]:
        """Check the copy of `lesson` in `folder`: its own tasks, or those of an `earlier` lesson.

        Raises `CourseError` where `folder` cannot be read.
        """
        copy = take(folder)
        of = earlier or lesson
        ended = self.course.ended_by(lesson.number)
        wanted = {
            check: task
            for task in of.tasks
            for check in task.checks
            if f"{of.checks.name}::{check}" not in ended
        }
        results = self._run(of.checks, wanted, copy, lesson)
        starter = take(of.starter)
        return tuple(
            _verdict(task, [(c, results[c]) for c in task.checks if c in results], starter, copy)
            for task in of.tasks
            if any(check in wanted for check in task.checks)
        )

    def _run(
        self, path: Path, wanted: dict[str, Task], copy: Snapshot, lesson: Lesson
    ) -> dict[str, Result]:
        plugin = _Plugin(self._forks_for(lesson), copy, self._ways(lesson), frozenset(wanted))
        code = pytest.main([f"-c{path.parent / 'pytest.ini'}", str(path)], plugins=[plugin])
        missing = wanted.keys() - plugin.results.keys()
        if code not in (0, 1) or missing:
            raise CourseError(f"{path} could not be run: {plugin.trouble or sorted(missing)}")
        return plugin.results

    def _ways(self, lesson: Lesson) -> tuple[list[str], ...]:
        """Return the ways to serve a lesson's copy, its own first."""
        lessons = reversed(self.course.up_to(lesson.number))
        ways = [shlex.split(each.serve.format(port=5000))[1:] for each in lessons]
        return tuple(way for i, way in enumerate(ways) if way not in ways[:i])

    def _forks_for(self, lesson: Lesson) -> ForkServer:
        names = tuple(name for each in self.course.up_to(lesson.number) for name in each.imports)
        if names not in self._forks:
            self._forks[names] = ForkServer(names)
        return self._forks[names]


class _Plugin:
    """Gives pytest the fixture `site`, and takes its results."""

    def __init__(
        self, forks: ForkServer, copy: Snapshot, ways: tuple[list[str], ...], wanted: frozenset[str]
    ) -> None:
        self._forks, self._copy, self._ways, self._wanted = forks, copy, ways, wanted
        self._hung: dict[str, TimedOut] = {}
        self.results: dict[str, Result] = {}
        self.trouble = ""

    @pytest.fixture
    def site(self) -> Iterator[Site]:
        """A fresh copy of the lesson."""
        with scratch_folder() as scratch:
            folder = Path(scratch, "lesson")
            self._copy.write(folder)
            site = Site(self._forks, folder, Path(scratch), self._ways, self._hung)
            yield site
            site.stop()

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Leave out what is not a check of this lesson's tasks."""
        items[:] = [item for item in items if item.name in self._wanted]

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        """Measure a check with everything that belongs to it."""
        began = time.perf_counter()
        done = yield
        if item.name in self.results:
            self.results[item.name].seconds = time.perf_counter() - began
        return done

    def pytest_runtest_makereport(self, item: pytest.Item, call: pytest.CallInfo[Any]) -> None:
        """Take the result of a check."""
        if call.excinfo is None:
            if call.when == "call":
                self.results[item.name] = Result(PASSED, "", 0)
            return
        error = call.excinfo.value
        if isinstance(error, KeyboardInterrupt):
            return
        if isinstance(error, CheckFailed):
            message = f"{error}\n{error.trace}".rstrip()
            self.results[item.name] = Result(error.state, message, 0)
        else:
            where = call.excinfo.traceback[-1]
            self.trouble = f"{item.name}: {error!r} ({where.path.name}, line {where.lineno + 1})"
            self.results[item.name] = Result(FAILED, f"The check itself failed: {self.trouble}", 0)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Keep what went wrong before any check ran."""
        if report.failed:
            self.trouble = str(report.longrepr)


def _verdict(
    task: Task, results: list[tuple[str, Result]], starter: Snapshot, copy: Snapshot
) -> Verdict:
    seconds = sum(result.seconds for _, result in results)
    for check, result in results:
        if result.state != PASSED:
            message, _, trace = result.message.partition("\n")
            message = "\n".join(filter(None, [f"{message} {task.checks[check]}", trace]))
            untouched = result.state == FAILED and _untouched(task, starter, copy)
            state = NOT_ATTEMPTED if untouched else result.state
            return Verdict(task.id, task.title, state, message, seconds)
    return Verdict(task.id, task.title, PASSED, "", seconds)


def _untouched(task: Task, starter: Snapshot, copy: Snapshot) -> bool:
    """Tell whether the copy has every place that is marked for this task as the starter has it."""
    marked = [path for path in starter.files if task.id in markers.tasks(starter.text(path) or "")]
    return bool(marked) and all(
        markers.untouched(starter.text(path) or "", copy.text(path) or "", task.id)
        for path in marked
    )
