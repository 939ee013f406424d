"""What the tests of the course share."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from http.client import HTTPException
from pathlib import Path
from typing import Any, TypeVar
from urllib.error import URLError

import pytest

pytest_plugins = ["services"]
T = TypeVar("T")
# What `make test` sets. What a test starts would take itself for make's otherwise, and show
# `make check-1` where it shows `python -m course check 1`.
for name in ("MAKELEVEL", "MAKEFLAGS", "MFLAGS"):
    os.environ.pop(name, None)

# What is started in the background of a shell ignores Ctrl-C, and so would all that a test starts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from course.catalog import Course, load  # noqa: E402
from course.checker import Checker, Result  # noqa: E402
from course.preparing import prepare  # noqa: E402
from course.processes import ForkServers  # noqa: E402
from course.runner import Runner  # noqa: E402
from course.site import Site  # noqa: E402
from course.snapshot import take  # noqa: E402
from course.written import Written  # noqa: E402


class NestedChecker(Checker):
    """Runs pytest inside a test of pytest's: one must not take away the other's variable."""

    def results(self, *args: Any) -> dict[str, Result]:
        kept = os.environ["PYTEST_CURRENT_TEST"]
        try:
            return super().results(*args)
        finally:
            os.environ["PYTEST_CURRENT_TEST"] = kept


@pytest.fixture(scope="session")
def course() -> Course:
    return load()


@pytest.fixture(scope="session")
def checker(course: Course) -> Iterator[Checker]:
    with ForkServers() as servers:
        yield NestedChecker(course, servers)


@pytest.fixture
def solution(course: Course, checker: Checker, tmp_path: Path) -> Iterator[Callable[[int], Site]]:
    """Return a copy of a lesson's solution, prepared, as the checks see one."""
    with ExitStack() as stack:

        def site(number: int) -> Site:
            lesson = course.lesson(number)
            forks = checker.servers.get(course.imports(lesson))
            ready = prepare(forks, take(lesson.solution), course.ways_to_prepare(lesson)).copy
            way = lesson.serve.format(port=5000).split()[1:]
            runner = Runner(forks, frozenset())
            site = Site(runner, Written(ready, tmp_path / "lesson"), (way,))
            stack.callback(site.stop)
            return site

        yield site


def tracked_files() -> list[str]:
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, check=True, text=True,
    )  # fmt: skip
    return [name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]


@pytest.fixture(scope="session")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The course as someone finds it who has just cloned it."""
    folder = tmp_path_factory.mktemp("course")
    for name in tracked_files():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    return folder


def until(function: Callable[[], T], seconds: float = 15) -> T:
    """Call `function` until it neither fails nor returns something false."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            if found := function():
                return found
        except (URLError, ConnectionError, HTTPException) as error:
            if time.monotonic() > deadline:
                raise AssertionError("nothing answers") from error
        assert time.monotonic() < deadline
        time.sleep(0.05)
