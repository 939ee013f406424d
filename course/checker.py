"""Run the checks of a lesson on someone's copy of it, and say how each task stands."""

from __future__ import annotations

import os
import pickle
import shlex
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pytest

from course import markers
from course.catalog import Course, Lesson, Task
from course.errors import CourseError
from course.processes import ForkServer, ForkServers, scratch_folder
from course.site import Site
from course.snapshot import Snapshot, take
from course.verdicts import FAILED, NOT_ATTEMPTED, PASSED, CheckFailed, TimedOut, Verdict

_CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1

T = TypeVar("T")
R = TypeVar("R")


@dataclass
class Result:
    """What one check found."""

    state: str
    message: str
    seconds: float


@dataclass
class Checker:
    """Runs checks. The processes in `servers` make the second run faster than the first."""

    course: Course
    servers: ForkServers

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
        forks = self.servers.get(self.course.imports(lesson))
        plugin = _Plugin(forks, copy, self._ways(lesson), frozenset(wanted))
        code = pytest.main([f"-c{path.parent / 'pytest.ini'}", str(path)], plugins=[plugin])
        missing = wanted.keys() - plugin.results.keys()
        if code not in (0, 1) or missing:
            raise CourseError(f"{path} could not be run: {plugin.trouble or sorted(missing)}")
        return plugin.results

    def _ways(self, lesson: Lesson) -> tuple[list[str], ...]:
        """Return the ways to serve a lesson's copy, its own first."""
        ways = (each.serve.format(port=5000) for each in self.course.ways_to_serve(lesson))
        return tuple(shlex.split(way)[1:] for way in ways)


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

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Run the checks on all cores: each process of ours takes its share of them."""
        self._forks.imported()
        shares = [session.items[i::_CORES] for i in range(min(_CORES, len(session.items)))]
        others = [_fork(self._run_share, share) for share in shares[1:]]
        self._run_share(shares[0])
        for results in others:
            self.results |= results()
        return True

    def _run_share(self, items: list[pytest.Item]) -> dict[str, Result]:
        for item in items:
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=None)
        return self.results

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
            self.trouble = f"{item.name}: {error!r} ({where.path}, line {where.lineno + 1})"
            self.results[item.name] = Result(FAILED, f"The check itself failed: {self.trouble}", 0)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Keep what went wrong before any check ran."""
        if report.failed:
            self.trouble = str(report.longrepr)


def _fork(work: Callable[[T], R], given: T) -> Callable[[], R]:
    """Do `work` in a process of its own; return a function that waits for its result."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            with open(write, "wb") as pipe:
                pickle.dump(work(given), pipe)
        finally:
            os._exit(0)
    os.close(write)

    def result() -> R:
        with open(read, "rb") as pipe:
            data = pipe.read()
        os.waitpid(pid, 0)
        found: R = pickle.loads(data)
        return found

    return result


def _verdict(
    task: Task, results: list[tuple[str, Result]], starter: Snapshot, copy: Snapshot
) -> Verdict:
    seconds = sum(result.seconds for _, result in results)
    for check, result in results:
        if result.state != PASSED:
            state, message = result.state, result.message
            if state == FAILED:
                said, _, trace = message.partition("\n")
                message = f"{said} {task.checks[check]} Hint: make hint-{task.lesson}\n{trace}"
                state = NOT_ATTEMPTED if _untouched(task, starter, copy) else FAILED
            return Verdict(task.id, task.title, state, message.rstrip(), seconds)
    return Verdict(task.id, task.title, PASSED, "", seconds)


def _untouched(task: Task, starter: Snapshot, copy: Snapshot) -> bool:
    """Tell whether the copy has every place that is marked for this task as the starter has it."""
    marked = [path for path in starter.files if task.id in markers.tasks(starter.text(path) or "")]
    return bool(marked) and all(
        markers.untouched(starter.text(path) or "", copy.text(path) or "", task.id)
        for path in marked
    )
