"""`watch` at a terminal and at none, on a small course that is quickly checked."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pty
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import termios
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

import click
import pytest
from conftest import ROOT, until

from course import copies
from course.catalog import Lesson, Task, load
from course.progress import Progress
from course.release import pins
from course.site import free_port
from course.snapshot import take
from course.terminal import Terminal
from course.verdicts import NOT_ATTEMPTED, PASSED
from course.watch import Watch
from course.worker import Began, Worker

MAIN = "from course.cli import main; main()"
NEW_SCREEN = "\x1b[H\x1b[J"
NAMES = ("one", "two", "three")

APP = """from flask import Flask

app = Flask(__name__)
{}
if __name__ == "__main__":
    app.run()
"""
VIEW = """
@app.get("/{0}")
def {0}():
    return "{0}"
"""
TASK = """
[[lesson.task]]
id = "1.{0}"
title = "The page {1}"
hints = ["A hint for {1}.", "A bigger hint for {1}."]
checks = {{test_{1} = "Is there a page {1}?"}}
"""
LESSON = """
[[lesson]]
number = {0}
folder = "0{0}_small"
title = "Lesson {0} of a small course"
adds = "pages"
pain = "The pain of lesson {0}."
taught = "What lesson {0} taught."
edit = "app.py"
serve = "python app.py"
serve_on_port = "python -m flask --app app run --port {{port}}"
imports = ["flask"]
task = []
"""
CHECK = """
def test_{0}(site):
    with open(os.environ["RUNS"], "a") as file:
        file.write("{0} ")
    while os.path.exists(os.environ["RUNS"] + ".hold_{0}"):
        time.sleep(0.01)
    site.get("/{0}").has_status(200)
"""


def app(*done: str) -> str:
    """Return an app with the pages in `done`, and a TODO for each of the others."""
    todo = "\n# TODO 1.{}: Add the page {}.\n"
    parts = (
        VIEW.format(name) if name in done else todo.format(number, name)
        for number, name in enumerate(NAMES, 1)
    )
    return APP.format("".join(parts))


@pytest.fixture
def lesson(tmp_path: Path) -> Lesson:
    """Lesson 1 of a course of two lessons, in a folder with a space and Chinese characters."""
    home = tmp_path / "my 课程"
    shutil.copytree(ROOT / "course", home / "course")
    tasks = "".join(TASK.format(number, name) for number, name in enumerate(NAMES, 1))
    first, second = (LESSON.format(number) for number in (1, 2))
    text = first.replace("task = []\n", tasks) + second
    (home / "lessons").mkdir()
    (home / "lessons" / "course.toml").write_text(text)
    (home / "checks").mkdir()
    shutil.copy(ROOT / "checks" / "pytest.ini", home / "checks")
    for file in pins(ROOT):
        shutil.copy(file, home)
    checks = "import os, time\n" + "".join(map(CHECK.format, NAMES))
    (home / "checks" / "test_01_small.py").write_text(checks)
    lesson = load(home).lesson(1)
    for folder, text in ((lesson.starter, app()), (lesson.solution, app(*NAMES))):
        folder.mkdir(parents=True)
        (folder / "app.py").write_text(text)
        (folder / "other.txt").write_text(folder.parent.name)
    return lesson


def save(lesson: Lesson, *done: str, more: str = "") -> None:
    """Save the student's app with these pages, as an editor does."""
    new = lesson.work / "app.py.new"
    new.write_text(app(*done) + more)
    new.replace(lesson.work / "app.py")


@dataclass
class Watching:
    """A `watch` that runs, and what it has printed."""

    lesson: Lesson
    process: subprocess.Popen[bytes]
    write: int
    read: int
    text: str = ""
    _bytes: bytes = field(default=b"", repr=False)

    def screen(self) -> str:
        """Return what stands on the screen, without colours."""
        with contextlib.suppress(BlockingIOError, OSError):
            while data := os.read(self.read, 65536):
                self._bytes += data
        self.text = self._bytes.decode("utf-8", "ignore").replace("\r\n", "\n")
        return click.unstyle(self.text.rpartition(NEW_SCREEN)[2])

    def shows(self, *parts: str, without: str = "\0") -> str:
        """Wait until all of `parts` are on the screen, and return it."""
        last = ""

        def found() -> str:
            nonlocal last
            last = self.screen()
            words = " ".join(last.split())
            return last if all(p in words for p in parts) and without not in words else ""

        try:
            return until(found, 60)
        except AssertionError:
            raise AssertionError(f"{parts} not in:\n{last}") from None

    def press(self, keys: str) -> None:
        os.write(self.write, keys.encode())

    def ends(self) -> int:
        """Wait until it ends; return its exit code."""
        until(lambda: self.screen() is not None and self.process.poll() is not None, 60)
        self.screen()
        assert "Traceback" not in self.text
        return self.process.returncode


def environment(lesson: Lesson, env: dict[str, str]) -> dict[str, str]:
    dropped = ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER", "NO_COLOR", "COLUMNS", "LINES")
    kept = {name: value for name, value in os.environ.items() if name not in dropped}
    return kept | {"TERM": "xterm", "PYTHONUTF8": "1", "RUNS": str(runs_file(lesson))} | env


def runs_file(lesson: Lesson) -> Path:
    return lesson.root.parent / "runs"


def runs(lesson: Lesson) -> int:
    """Return how often the check of the first task has begun."""
    return runs_file(lesson).read_text().split().count("one") if runs_file(lesson).exists() else 0


@contextmanager
def held(lesson: Lesson, name: str) -> Iterator[None]:
    """Have the check of a task wait, in every run, until the end of the block."""
    hold = Path(f"{runs_file(lesson)}.hold_{name}")
    hold.touch()
    try:
        yield
    finally:
        hold.unlink()


@pytest.fixture
def watching(lesson: Lesson) -> Iterator[Callable[..., Watching]]:
    """Return a function that starts `watch` at a terminal of its own."""
    with contextlib.ExitStack() as stack:

        def start(*args: str, env: dict[str, str] | None = None) -> Watching:
            ours, theirs = pty.openpty()
            resize(ours, 90, 28)
            process = subprocess.Popen(
                [sys.executable, "-c", MAIN, "watch", "1", *args],
                cwd=lesson.root, env=environment(lesson, env or {}), start_new_session=True,
                stdin=theirs, stdout=theirs, stderr=theirs,
                preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
            )  # fmt: skip
            stack.callback(os.close, ours)
            stack.callback(os.close, theirs)  # open, to see in which mode the terminal is left
            stack.callback(stop, process)
            os.set_blocking(ours, False)
            return Watching(lesson, process, ours, ours)

        yield start


@pytest.fixture
def piped(lesson: Lesson) -> Iterator[Callable[..., Watching]]:
    """Return a function that starts `watch` at no terminal."""
    with contextlib.ExitStack() as stack:

        def start(*args: str) -> Watching:
            process = stack.enter_context(
                subprocess.Popen(
                    [sys.executable, "-c", MAIN, "watch", "1", *args],
                    cwd=lesson.root, env=environment(lesson, {}), start_new_session=True,
                    stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                )
            )  # fmt: skip
            stack.callback(stop, process)
            assert process.stdin
            assert process.stdout
            os.set_blocking(process.stdout.fileno(), False)
            return Watching(lesson, process, process.stdin.fileno(), process.stdout.fileno())

        yield start


def stop(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=30)


def resize(terminal: int, columns: int, rows: int) -> None:
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


def children(process: subprocess.Popen[bytes]) -> list[int]:
    found = subprocess.run(["pgrep", "-P", str(process.pid)], capture_output=True, text=True)
    return [int(pid) for pid in found.stdout.split()]


# A save, and the verdict


def test_a_save_gives_a_verdict(watching: Callable[..., Watching], lesson: Lesson) -> None:
    it = watching()
    first = it.shows("Checked at")
    assert (lesson.work / "app.py").read_text() == app()
    assert "0 of 3 tasks pass" in first
    assert "· 1.1 The page one  (not attempted)" in first
    assert "expected status 200 OK, got status 404" in first
    assert "Is there a page one?" in first
    assert "docs/01_small.md#task-11" in first
    assert "The page two" not in first
    save(lesson, "one")
    assert "✓ 1.1 The page one" in it.shows("1 of 3 tasks pass", "Next: 1.2 The page two", "n next")
    save(lesson)
    it.shows("0 of 3 tasks pass", "Checked at")


def test_it_never_goes_on_by_itself(watching: Callable[..., Watching], lesson: Lesson) -> None:
    it = watching()
    it.shows("Checked at")
    save(lesson, "one")
    it.shows("Next: 1.2")
    save(lesson, "one", "two")
    assert "✓ 1.1 The page one" in it.shows("2 of 3", "Next: 1.3")
    it.press("n")
    assert "1.1" not in it.shows("· 1.3 The page three", "Checked at")
    it.press("n")
    it.shows("1.3 does not pass yet. Press s to leave it for now.")
    save(lesson, "one", "three")
    assert "✓ 1.3" in it.shows("2 of 3", "Next: 1.2", "No longer passing: 1.2.")
    it.press("\r")
    it.shows("1.2 The page two (", without="No longer")


def test_the_last_task(watching: Callable[..., Watching], lesson: Lesson) -> None:
    it = watching()
    it.shows("Checked at")
    save(lesson, *NAMES)
    it.shows(
        "3 of 3 tasks pass",
        "What lesson 1 taught.",
        "The solution is in solutions/01_small.",
        "The pain of lesson 2. Go on with python -m course lesson 2.",
    )


def test_it_begins_where_the_student_is(watching: Callable[..., Watching], lesson: Lesson) -> None:
    lesson.work.mkdir(parents=True)
    save(lesson, "one", "two")
    it = watching()
    it.shows("1.3 The page three (not attempted)", "Checked at")
    states = [
        verdict.state
        for verdict in Progress(load(lesson.root)).verdicts(lesson, take(lesson.work)) or ()
    ]
    assert states == [PASSED, PASSED, NOT_ATTEMPTED]
    it.press("q")
    assert it.ends() == 0
    again = watching()
    with held(lesson, "one"):  # its task comes first, which the memory knows
        again.shows("1.3 is checked. Checking the other tasks…")
    again.shows("Checked at")


def test_the_task_at_hand_is_checked_first(
    watching: Callable[..., Watching], lesson: Lesson
) -> None:
    it = watching()
    it.shows("Checked at")
    it.press("s3")
    it.shows("1.3 The page three (not attempted)")
    with held(lesson, "one"), held(lesson, "two"):
        save(lesson, "three")
        shown = it.shows("✓ 1.3", "1.3 is checked. Checking the other tasks…")
        assert "Next:" not in shown  # what is next is not known yet
    it.shows("1 of 3", "Next: 1.1", "Checked at")


def test_a_save_while_checks_run(watching: Callable[..., Watching], lesson: Lesson) -> None:
    it = watching()
    it.shows("Checked at")
    with held(lesson, "two"):
        save(lesson, "two")
        it.shows("1.1 is checked. Checking the other tasks…", "404")
        save(lesson, "one")  # the run that waits is given up for another
        it.shows("✓ 1.1", "1.1 is checked.")
        save(lesson)
        it.shows("· 1.1", "404", "1.1 is checked.")
        it.press("h")
        it.shows("Hint 1 of 2", "Checking")
    it.shows("0 of 3 tasks pass", "Checked at")


def test_a_change_that_only_the_content_tells(
    watching: Callable[..., Watching], lesson: Lesson
) -> None:
    it = watching()
    it.shows("Checked at")
    file = lesson.work / "app.py"
    before = file.stat()
    save(lesson, "one")
    it.shows("✓ 1.1")
    text = file.read_text()
    file.write_text(text.replace('"/one"', '"/eno"'))  # as long as before, and as old
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    it.shows("✗ 1.1", "Checked at")


def test_a_change_that_the_worker_alone_has_seen(
    lesson: Lesson, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file was changed, and changed back between two looks: what is found is not of it now."""
    copies.make(lesson, lambda copy: copy)
    asked: list[Task] = []
    monkeypatch.setattr(Worker, "__init__", lambda self: None)
    monkeypatch.setattr(Worker, "ask", lambda self, task: asked.append(task))
    it = Watch(load(lesson.root), lesson, Worker(), Terminal(), None)
    it._look()
    assert len(asked) == 1
    it._hear(Began("another digest"))
    assert len(asked) == 2
    it._hear(Began(take(lesson.work).digest))
    assert len(asked) == 2


@pytest.mark.parametrize(
    "name",
    ["instance/todo.db", "todo.sqlite3-wal", "__pycache__/app.pyc", ".app.py.swp", "app.py~"],
)
def test_what_is_no_save(lesson: Lesson, name: str) -> None:
    copies.begin(lesson, take(lesson.starter), lambda copy: copy)
    before = take(lesson.work)
    (lesson.work / name).parent.mkdir(exist_ok=True)
    (lesson.work / name).write_text("made")
    assert take(lesson.work) == before


def test_an_app_that_cannot_be_loaded(watching: Callable[..., Watching], lesson: Lesson) -> None:
    it = watching()
    it.shows("Checked at")
    save(lesson, "one", more="def (\n")
    it.shows("! 1.1", "SyntaxError", "app.py, line", "Checked at")
    it.press("h")
    it.shows("Before any hint")


# Keys


def test_hints_come_one_by_one(watching: Callable[..., Watching], lesson: Lesson) -> None:
    it = watching()
    it.shows("Checked at")
    it.press("h")
    it.shows("Hint 1 of 2: A hint for one.", without="bigger")
    it.press("h")
    it.shows("Hint 1 of 2: A hint for one.", "Hint 2 of 2: A bigger hint for one.")
    memory = json.loads((lesson.work.parent / ".progress.json").read_text())
    assert memory["hints"] == {"1.1": 2}
    save(lesson, more="# changed\n")
    it.shows("Checked at", "A bigger hint")  # one writes with the hint in sight
    save(lesson, "one")
    it.shows("✓ 1.1", "Checked at", without="A hint")
    it.press("h")
    it.shows("1.1 passes: there is nothing left to hint at.")


def test_the_diff_is_of_the_tasks_files(watching: Callable[..., Watching], lesson: Lesson) -> None:
    it = watching()
    it.shows("Checked at")
    it.press("d")
    shown = it.shows("--- yours/app.py", "+++ solution/app.py", '+@app.get("/one")', "0 of 3")
    assert "other.txt" not in shown
    assert "\x1b[32m+" in it.text
    it.press("x")
    it.shows("0 of 3", without="+++")
    save(lesson, *NAMES)
    it.shows("3 of 3", "Checked at")
    it.press("d")
    it.shows("The files that 1.1 is marked in are the solution's.", "python -m course diff 1")


def test_the_list(watching: Callable[..., Watching], lesson: Lesson) -> None:
    it = watching()
    it.shows("Checked at")
    save(lesson, "two")
    it.shows("1 of 3", "Checked at")
    it.press("l")
    shown = it.shows("→", "1.1 The page one (", "✓ 1.2 The page two", "1.3 The page three (")
    assert [line[0] for line in shown.splitlines() if re.search(r" 1\.\d ", line)] == list("→  ")


def test_skip(watching: Callable[..., Watching], lesson: Lesson) -> None:
    it = watching()
    it.shows("Checked at")
    it.press("s")
    it.shows("Which task? 1 to 3. Enter: 1.2, the next that does not pass.")
    it.press("\r")
    it.shows("· 1.2 The page two", "Checked at")
    it.press("s\x1b")
    it.shows("· 1.2 The page two", "Checked at", without="Which")
    it.press("s1")
    it.shows("· 1.1 The page one", "Checked at")
    it.press("\x1b[D\x1bOP")  # an arrow and F1 are no letters
    it.press("s3")
    it.shows("· 1.3 The page three", "Checked at", without="solution")


def test_run_again(watching: Callable[..., Watching], lesson: Lesson) -> None:
    it = watching()
    it.shows("Checked at")
    assert runs(lesson) == 1
    it.press("r")
    until(lambda: runs(lesson) == 2, 60)
    it.shows("Checked at")


def test_the_page_in_a_browser(
    watching: Callable[..., Watching], lesson: Lesson, tmp_path: Path
) -> None:
    browser = tmp_path / "browser"
    browser.write_text('#!/bin/sh\necho torn screen\nprintf %s "$1" > "$0.url"\n')
    browser.chmod(0o700)
    it = watching(env={"BROWSER": str(browser)})
    it.shows("Checked at")
    it.press("o")
    it.shows("Your browser opens docs/01_small.md#task-11.")
    url = tmp_path / "browser.url"
    assert until(lambda: url.exists() and url.read_text(), 60) == f"{lesson.page.as_uri()}#task-11"
    assert "torn" not in it.screen()


@pytest.mark.skipif(sys.platform == "darwin", reason="a Mac always has a browser")
def test_the_page_without_a_browser(watching: Callable[..., Watching]) -> None:
    it = watching()
    it.shows("Checked at")
    it.press("o")
    it.shows("There is no browser here. The page is docs/01_small.md#task-11.")


# The terminal


@pytest.mark.parametrize(
    ("end", "code"),
    [
        (lambda it: it.press("q"), 0),
        (lambda it: it.press("\x03"), 0),
        (lambda it: it.press("\x04"), 0),
        (lambda it: it.process.send_signal(signal.SIGTERM), 128 + signal.SIGTERM),
        (lambda it: it.process.send_signal(signal.SIGHUP), 128 + signal.SIGHUP),
    ],
    ids=["q", "Ctrl-C", "Ctrl-D", "SIGTERM", "SIGHUP"],
)
@pytest.mark.parametrize("running", [False, True], ids=["idle", "running"])
def test_the_terminal_is_as_it_was(
    watching: Callable[..., Watching],
    lesson: Lesson,
    end: Callable[[Watching], None],
    code: int,
    running: bool,
) -> None:
    new = pty.openpty()[1]
    with held(lesson, "two") if running else contextlib.nullcontext():
        it = watching()
        it.shows("1.1 is checked." if running else "Checked at")
        during = termios.tcgetattr(it.read)
        assert not during[3] & (termios.ICANON | termios.ECHO)
        assert during[3] & termios.ISIG
        workers = children(it.process)
        end(it)
        assert it.ends() == code
        assert termios.tcgetattr(it.read) == termios.tcgetattr(new)
        for worker in workers:
            with pytest.raises(ProcessLookupError):
                os.kill(worker, 0)


def test_checks_that_cannot_go_on(watching: Callable[..., Watching]) -> None:
    it = watching()
    it.shows("Checked at")
    os.kill(children(it.process)[0], signal.SIGKILL)
    assert it.ends() == 2
    assert "The process that runs the checks has ended. Begin again." in it.text
    assert termios.tcgetattr(it.read)[3] & termios.ICANON


def test_another_size(watching: Callable[..., Watching]) -> None:
    it = watching()
    wide = it.shows("Checked at")
    assert max(map(len, wide.splitlines())) > 50
    resize(it.write, 50, 20)
    until(lambda: max(map(len, it.screen().splitlines())) <= 50)
    it.shows("Checked at")


def test_no_colours(watching: Callable[..., Watching]) -> None:
    it = watching(env={"NO_COLOR": "1"})
    it.shows("Checked at")
    it.press("d")
    it.shows("+++ solution")
    assert NEW_SCREEN in it.text
    assert "\x1b" not in it.text.replace(NEW_SCREEN, "")


def test_a_terminal_that_only_prints(watching: Callable[..., Watching], lesson: Lesson) -> None:
    it = watching(env={"TERM": "dumb"})
    it.shows("Type a letter and Enter.", "Checked at")
    it.press("h\r")
    it.shows("Hint 1 of 2")
    save(lesson, "one")
    it.shows("✓ 1.1")
    it.press("q\r")
    assert it.ends() == 0
    assert "\x1b" not in it.text


# No terminal


def test_lines_where_there_is_no_terminal(piped: Callable[..., Watching], lesson: Lesson) -> None:
    it = piped()
    it.shows("0 of 3 tasks pass", "Checked at")
    save(lesson, "one")
    it.shows("1 of 3 tasks pass", "Next: 1.2")
    save(lesson, "one", "two")
    it.shows("2 of 3 tasks pass", "Next: 1.3")
    assert it.text.count("Checked at") == 3  # one verdict a save
    assert it.text.count("Checking") == 0
    it.press("n\n")
    it.shows("· 1.3 The page three")
    it.press("s\n1.2\n")
    it.shows("✓ 1.2 The page two")
    it.press("q\n")
    assert it.ends() == 0
    assert "\x1b" not in it.text


def test_it_ends_with_its_input(piped: Callable[..., Watching], lesson: Lesson) -> None:
    it = piped()
    assert it.process.stdin
    it.process.stdin.close()
    assert it.ends() == 0
    assert it.text.count("Checked at") == 1
    assert "0 of 3 tasks pass" in it.text


# The folder


def test_a_folder_that_goes_and_comes(watching: Callable[..., Watching], lesson: Lesson) -> None:
    it = watching()
    it.shows("Checked at")
    away = lesson.work.with_name("away")
    lesson.work.rename(away)
    it.shows("work/01_small is gone.", "python -m course lesson 1")
    it.press("rl")
    it.shows("→", "work/01_small is gone.", without="Checking")
    away.rename(lesson.work)
    it.shows("Checked at", without="gone")
    lesson.work.rename(away)
    it.shows("work/01_small is gone.")
    lesson.work.mkdir()
    save(lesson, "one")
    it.shows("work/01_small is another folder now.", "· 1.2 The page two", "1 of 3", "Checked at")


def test_a_copy_that_is_reset(watching: Callable[..., Watching], lesson: Lesson) -> None:
    it = watching()
    it.shows("Checked at")
    save(lesson, "one", "two")
    it.shows("2 of 3", "Checked at")
    assert copies.is_used(lesson)
    old = copies.reset(lesson, lambda copy: copy)
    it.shows("work/01_small is another folder now.", "0 of 3", "· 1.1", "Checked at")
    assert copies.is_used(lesson)
    assert old
    assert not copies.is_used(replace(lesson, folder=old.name))
    it.press("q")
    assert it.ends() == 0
    assert not copies.is_used(lesson)


def test_a_folder_too_large(watching: Callable[..., Watching], lesson: Lesson) -> None:
    it = watching()
    it.shows("Checked at")
    with (lesson.work / "film").open("wb") as file:
        file.truncate(100 << 20)
    it.shows("more than 32 MiB")
    (lesson.work / "film").unlink()
    it.shows("Checked at", without="MiB")


# Serving


def status(port: int) -> int:
    try:
        return urlopen(f"http://127.0.0.1:{port}/one").status
    except HTTPError as error:
        return error.code


def test_the_app_is_served_beside_it(watching: Callable[..., Watching], lesson: Lesson) -> None:
    port = free_port()
    lesson.work.mkdir(parents=True)
    save(lesson, "one")
    it = watching("--serve", "--port", str(port))
    log = lesson.work.with_name("serving-1.log")
    it.shows(f"http://127.0.0.1:{port}", f"work/{log.name}", "Checked at")
    until(lambda: status(port) == 200, 60)
    assert "GET /one HTTP" in until(log.read_text, 60)
    copies.reset(lesson, lambda copy: copy)
    it.shows("another folder", "Checked at")
    until(lambda: status(port) == 404, 60)  # there is no such page in the new folder
    it.press("q")
    assert it.ends() == 0
    assert "GET /one HTTP" not in it.text
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0


def test_it_serves_again_after_its_folder_was_gone(
    watching: Callable[..., Watching], lesson: Lesson
) -> None:
    port = free_port()
    lesson.work.mkdir(parents=True)
    save(lesson, more="raise SystemExit(3)\n")
    it = watching("--serve", "--port", str(port))
    log = lesson.work.with_name("serving-1.log")
    until(lambda: log.exists() and "starts again when you save" in log.read_text(), 60)
    away = lesson.work.rename(lesson.work.with_name("away"))
    until(lambda: "01_small is gone." in log.read_text(), 60)
    away.rename(lesson.work)
    save(lesson, "one")
    until(lambda: status(port) == 200, 60)
    assert log.read_text().count("is gone") == 1
    it.press("q")
    assert it.ends() == 0


def test_what_it_prints_cannot_be_written(
    watching: Callable[..., Watching], lesson: Lesson
) -> None:
    lesson.work.with_name("serving-1.log").mkdir(parents=True)
    it = watching("--serve", "--port", str(free_port()))
    assert it.ends() == 2
    assert "serving-1.log cannot be written: Is a directory." in " ".join(it.text.split())
    assert termios.tcgetattr(it.read)[3] & termios.ICANON


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere no signal comes at a parent's end")
def test_nothing_is_left_where_it_is_killed(
    watching: Callable[..., Watching], lesson: Lesson
) -> None:
    port = free_port()
    lesson.work.mkdir(parents=True)
    save(lesson, "one")
    it = watching("--serve", "--port", str(port))
    it.shows("Checked at")
    until(lambda: status(port) == 200, 60)
    began = descendants(it.process.pid)
    assert len(began) > 4  # the worker, its fork server and a supervisor, and what serves the app
    it.process.kill()
    until(lambda: not any(map(lives, began)), 60)


@pytest.mark.skipif(sys.platform != "linux", reason="/proc tells which files are open")
def test_what_serves_has_nothing_of_the_checks(
    watching: Callable[..., Watching], lesson: Lesson
) -> None:
    """Else the worker would not see the end of what it works for."""
    it = watching("--serve", "--port", str(free_port()))
    it.shows("Checked at")
    log = str(lesson.work.with_name("serving-1.log"))
    sockets = {
        log in open_files(pid): [name for name in open_files(pid) if name.startswith("socket:")]
        for pid in children(it.process)
    }
    assert sockets[False]
    assert sockets[True] == []


def descendants(pid: int) -> set[int]:
    found = subprocess.run(["ps", "-eo", "pid=,ppid="], capture_output=True, text=True).stdout
    parents = dict(tuple(map(int, line.split())) for line in found.splitlines())
    below = {pid}
    while more := {each for each, parent in parents.items() if parent in below} - below:
        below |= more
    return below - {pid}


def lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def open_files(pid: int) -> list[str]:
    return [os.readlink(path) for path in Path(f"/proc/{pid}/fd").iterdir()]


def test_a_port_in_use(watching: Callable[..., Watching], lesson: Lesson) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        it = watching("--serve", "--port", str(port))
        assert it.ends() == 2
    assert f"Port {port} is in use" in it.text
    assert f"or: python -m course watch 1 --serve --port {port + 1}" in it.text
    assert not lesson.work.exists()


def test_a_port_that_nothing_is_served_at(watching: Callable[..., Watching]) -> None:
    it = watching("--port", "5001")
    assert it.ends() == 2
    assert re.search(r"SERVE=1 \(or\s+--serve\)", it.text)


def test_a_starter_that_is_not_as_it_came(
    watching: Callable[..., Watching], lesson: Lesson
) -> None:
    git = ["git", "-c", "user.name=A", "-c", "user.email=a@example.org"]
    for args in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "Begin"]):
        subprocess.run([*git, *args], cwd=lesson.root, check=True)
    (lesson.starter / "app.py").write_text(app("one"))
    it = watching()
    it.shows("lessons/01_small is not as it came (app.py).", "rescue 1", "Checked at")


def test_no_such_lesson(watching: Callable[..., Watching], lesson: Lesson) -> None:
    course = lesson.root / "lessons" / "course.toml"
    text = course.read_text().replace("number = 1", "number = 5")
    course.write_text(text.replace('id = "1.', 'id = "5.'))
    it = watching()
    assert it.ends() == 2
    assert "There is no lesson 1." in it.text
