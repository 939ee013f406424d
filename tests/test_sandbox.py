"""A sandbox: what runs in it is held to its limits, however it goes about it."""

from __future__ import annotations

import os
import sys
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


# What may be asked of the kernel

ASKS = """
import ctypes, errno, fcntl, mmap, os, platform, socket

libc = ctypes.CDLL(None, use_errno=True)
libc.mmap.restype = ctypes.c_void_p
column = ["x86_64", "aarch64"].index(platform.machine())
NEW_USER, SIGCHLD, AF_VSOCK = 0x10000000, 17, 40
own = os.getpid()

def answer(*words):
    found = libc.syscall(*words)
    if os.getpid() != own:
        os._exit(0)  # it has come of a clone
    return errno.errorcode[ctypes.get_errno()] if found == -1 else "done"

pair = ctypes.create_string_buffer(8)
file = os.open("app.py", os.O_RDONLY)
print(
    answer((272, 97)[column], NEW_USER),
    answer((56, 220)[column], NEW_USER | SIGCHLD, 0, 0, 0, 0),
    answer((435, 435)[column], 0, 0),
    answer((430, 430)[column], b"tmpfs", 0),
    answer((53, 199)[column], AF_VSOCK, 1, 0, pair),
    answer((294, 26)[column], 0),
    answer((300, 262)[column], 0, 0),
    answer((72, 25)[column], file, fcntl.F_SETLEASE, fcntl.F_RDLCK),
    answer((9, 222)[column], 0, 4096, 3, mmap.MAP_SHARED | mmap.MAP_ANONYMOUS, -1, 0),
)
socket.socketpair()
fcntl.fcntl(file, fcntl.F_GETFD)
mmap.mmap(-1, 4096, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
with open("large", "w+b") as large:
    large.truncate(4096)
    mmap.mmap(large.fileno(), 4096)
"""


def test_what_gives_a_program_more_than_is_counted_is_refused(
    run: Callable[[str], Finished],
) -> None:
    """Namespaces, in which it may mount memory; memory that it need not keep; what users share."""
    finished = run(ASKS)
    assert finished.err == ""
    assert finished.out.split() == ["EPERM", "EPERM", "ENOSYS", *["EPERM"] * 6]


def test_threads_and_processes_are_a_programs_own_affair(run: Callable[[str], Finished]) -> None:
    finished = run(
        """
        import asyncio, multiprocessing, os, subprocess, sys, threading
        from concurrent.futures import ProcessPoolExecutor

        def say(queue, word):
            queue.put(word)

        if __name__ == "__main__":
            said = []
            thread = threading.Thread(target=said.append, args=("thread",))
            thread.start()
            thread.join()
            for way in ("fork", "spawn", "forkserver"):
                context = multiprocessing.get_context(way)
                queue = context.Queue()
                process = context.Process(target=say, args=(queue, way))
                process.start()
                said.append(queue.get())
                process.join()
            with ProcessPoolExecutor(2) as pool:
                said += pool.map(str.lower, ["POOL"])
            counted = multiprocessing.Value("i", 3)
            said.append(counted.value)
            argv = [sys.executable, "-c", "print('run')"]
            said.append(subprocess.run(argv, capture_output=True, text=True).stdout.strip())
            said.append(os.popen("echo popen").read().strip())

            async def start():
                process = await asyncio.create_subprocess_exec(*argv, stdout=-1)
                return (await process.communicate())[0].decode().strip()

            said.append(asyncio.run(start()))
            print(*said)
        """
    )
    assert finished.out == "thread fork spawn forkserver pool 3 run popen run\n", finished.err


# Devices


def test_a_program_may_use_the_usual_devices(run: Callable[[str], Finished]) -> None:
    """But not those of root, who could change them: a device that is read-only cannot be opened."""
    finished = run(
        """
        import os, subprocess
        try:
            subprocess.run(["true"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
            print("used", len(open("/dev/urandom", "rb").read(8)))
        except OSError:
            print("refused")
        """
    )
    used = "refused\n" if os.geteuid() == 0 else "used 8\n"
    assert (finished.out, finished.err) == (used, "")


def test_what_a_program_reads_is_no_device_and_ends(run: Callable[[str], Finished]) -> None:
    finished = run(
        """
        import os, stat, sys
        print(stat.S_ISREG(os.fstat(0).st_mode), repr(sys.stdin.read()))
        try:
            os.open("/dev/zero", os.O_RDONLY)
        except OSError:
            print("refused")
        """
    )
    assert (finished.out, finished.err) == ("True ''\nrefused\n", "")


# The environment


def test_a_program_finds_the_same_programs_on_every_machine(
    monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    monkeypatch.setenv("PATH", f"{os.environ['PATH']}:/home/ada/bin")
    run = request.getfixturevalue("run")
    finished = run(
        """
        import os
        print(os.environ["PATH"])
        print("ada" in open("/proc/self/environ").read())
        """
    )
    own = Path(sys.executable).parent
    assert finished.out == f"{own}:/usr/local/bin:/usr/bin:/bin\nFalse\n", finished.err
