"""A sandbox: what runs in it is held to its limits, however it goes about it."""

from __future__ import annotations

import os
import textwrap
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from course import sandbox
from course.processes import Finished, ForkServer, Job
from course.sandbox import Sandbox
from course.snapshot import Snapshot


@pytest.fixture
def forks(isolated: None) -> Iterator[ForkServer]:
    """What forks programs in a sandbox."""
    with ForkServer((), Sandbox()) as forks:
        yield forks


@pytest.fixture
def run(forks: ForkServer) -> Callable[[str], Finished]:
    """Run a program in a sandbox, to its end."""

    def one(source: str) -> Finished:
        copy = Snapshot({"app.py": textwrap.dedent(source).encode()})
        with forks.written(copy) as written:
            return forks.start(Job(["app.py"], written.folder), written.folder.parent).wait()

    return one


# The limits


def test_who_watches_has_all_cores_where_the_sandbox_has_one(
    forks: ForkServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a core that a program keeps busy, it would come too late."""
    cores = os.sched_getaffinity(0)
    if len(cores) < 2:
        pytest.skip("this machine has one core")
    found: list[set[int]] = []
    looked = threading.Event()

    def look(_: Sandbox) -> bool:
        found.append(os.sched_getaffinity(0))
        looked.set()
        return False

    monkeypatch.setattr(Sandbox, "_too_much", look)
    os.sched_setaffinity(0, {min(cores)})
    try:
        forks.imported()
        assert looked.wait(60)
    finally:
        os.sched_setaffinity(0, cores)
    assert found[0] == cores


def test_too_many_processes_are_counted_by_their_names(monkeypatch: pytest.MonkeyPatch) -> None:
    """To look at each would take the longer, the more there are."""
    here = Sandbox()
    here._first = os.getpid()  # so it looks at what runs on this machine
    monkeypatch.setattr(sandbox, "_have_too_much", lambda _: pytest.fail("it looks at each"))
    monkeypatch.setattr(sandbox, "THREADS", 0)
    assert here._too_much()


def test_many_open_descriptors_are_too_many(run: Callable[[str], Finished]) -> None:
    """In a socket the kernel keeps what is sent, and no process has that memory."""
    finished = run(
        """
        import os, signal
        for _ in range(10):
            if os.fork() == 0:
                kept = [os.dup(0) for _ in range(200)]
                break
        signal.pause()
        """
    )
    assert finished.reason == "lost"


def test_memory_that_was_swapped_out_counts(tmp_path: Path) -> None:
    (tmp_path / "fd").mkdir()
    status = tmp_path / "status"
    numbers = "RssAnon:\t 9 kB\nVmSwap:\t {} kB\nThreads:\t1\n"
    for more, too_much in ((-10, False), (1, True)):
        status.write_text(numbers.format(sandbox.MEMORY // 1024 + more), "utf-8")
        assert sandbox._have_too_much([str(tmp_path)]) is too_much


def test_where_memory_runs_short_the_sandbox_goes_first(run: Callable[[str], Finished]) -> None:
    finished = run(
        """
        import os
        path = "/proc/self/oom_score_adj"
        print(open(path).read().strip())
        try:
            os.open(path, os.O_WRONLY)
        except OSError:
            print("It stays so.")
        """
    )
    assert (finished.out, finished.err) == ("1000\nIt stays so.\n", "")
