"""Run the checks of a lesson on someone's copy of it, and say how each task stands."""

from __future__ import annotations

import os
import pickle
import shlex
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import httpx
import pytest

from course import markers
from course.catalog import Course, Lesson, Mistake, Task
from course.errors import CourseError
from course.preparing import prepare
from course.processes import ForkServer, ForkServers, scratch_folder
from course.site import Site
from course.snapshot import Snapshot, take
from course.verdicts import CRASHED, FAILED, NOT_ATTEMPTED, PASSED, CheckFailed, TimedOut, Verdict

_CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
_SHARES = _CORES + 1  # a check waits for its processes about half of the time

BROKEN = "broken"
"""The state of a check that failed by itself, which is nobody's verdict."""

T = TypeVar("T")
R = TypeVar("R")


@dataclass
class Result:
    """What one check found."""

    state: str
    said: str = ""
    trace: str = ""
    seconds: float = 0


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
        of = earlier or lesson
        copy, starter = take(folder), take(of.starter)
        results = self.results(lesson, copy, of.checks, self.expected(lesson, of))
        found = (
            (task, [(c, results[c]) for c in task.checks if c in results]) for task in of.tasks
        )
        mistakes = self.course.mistakes
        return tuple(_verdict(task, own, starter, copy, mistakes) for task, own in found if own)

    def expected(self, lesson: Lesson, of: Lesson) -> frozenset[str]:
        """Return the checks of the lesson `of` that a copy of `lesson` is to pass."""
        ended = self.course.ended_by(lesson.number)
        checks = (check for task in of.tasks for check in task.checks)
        return frozenset(check for check in checks if f"{of.checks.name}::{check}" not in ended)

    def results(
        self, lesson: Lesson, copy: Snapshot, path: Path, wanted: frozenset[str]
    ) -> dict[str, Result]:
        """Run the checks named in `wanted`, of those in the file `path`, on a copy of `lesson`.

        What prepares the copy runs once: each check begins with files of its own as that left them.
        """
        forks = self.servers.get(self.course.imports(lesson))
        hidden = forks.hidden_by(copy.modules())
        ready = prepare(forks, copy, self.course.ways_to_prepare(lesson)).copy
        with scratch_folder() as scratch:
            plugin = _Plugin(forks, ready, hidden, self._ways(lesson), wanted, Path(scratch))
            code = pytest.main([f"-c{path.parent / 'pytest.ini'}", str(path)], plugins=[plugin])
        if code == pytest.ExitCode.INTERRUPTED and not plugin.trouble:
            raise KeyboardInterrupt
        for result in plugin.results.values():
            if result.state == BROKEN:
                raise CourseError(
                    f"A check itself failed, which is a mistake of ours: {result.said}"
                )
        missing = wanted - plugin.results.keys()
        if missing:
            raise CourseError(f"{path} could not be run: {plugin.trouble or sorted(missing)}")
        return plugin.results

    def _ways(self, lesson: Lesson) -> tuple[list[str], ...]:
        """Return the ways to serve a lesson's copy, its own first."""
        ways = (each.serve.format(port=5000) for each in self.course.ways_to_serve(lesson))
        return tuple(shlex.split(way)[1:] for way in ways)


class _Plugin:
    """Gives pytest the fixture `site`, and takes its results."""

    def __init__(
        self,
        forks: ForkServer,
        copy: Snapshot,
        hidden: frozenset[str],
        ways: tuple[list[str], ...],
        wanted: frozenset[str],
        scratch: Path,
    ) -> None:
        self._forks, self._copy, self._hidden = forks, copy, hidden
        self._ways, self._wanted, self._scratch = ways, wanted, scratch
        self._hung: dict[str, TimedOut] = {}
        self.results: dict[str, Result] = {}
        self.trouble = ""

    @pytest.fixture
    def site(self) -> Iterator[Site]:
        """A fresh copy of the lesson, with all that prepares it."""
        scratch = Path(tempfile.mkdtemp(dir=self._scratch))
        self._copy.write(scratch / "lesson")
        site = Site(self._forks, scratch / "lesson", scratch, self._ways, self._hidden, self._hung)
        yield site
        site.stop()

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Leave out what is not a check of this lesson's tasks."""
        items[:] = [item for item in items if item.name in self._wanted]

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Run the checks on all cores: each process of ours takes a share of them."""
        if not session.items:
            return True
        self._forks.imported()
        shares = [session.items[i::_SHARES] for i in range(min(_SHARES, len(session.items)))]
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
                self.results[item.name] = Result(PASSED)
            return
        error = call.excinfo.value
        if isinstance(error, KeyboardInterrupt):
            return
        if isinstance(error, httpx.InvalidURL):
            said = f"{item.name}: expected links that are addresses, got one that is none: {error}."
            self.results[item.name] = Result(FAILED, said)
        elif isinstance(error, ConnectionRefusedError):
            said = f"{item.name}: the program has ended what the checks run in."
            self.results[item.name] = Result(CRASHED, said)
        elif isinstance(error, CheckFailed):
            hides = "".join(_hides(name) for name in sorted(self._hidden))
            self.results[item.name] = Result(error.state, f"{error}{hides}", error.trace)
        else:
            where = call.excinfo.traceback[-1]
            trouble = f"{item.name}: {error!r} ({where.path}, line {where.lineno + 1})"
            self.results[item.name] = Result(BROKEN, trouble)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Keep what went wrong before any check ran."""
        if report.failed:
            self.trouble = str(report.longrepr).splitlines()[-1].removeprefix("E").strip()


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
    task: Task,
    results: list[tuple[str, Result]],
    starter: Snapshot,
    copy: Snapshot,
    mistakes: tuple[Mistake, ...],
) -> Verdict:
    seconds = sum(result.seconds for _, result in results)
    for check, result in results:
        if result.state != PASSED:
            untouched = (result.state, result.trace) == (FAILED, "")
            untouched = untouched and _untouched(task, starter, copy)
            state = NOT_ATTEMPTED if untouched else result.state
            message = _message(task, check, result, mistakes)
            return Verdict(task.id, task.title, state, message, seconds)
    return Verdict(task.id, task.title, PASSED, "", seconds)


def _message(task: Task, check: str, result: Result, mistakes: tuple[Mistake, ...]) -> str:
    """Return what was done, expected and seen, and what comes next."""
    advice = [each.mend for each in mistakes if each.says in f"{result.said}\n{result.trace}"]
    if advice:
        following = advice[0]
    elif result.state != FAILED:
        following = f"Mend that, then make check-{task.lesson}."
    elif ", line " in result.trace:  # it says more than any question
        following = f"Hint: make hint-{task.lesson}"
    else:
        following = f"{task.checks[check]} Hint: make hint-{task.lesson}"
    return f"{result.said} {following}\n{result.trace}".rstrip()


def _hides(name: str) -> str:
    return f" {name}.py in your folder hides the module {name} of Python or Flask: rename it."


def _untouched(task: Task, starter: Snapshot, copy: Snapshot) -> bool:
    """Tell whether the copy has every place that is marked for this task as the starter has it."""
    marked = [path for path in starter.files if task.id in markers.tasks(starter.text(path) or "")]
    return bool(marked) and all(
        markers.untouched(starter.text(path) or "", copy.text(path) or "", task.id)
        for path in marked
    )
