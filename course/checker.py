"""Run the checks of a lesson on someone's copy of it, and say how each task stands."""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from multiprocessing import Pipe
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any, Self

import httpx
import pytest

from course import markers
from course.catalog import Course, Lesson, Task
from course.diagnosis import Diagnosis
from course.errors import CourseError
from course.job import die_with_parent
from course.preparing import Prepared, compiled, prepare
from course.processes import ForkServer, ForkServers, fork
from course.runner import Runner
from course.site import Site
from course.snapshot import Snapshot, take
from course.verdicts import (
    CRASHED,
    FAILED,
    NOT_ATTEMPTED,
    PASSED,
    TIMED_OUT,
    CheckFailed,
    TimedOut,
    Verdict,
)

CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1

LESSON_SECONDS = 120.0
"""How long a run of checks may take, whatever hangs: those that have not begun by then time out."""

BROKEN = "broken"
"""The state of a check that failed by itself: its task counts as crashed, and says whose fault."""


_NO_TABLE = "no such table"
"""The error of whoever asks for a table that an earlier task is to make: it is not theirs."""


@dataclass
class Result:
    """What one check found."""

    state: str
    said: str = ""
    trace: str = ""
    seconds: float = 0
    facts: dict[str, Any] = field(default_factory=dict)
    """What the app has said of itself, in a check that did not pass; see `Site.facts`."""
    unprepared: str = ""
    """How what prepares the copy failed, which comes before all that the check found."""


class Unwanted(Exception):
    """Whoever followed the checks wants their verdicts no longer."""


@dataclass
class Follower:
    """Someone who is told each verdict as soon as it is known."""

    first: Task
    """The task whose checks run before those of the others."""

    tell: Callable[[Verdict], None]

    left: Connection
    """There is something to read here once the verdicts are not wanted any more."""


@dataclass
class _Following:
    """What a follower comes to while pytest runs: the checks to begin with, and what to call."""

    first: frozenset[str] = frozenset()
    left: tuple[Connection, ...] = ()
    heard: Callable[[str, dict[str, Result]], None] = lambda check, results: None


@dataclass
class Checker:
    """Runs checks. The processes in `servers` make the second run faster than the first."""

    course: Course
    servers: ForkServers
    _prepared: tuple[Lesson, Snapshot, Prepared] | None = field(default=None, init=False)
    """The last copy that was prepared: it is asked for its tasks, then for those of each lesson."""

    def check(
        self, lesson: Lesson, folder: Path, earlier: Lesson | None = None
    ) -> tuple[Verdict, ...]:
        """Check the copy of `lesson` in `folder`: its own tasks, or those of an `earlier` lesson.

        Raises `CourseError` where `folder` cannot be read.
        """
        return self.check_copy(lesson, take(folder), earlier)

    def check_copy(
        self,
        lesson: Lesson,
        copy: Snapshot,
        earlier: Lesson | None = None,
        follower: Follower | None = None,
        until: float | None = None,
        begun: Snapshot | None = None,
    ) -> tuple[Verdict, ...]:
        """Check a copy of `lesson` as it stood at one moment, as `check` does.

        `begun` is what the copy was before any work in it, if that is not the starter. Those that
        have not begun `until` then time out, or else those that have not within LESSON_SECONDS.
        Raises `Unwanted` where the follower has left before the end.
        """
        of = earlier or lesson
        starter, diagnosis = begun or take(of.starter), Diagnosis(self.course.mistakes, copy)
        wanted = self.expected(lesson, of)
        tasks = [(task, [c for c in task.checks if c in wanted]) for task in of.tasks]

        def verdict(task: Task, own: list[str], results: dict[str, Result]) -> Verdict:
            return _verdict(task, [(c, results[c]) for c in own], starter, diagnosis)

        def heard(check: str, results: dict[str, Result]) -> None:
            for task, own in tasks:
                if follower and check in own and results.keys() >= set(own):
                    follower.tell(verdict(task, own, results))

        following = _Following()
        if follower:
            following = _Following(frozenset(follower.first.checks), (follower.left,), heard)
        results = self.results(lesson, copy, of.checks, wanted, following, until)
        return tuple(verdict(task, own, results) for task, own in tasks if own)

    def expected(self, lesson: Lesson, of: Lesson) -> frozenset[str]:
        """Return the checks of the lesson `of` that a copy of `lesson` is to pass."""
        ended = self.course.ended_by(lesson.number)
        checks = (check for task in of.tasks for check in task.checks)
        return frozenset(check for check in checks if f"{of.checks.name}::{check}" not in ended)

    def results(
        self,
        lesson: Lesson,
        copy: Snapshot,
        path: Path,
        wanted: frozenset[str],
        following: _Following | None = None,
        until: float | None = None,
    ) -> dict[str, Result]:
        """Run the checks named in `wanted`, of those in the file `path`, on a copy of `lesson`.

        What prepares the copy runs once: each check begins with files of its own as that left them.
        A check that times out in a sandbox is run once more, for it may be that the machine was
        busy: nobody looks at such a verdict before it is a mark.
        """
        following = following or _Following()
        until = until or time.monotonic() + LESSON_SECONDS
        results = self._run(lesson, copy, path, wanted, following, until)
        late = frozenset(check for check in wanted if results[check].state == TIMED_OUT)
        if late and self.servers.sandboxed:
            results |= self._run(lesson, copy, path, late, following, until)
        return results

    def _run(
        self,
        lesson: Lesson,
        copy: Snapshot,
        path: Path,
        wanted: frozenset[str],
        following: _Following,
        until: float,
    ) -> dict[str, Result]:
        """Run checks as `results` does, once; those that have not begun `until` then time out."""
        forks, hidden = self.servers.for_modules(self.course.imports(lesson), copy.modules())
        ready = self._ready(lesson, copy, forks, hidden)
        _forget_another(path)
        shares = 1 if self.servers.sandboxed else CORES
        ways = self._ways(lesson)
        plugin = _Plugin(forks, ready, hidden, ways, wanted, shares, following, until)
        code = pytest.main([f"-c{path.parent / 'pytest.ini'}", str(path)], plugins=[plugin])
        if code == pytest.ExitCode.INTERRUPTED and not plugin.trouble:
            raise KeyboardInterrupt
        if plugin.unwanted:
            raise Unwanted
        missing = wanted - plugin.results.keys()
        if missing:
            raise CourseError(f"{path} could not be run: {plugin.trouble or sorted(missing)}")
        return plugin.results

    def _ready(
        self, lesson: Lesson, copy: Snapshot, forks: ForkServer, hidden: frozenset[str]
    ) -> Prepared:
        """Return the copy prepared, which is done once for all the lessons that it is asked for."""
        if self._prepared and self._prepared[0] == lesson and self._prepared[1] is copy:
            return self._prepared[2]
        ready = prepare(forks, compiled(copy), self.course.ways_to_prepare(lesson), hidden)
        self._prepared = lesson, copy, ready
        return ready

    def _ways(self, lesson: Lesson) -> tuple[list[str], ...]:
        """Return the ways to serve a lesson's copy, its own first."""
        ways = (each.serve.format(port=5000) for each in self.course.ways_to_serve(lesson))
        return tuple(shlex.split(way)[1:] for way in ways)


def _forget_another(path: Path) -> None:
    """Let pytest import the file `path`, whatever was imported from elsewhere under its name."""
    known = sys.modules.get(path.stem)
    if known and known.__file__ != str(path):
        del sys.modules[path.stem]


def warm_up(course: Course) -> None:
    """Have pytest import the checks, and all that it needs: what is forked later has it then."""
    paths = [str(lesson.checks) for lesson in course.lessons]
    pytest.main([f"-c{course.lessons[0].checks.parent / 'pytest.ini'}", "--collect-only", *paths])


class _Plugin:
    """Gives pytest the fixture `site`, and takes its results."""

    def __init__(
        self,
        forks: ForkServer,
        ready: Prepared,
        hidden: frozenset[str],
        ways: tuple[list[str], ...],
        wanted: frozenset[str],
        shares: int,
        following: _Following,
        until: float,
    ) -> None:
        self._forks, self._ready, self._hidden = forks, ready, hidden
        self._ways, self._wanted, self._name = ways, wanted, ""
        self._shares, self._following, self._until = shares, following, until
        self.results: dict[str, Result] = {}
        self.trouble = ""
        self.unwanted = False

    @pytest.fixture
    def site(self) -> Iterator[Site]:
        """A fresh copy of the lesson, with all that prepares it."""
        if time.monotonic() > self._until:
            raise TimedOut("The checks", "their end in time", "some that had not begun")
        with self._forks.written(self._ready.copy, self._name) as written:
            site = Site(self._runner, written, self._ways)
            yield site
            site.stop()

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Leave out what is not a check of this lesson's tasks, and put first what comes first."""
        items[:] = [item for item in items if item.name in self._wanted]
        items.sort(key=lambda item: item.name not in self._following.first)

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Run the checks on all cores: each process of ours takes a share of them."""
        if not session.items:
            return True
        self._forks.imported()
        number = min(self._shares, len(session.items))
        with _Queue(session.items) as queue:
            shares = [_Share(self._run_share, queue) for _ in range(number)]
        try:
            self._collect({share.results: share for share in shares})
        finally:
            for share in shares:
                share.end()
        return True

    def _collect(self, shares: dict[Connection, _Share]) -> None:
        """Take the results as they come, until there are no more or nobody wants them."""
        left = self._following.left
        while shares and not self.unwanted:
            for ready in wait([*shares, *left]):
                if ready in left:
                    self.unwanted = True
                elif isinstance(ready, Connection):
                    try:
                        check, self.results[check] = ready.recv()
                        self._following.heard(check, self.results)
                    except EOFError:
                        del shares[ready]

    def _run_share(self, queue: _Queue) -> Iterator[tuple[str, Result]]:
        self._runner = Runner(self._forks, self._hidden)
        if not self._forks.sandboxed:
            self._name = f"check-{os.getpid()}"  # the same each time: see Runner
        for item in queue:
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=None)
            if item.name in self.results:
                yield item.name, self.results[item.name]

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
            site = getattr(item, "funcargs", {}).get("site")  # None where it could not be made
            facts = site.facts if site else {}
            said = f"{error}{hides}"
            before = self._ready.failure if error.state == FAILED else ""
            self.results[item.name] = Result(error.state, said, error.trace, 0, facts, before)
        else:
            where = call.excinfo.traceback[-1]
            at = f"{where.path}, line {where.lineno + 1}"
            said = f"{item.name}: expected a check that works, got {error!r} ({at})."
            self.results[item.name] = Result(BROKEN, said)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Keep what went wrong before any check ran."""
        if report.failed:
            self.trouble = str(report.longrepr).splitlines()[-1].removeprefix("E").strip()


class _Queue:
    """The checks that no process has taken yet: their numbers, in a pipe that all may read."""

    def __init__(self, items: list[pytest.Item]) -> None:
        self._items = items
        self._numbers, filled = os.pipe()
        os.write(filled, b"".join(number.to_bytes(_BYTES) for number in range(len(items))))
        os.close(filled)

    def __iter__(self) -> Iterator[pytest.Item]:
        while number := os.read(self._numbers, _BYTES):
            yield self._items[int.from_bytes(number)]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._numbers)


_BYTES = 2
"""Of a number in the queue. A pipe holds 64 KiB, so all of them, and a read takes one whole."""


class _Share:
    """A process that runs some of the checks and sends what each has found."""

    def __init__(self, work: _Work, queue: _Queue) -> None:
        self.results, theirs = Pipe(duplex=False)
        self._pid = fork()
        if self._pid == 0:
            try:
                die_with_parent()
                for result in work(queue):
                    theirs.send(result)
            finally:
                os._exit(0)
        theirs.close()

    def end(self) -> None:
        """End the process where it still runs. Its programs end with it."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._pid, signal.SIGKILL)
        os.waitpid(self._pid, 0)
        self.results.close()


_Work = Callable[[_Queue], Iterator[tuple[str, Result]]]


def _verdict(
    task: Task,
    results: list[tuple[str, Result]],
    starter: Snapshot,
    diagnosis: Diagnosis,
) -> Verdict:
    seconds = sum(result.seconds for _, result in results)
    for check, result in results:
        if result.state != PASSED:
            error = ", line " in result.trace and _NO_TABLE not in result.trace
            untouched = result.state in (FAILED, BROKEN) and not error
            untouched = untouched and _untouched(task, starter, diagnosis.copy)
            found = result.said, result.trace, result.facts
            if untouched and diagnosis.mend(*found, only="view_below_run"):
                untouched = False  # it is begun, where nothing comes to it
            state = CRASHED if result.state == BROKEN else result.state
            state = NOT_ATTEMPTED if untouched else state
            # What is not begun has no mistake yet; but an error is one, wherever it stands.
            begun = not untouched or result.trace
            mend = diagnosis.mend(*found) if begun else None
            message = _message(task, check, result, mend)
            if result.unprepared and not untouched:
                message = _unprepared_message(result.unprepared, diagnosis)
            return Verdict(task.id, task.title, state, message, seconds)
    return Verdict(task.id, task.title, PASSED, "", seconds)


def _unprepared_message(failure: str, diagnosis: Diagnosis) -> str:
    """Return what failed before the checks: the same for each, whatever has come of it there."""
    said, _, trace = failure.partition("\n")
    mend = diagnosis.mend(said, trace, {}) or "Mend that first."
    return f"{said} {mend}\n{trace}".rstrip()


def _message(task: Task, check: str, result: Result, mend: str | None) -> str:
    """Return what was done, expected and seen, and what comes next."""
    if result.state == BROKEN:
        following = "That is a mistake of ours: yours may well be right. Go on with the next task."
    elif mend:
        following = mend
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
    if copy.files == starter.files:
        return True  # also where a merge with earlier work had no place for the task's comment
    marked = [path for path in starter.files if task.id in markers.tasks(starter.text(path) or "")]
    return bool(marked) and all(
        markers.untouched(starter.text(path) or "", copy.text(path) or "", task.id)
        for path in marked
    )
