"""Programs that are not started but forked off one that was: nobody must be able to tell."""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from conftest import until

from course.processes import ForkServer
from course.runner import Runner
from course.site import Site
from course.snapshot import Snapshot
from course.verdicts import CheckFailed
from course.written import Written

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nothing is forked")

APP = """
import os, sys, time
from flask import Flask, render_template, request

{start}
app = Flask(__name__)
started = time.time_ns()
seen = []

@app.get("/")
def index():
    seen.append(1)
    return f"{{started}} {{len(seen)}} {{request.root_path}}"

@app.get("/page")
def page():
    return render_template("page.html")

@app.get("/kill")
def kill():
    os.kill(os.getppid(), 9)
    return "killed"

{view}

def command(arguments):
    if arguments[:1] == ["runserver"]:
        app.run()
    elif arguments[:1] == ["exit"]:
        sys.exit(int(arguments[1]))
    elif arguments[:1] == ["abort"]:
        os.abort()
    elif arguments[:1] == ["write"]:
        open(arguments[1], "a").close()
    elif arguments[:1] == ["read"]:
        print(sys.stdin.read())
    elif arguments[:1] == ["descriptors"]:
        print(os.listdir("/proc/self/fd"))
        return
    elif arguments[:1] == ["leave"]:
        child = os.fork()
        if child == 0:
            os.setsid()
            time.sleep(60)
        while os.getsid(child) != child:
            time.sleep(0.01)
        print(child)
    elif arguments[:1] == ["kill-once"] and os.path.exists(once):
        os.remove(once)
        os.kill(os.getppid(), 9)
        time.sleep(60)
    elif arguments[:1] == ["kill"]:
        os.kill(os.getppid(), 9)
    print(started, sys.argv)

if __name__ == "__main__":
    command(sys.argv[1:])
"""

SERVE = ("manage.py", "runserver")


@pytest.fixture(scope="module")
def forks() -> Iterator[ForkServer]:
    with ForkServer(("flask", "sqlite3")) as forks:
        yield forks


class Checks:
    """One check after another, as a process that runs checks has them."""

    def __init__(self, forks: ForkServer, folder: Path, start: str = "", view: str = "") -> None:
        source = APP.format(start=start, view=view)
        self.copy = Snapshot(
            {"manage.py": source.encode(), "templates/page.html": b"<p>The first</p>"}
        )
        self.folder = folder
        self.runner = Runner(forks, frozenset())

    @contextmanager
    def check(self) -> Iterator[Site]:
        scratch = self.folder / "check"
        written = Written(self.copy, scratch / "lesson")
        site = Site(self.runner, written, (list(SERVE),))
        yield site
        site.stop()
        written.close()
        shutil.rmtree(scratch)

    def started(self) -> str:
        """Serve the app in a check of its own; return when it was started."""
        with self.check() as site:
            return site.get("/").has_status(200).words.split()[0]


@pytest.fixture
def checks(forks: ForkServer, tmp_path: Path) -> Callable[..., Checks]:
    return lambda **parts: Checks(forks, tmp_path, **parts)


# What is forked


def test_started_once_and_forked_for_each_check(checks: Callable[..., Checks]) -> None:
    each = checks()
    assert len({each.started() for _ in range(3)}) == 1


def test_nothing_of_one_check_is_in_the_next(checks: Callable[..., Checks]) -> None:
    each = checks()
    for _ in range(2):
        with each.check() as site:
            assert [site.get("/").words.split()[1] for _ in range(2)] == ["1", "2"]


def test_commands_and_the_server_are_forked_off_the_same(checks: Callable[..., Checks]) -> None:
    each = checks()
    started = each.started()
    with each.check() as site:
        assert site.run("manage.py", "a", "b").out == f"{started} ['manage.py', 'a', 'b']\n"
        assert site.run("manage.py").out == f"{started} ['manage.py']\n"


def test_how_a_command_ends_is_told(checks: Callable[..., Checks]) -> None:
    each = checks()
    each.started()
    with each.check() as site:
        assert [site.run("manage.py", "exit", code).code for code in "301"] == [3, 0, 1]
        with pytest.raises(AssertionError, match=r"signal 6"):
            site.run("manage.py", "abort")
        assert site.run("manage.py", "read").out.startswith("\n")
        assert site.run("manage.py", "read", stdin="typed").out.startswith("typed\n")


def test_a_command_has_the_descriptors_that_it_would_have(checks: Callable[..., Checks]) -> None:
    each = checks()
    each.started()
    with each.check() as site:
        forked = site.run("manage.py", "descriptors").out
        assert site.run("manage.py", "descriptors", env={"MORE": "1"}).out == forked


def test_what_is_added_to_the_arguments_stays_there(checks: Callable[..., Checks]) -> None:
    each = checks(start="sys.argv.append('more')")
    for _ in range(2):
        with each.check() as site:
            assert "['manage.py', 'one', 'more']" in site.run("manage.py", "one").out


def test_what_the_start_reads_is_what_was_typed_for_it(checks: Callable[..., Checks]) -> None:
    each = checks(start="print(sys.stdin.read())")
    for typed in ("one", "two"):
        with each.check() as site:
            assert site.run("manage.py", stdin=typed).out.startswith(f"{typed}\n")


def test_where_and_what_is_served_is_each_checks_own(checks: Callable[..., Checks]) -> None:
    each = checks()
    started = each.started()
    with each.check() as site:
        site.start(mount="/below")
        assert site.get("/below/").words == f"{started} 1 /below"
    with each.check() as site:
        site.start(broken="/broken")
        site.get("/broken").has_status(500)
    with each.check() as site:
        site.start(reading="/read")
        assert site.post("/read", data={"title": "Buy milk"}).words == "read"


def test_what_the_start_prints_is_printed_for_each(checks: Callable[..., Checks]) -> None:
    each = checks(start="print('It starts', file=sys.stderr)")
    for _ in range(2):
        with each.check() as site:
            site.serve()
            assert site._program
            assert site._program.output()[1] == "It starts\n"


def test_what_the_start_makes_is_there_for_each(checks: Callable[..., Checks]) -> None:
    made = "os.makedirs('data/empty'); open('data/file', 'w').write('made')"
    each = checks(start=made)
    for _ in range(2):
        with each.check() as site:
            site.serve()
            assert (site._written.folder / "data/empty").is_dir()
            assert (site._written.folder / "data/file").read_text() == "made"
    assert each.started() == each.started()


# What is started instead


def test_an_app_that_is_started_again_is_another_one(checks: Callable[..., Checks]) -> None:
    each = checks(start="key = os.urandom(8).hex()", view="app.get('/key')(lambda: key)")
    each.started()
    with each.check() as site:
        before = site.get("/key").words
        site.start()
        assert site.get("/key").words != before


def test_a_file_that_the_start_makes_executable_is_so_for_each(
    checks: Callable[..., Checks],
) -> None:
    each = checks(start="os.chmod('templates/page.html', 0o700)")
    for _ in range(2):
        with each.check() as site:
            site.serve()
            assert (site._written.folder / "templates/page.html").stat().st_mode & 0o777 == 0o700


def test_what_a_lost_zygote_has_changed_is_changed_once(
    checks: Callable[..., Checks], tmp_path: Path
) -> None:
    pids = tmp_path / "pids"
    start = f"open({str(pids)!r}, 'a').write(f'{{os.getpid()}} '); os.mkdir('data')"
    each = checks(start=start)
    each.started()
    os.kill(int(pids.read_text().split()[0]), 9)
    each.started()
    each.started()


def test_another_environment_starts_it(checks: Callable[..., Checks]) -> None:
    each = checks()
    started = each.started()
    with each.check() as site:
        site.start(env={"MORE": "1"})
        assert started not in site.get("/").words
        assert started not in site.run("manage.py", env={"MORE": "1"}).out


@pytest.mark.parametrize("change", ["by the check", "by the app"])
def test_other_files_start_it(checks: Callable[..., Checks], change: str) -> None:
    each = checks()
    started = each.started()
    with each.check() as site:
        assert started in site.run("manage.py").out
        if change == "by the check":
            site.write("new.txt", "new")
        else:
            assert started in site.run("manage.py", "write", "new.txt").out
        assert started not in site.run("manage.py").out


def test_while_the_app_runs_a_command_is_started(checks: Callable[..., Checks]) -> None:
    each = checks()
    with each.check() as site:
        started = site.get("/").words.split()[0]
        assert started not in site.run("manage.py").out
        site.stop()
        assert started in site.run("manage.py").out


@pytest.mark.parametrize(
    "start",
    [
        "import threading; threading.Thread(target=time.sleep, args=(9,), daemon=True).start()",
        "import subprocess; subprocess.Popen(['sleep', '9'])",
        "import sqlite3; db = sqlite3.connect('todo.db'); db.execute('CREATE TABLE todo (id)')",
        "log = open('log', 'w')",
        "import mmap; shared = mmap.mmap(-1, 4096)",
        "import tempfile; own = tempfile.mkdtemp()",
        "import signal; signal.signal(signal.SIGCHLD, signal.SIG_IGN)",
        "import signal; signal.alarm(60)",
        "os.mkdir('data'); os.chdir('data')",
        "sys.stdout = None; sys.stdout = os.fdopen(os.dup(1), 'w', buffering=1)",
        "os.symlink('manage.py', 'link')",
        "os.remove('templates/page.html')",
    ],
)
def test_what_two_would_share_or_miss_is_not_forked(
    checks: Callable[..., Checks], start: str
) -> None:
    each = checks(start=start)
    with each.check() as site:
        first = site.run("manage.py").out
    with each.check() as site:
        second = site.run("manage.py").out
    assert "['manage.py']" in first
    assert "['manage.py']" in second
    assert first != second


def test_a_look_at_the_arguments_ends_what_is_shared(checks: Callable[..., Checks]) -> None:
    each = checks(start="early = list(sys.argv)", view="app.config['EARLY'] = early")
    each.started()
    for word in ("one", "two"):
        with each.check() as site:
            assert f"['manage.py', '{word}']" in site.run("manage.py", word).out
    assert each.started() != each.started()


# When it ends


@pytest.mark.parametrize("way", ["a view", "a command"])
def test_a_zygote_that_is_killed_is_started_again(checks: Callable[..., Checks], way: str) -> None:
    each = checks()
    started = each.started()
    with each.check() as site:
        if way == "a view":
            with suppress(CheckFailed):  # the answer may have been quicker
                site.get("/kill")
        else:
            with pytest.raises(AssertionError, match="signal 9"):
                site.run("manage.py", "kill")
    found = [each.started() for _ in range(3)]
    assert started not in found
    assert found[1] == found[2]


def test_a_command_whose_zygote_ends_is_started(
    checks: Callable[..., Checks], tmp_path: Path
) -> None:
    once = tmp_path / "once"
    each = checks(start=f"once = {str(once)!r}")
    started = each.started()
    once.touch()
    with each.check() as site:
        out = site.run("manage.py", "kill-once").out
    assert not once.exists()
    assert "['manage.py', 'kill-once']" in out
    assert started not in out


def test_a_zygote_ends_with_whoever_runs_the_checks(
    checks: Callable[..., Checks], tmp_path: Path
) -> None:
    pids = tmp_path / "pids"
    pid = os.fork()
    if pid == 0:
        try:
            each = checks(start=f"open({str(pids)!r}, 'a').write(f'{{os.getpid()}} ')")
            each.started()
        finally:
            os._exit(0)
    os.waitpid(pid, 0)
    (zygote,) = pids.read_text().split()
    until(lambda: not Path("/proc", zygote).exists())


def test_what_a_command_leaves_behind_ends_with_it(checks: Callable[..., Checks]) -> None:
    each = checks()
    started = each.started()
    with each.check() as site:
        child, said, *_ = site.run("manage.py", "leave").out.split()
        assert said == started
        assert not Path("/proc", child).exists()
    assert each.started() == started


def test_a_loop_in_what_was_forked_is_ended(
    checks: Callable[..., Checks], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("course.site.REQUEST_SECONDS", 0.3)
    view = "@app.get('/loop')\ndef loop():\n    while True:\n        time.sleep(0.01)\n"
    each = checks(view=view)
    started = each.started()
    with each.check() as site:
        http = site.serve()
        http.timeout = 0.3
        began = time.monotonic()
        with pytest.raises(AssertionError, match="GET /loop: expected an answer within") as caught:
            site.get("/loop")
        assert "in loop" in caught.value.trace  # type: ignore[attr-defined]
        assert time.monotonic() - began < 3
    assert each.started() == started
