"""A class is graded whatever is in it: no submission changes a mark, or costs another its own."""

from __future__ import annotations

import csv
import ctypes
import io
import json
import os
import resource
import shutil
import signal
import socket
import stat
import struct
import subprocess
import sys
import tarfile
import tempfile
import textwrap
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT, tracked_files, until

from course import checker, diffs, files, grading, reports, submissions
from course.catalog import Course
from course.errors import CourseError
from course.grading import GRADED, TAMPERED, Grade, Grader, file_name
from course.processes import ForkServers
from course.rules import Rules
from course.snapshot import Snapshot, take
from course.submissions import ARCHIVE_LIMIT, SIZE_LIMIT, Submission, Unreadable, Work, find
from course.verdicts import (
    CRASHED,
    FAILED,
    IMPORT_ERROR,
    NOT_ATTEMPTED,
    PASSED,
    TIMED_OUT,
    Verdict,
)

LESSON = "00_request"
SOLUTION = (ROOT / "solutions" / LESSON / "app.py").read_text("utf-8")
STARTER = (ROOT / "lessons" / LESSON / "app.py").read_text("utf-8")
LISTENING = "LISTENING"  # stands for a port of this machine on which something listens
CANARY = "CANARY"  # stands for a file outside
SECONDS = "SECONDS"  # stands for a time to sleep that no other process of this machine sleeps
STAYS = f"87654.{os.getpid()}"

# What a submission's app.py does before anything else, and how its tasks may then stand.
HOSTILE: dict[str, tuple[str, set[str]]] = {
    "loops": ("while True: pass", {TIMED_OUT}),
    "loops on": (
        """
        while True:
            try:
                while True: pass
            except BaseException:
                pass
        """,
        {TIMED_OUT},
    ),
    "forks": ("import os\nwhile True: os.fork()", {CRASHED}),
    "fills memory": (
        """
        import os, time
        for _ in range(16):
            if os.fork() == 0:
                kept = bytearray(b"x") * 200_000_000
                time.sleep(60)
        time.sleep(60)
        """,
        {CRASHED},
    ),
    "fills the disk": (
        """
        n = 0
        while True:
            n += 1
            with open(f"full{n}", "wb") as file:
                file.write(bytes(50_000_000))
        """,
        {CRASHED, IMPORT_ERROR},
    ),
    "makes files": (
        """
        n = 0
        while True:
            n += 1
            open(f"file{n}", "w").close()
        """,
        {CRASHED, IMPORT_ERROR, TIMED_OUT},
    ),
    "writes without end": ("import os\nwhile True: os.write(1, b'x' * 1_000_000)", {CRASHED}),
    "ends": ("import os\nos._exit(0)", {CRASHED}),
    "kills its parent": ("import os\nos.kill(os.getppid(), 9)", {CRASHED}),
    # It answers all the same, and then nothing ends it but our patience.
    "stops its parent": ("import os\nos.kill(os.getppid(), 19)", {PASSED, CRASHED, TIMED_OUT}),
    "kills its group": ("import os\nos.killpg(0, 9)", {CRASHED}),
    "kills everyone": ("import os\nos.kill(-1, 9)", {CRASHED}),
    "kills many": (
        """
        import os
        for pid in range(1, 400):
            try: os.kill(pid, 9)
            except OSError: pass
        """,
        {CRASHED},
    ),
    "stays": (
        """
        import os
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                os.execvp("sleep", ["sleep", "SECONDS"])
            os._exit(0)
        """,
        {PASSED},
    ),
    "reads the solution": (
        f"exec(open({str(ROOT / 'solutions' / LESSON / 'app.py')!r}).read())",
        {IMPORT_ERROR},
    ),
    "reads another submission": (
        f"open({CANARY!r}).read()",
        {IMPORT_ERROR},
    ),
    "imports the checks": ("import course.checker", {IMPORT_ERROR}),
    "writes elsewhere": (
        f"open({CANARY!r}, 'a').write('I was here')",
        {IMPORT_ERROR},
    ),
    "calls": (
        f"import socket\nsocket.create_connection(('127.0.0.1', {LISTENING}), timeout=2)",
        {IMPORT_ERROR},
    ),
    "takes ports": (
        """
        import socket
        taken = []
        for port in (5000, 5001, 8000, 8080):
            taken.append(socket.create_server(("127.0.0.1", port)))
        """,
        # Its own checks share its network, so only the first may have them.
        {PASSED, IMPORT_ERROR},
    ),
    "says too much": (
        """
        import os
        for fd in range(3, 64):
            try: os.write(fd, b'{"rules": [], "blueprints": {}}' + b"x" * 3_000_000)
            except OSError: pass
        """,
        {CRASHED},
    ),
    "makes deep folders": (
        """
        import os
        back = os.open(".", os.O_RDONLY)
        try:
            for _ in range(3000):
                os.mkdir("d")
                os.chdir("d")
        except OSError:
            pass
        os.fchdir(back)
        """,
        {PASSED, CRASHED, TIMED_OUT},
    ),
    "answers deep pages": (
        """
        import flask
        flask.Flask.make_response = lambda self, rv: self.response_class("<b>" * 900_000)
        """,
        {FAILED, CRASHED, TIMED_OUT},
    ),
}

# What lies beside a starter's app.py, which would run by its name, and must not.
HOOK = "import os\nos._exit(0)\n"
PATCH = """
import _pytest.runner
import pytest

pytest.main = _pytest.runner.runtestprotocol = lambda *args, **kwargs: 0
"""
PASS_ALL = """
import pytest

@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    outcome.get_result().outcome = "passed"
"""


@dataclass
class Class:
    """A class that was graded, and what was around it."""

    folder: Path
    out: Path
    grades: dict[str, Grade]
    canary: Path
    calls: list[object]

    def states(self, name: str) -> set[str]:
        return {task.state for lesson in self.grades[name].lessons for task in lesson.tasks}


@pytest.fixture(scope="module")
def graded(
    isolated: None, course: Course, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Class]:
    """Grade, at once, every kind of submission that we could think of."""
    base = tmp_path_factory.mktemp("klasse 班")
    folder, canary = base / "handed in", base / "canary"
    folder.mkdir()
    canary.write_text("untouched", "utf-8")
    calls: list[object] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=_count_calls, args=[listener, calls], daemon=True).start()
        _hand_in(folder, canary, listener.getsockname()[1])
        patch = pytest.MonkeyPatch()
        patch.setattr(checker, "LESSON_SECONDS", 20.0)
        grader = Grader(course, Rules(), base / "out" / "kept", sandboxed=True)
        found = {grade.name: grade for grade in grader.grade(find(folder, course))}
        patch.undo()
        ordered = [found[name] for name in sorted(found)]
        reports.write(reports.Report(course, Rules(), ordered, ""), base / "out")
        yield Class(folder, base / "out", found, canary, calls)


def _count_calls(listener: socket.socket, calls: list[object]) -> None:
    while True:
        try:
            calls.append(listener.accept())
        except OSError:
            return


def _lesson(folder: Path, app: str, **others: str) -> Path:
    shutil.copytree(ROOT / "lessons" / LESSON, folder / LESSON, dirs_exist_ok=True)
    (folder / LESSON / "app.py").write_text(app, "utf-8")
    for name, text in others.items():
        (folder / LESSON / name.replace("__", ".")).write_text(text, "utf-8")
    return folder


def _hand_in(folder: Path, canary: Path, port: int) -> None:
    for name, (code, _) in HOSTILE.items():
        lines = code.strip("\n").splitlines()
        indent = len(lines[0]) - len(lines[0].lstrip())
        text = "\n".join(line[indent:] for line in lines)
        text = text.replace(CANARY, str(canary)).replace(LISTENING, str(port))
        text = text.replace(SECONDS, STAYS)
        _lesson(folder / name, f"{text}\n{SOLUTION}")
    for name in ("an honest one", "z, another honest one"):
        _lesson(folder / name, SOLUTION)
    _lesson(folder / "nothing done", STARTER)
    _lesson(folder / "hooks", STARTER, sitecustomize__py=HOOK, usercustomize__py=HOOK)
    _lesson(folder / "pytest of its own", STARTER, conftest__py=PASS_ALL, pytest__ini="[pytest]\n")
    _lesson(folder / "patches pytest", f"{PATCH}\n{STARTER}")
    _lesson(folder / "hides json", SOLUTION, json__py="print('mine')\n")
    _lesson(folder / "<img src=x onerror=alert(1)>", SOLUTION.replace("count(1)", "count(<"))
    _lesson(folder / "=cmd()", SOLUTION)
    _lesson(folder / "checks of its own" / "work", STARTER)
    checks = folder / "checks of its own" / "checks"
    checks.mkdir()
    (checks / f"test_{LESSON}.py").write_text("def test_list(): pass\n", "utf-8")


def test_the_honest_have_their_marks(graded: Class) -> None:
    for name in ("an honest one", "z, another honest one", "=cmd()"):
        assert graded.grades[name].state == GRADED
        assert graded.states(name) == {PASSED}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_code_has_no_more_than_it_earns(name: str, graded: Class) -> None:
    states = graded.states(name)
    assert states
    assert states <= HOSTILE[name][1], [
        (task.id, task.state, task.message)
        for lesson in graded.grades[name].lessons
        for task in lesson.tasks
    ]


def test_nothing_outside_was_reached(graded: Class) -> None:
    assert graded.canary.read_text("utf-8") == "untouched"
    assert graded.calls == []


def test_nothing_is_left_running(graded: Class) -> None:
    left = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            left.append(path.read_bytes())
        except OSError:
            continue
    assert not [line for line in left if STAYS.encode() in line]


@pytest.mark.parametrize("name", ["hooks", "checks of its own"])
def test_tampering_is_told_and_gives_nothing(name: str, graded: Class) -> None:
    assert graded.grades[name].state == TAMPERED
    assert graded.states(name) == {NOT_ATTEMPTED}


def test_a_pytest_of_ones_own_gives_nothing(graded: Class) -> None:
    assert graded.states("pytest of its own") == {NOT_ATTEMPTED}
    assert graded.states("patches pytest") == graded.states("nothing done") == {NOT_ATTEMPTED}


def test_a_module_that_hides_pythons_is_named(graded: Class) -> None:
    (lesson,) = graded.grades["hides json"].lessons
    assert PASSED not in graded.states("hides json")
    assert all("json.py" in task.message for task in lesson.tasks)


# What a submission may be, without a program that runs.


def _zip(path: Path, files: dict[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> None:
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, data in files.items():
            archive.writestr(name, data)


def _tar(path: Path, *members: tuple[tarfile.TarInfo, bytes], mode: str = "w:gz") -> None:
    with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]
        for info, data in members:
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))


def _member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    return info


@pytest.fixture
def read(course: Course, tmp_path: Path) -> Callable[[str], Work]:
    """Read one of the submissions in `tmp_path`."""

    def one(name: str) -> Work:
        (submission,) = [each for each in find(tmp_path, course) if each.path.name == name]
        return submissions.read(submission, course)

    return one


APP = f"{LESSON}/app.py"


@pytest.mark.parametrize("place", ["", "work/", "ada/flask course/work/", "./", ".//work/"])
def test_a_zip_is_read_wherever_the_lesson_is(
    place: str, read: Callable[[str], Work], tmp_path: Path
) -> None:
    _zip(tmp_path / "ada.zip", {f"{place}{APP}": b"x = 1", "readme.txt": b"Hello"})
    work = read("ada.zip")
    assert work.copies[0].files == {"app.py": b"x = 1"}
    assert (work.tampered, work.left_out) == ([], [])


def test_a_folder_in_a_zip_of_windows_is_no_file(
    read: Callable[[str], Work], tmp_path: Path
) -> None:
    files = {f"work/{APP}": b"x = 1", f"work/{LESSON}/static/": b""}
    _zip(tmp_path / "ada.zip", {name.replace("/", "\\"): data for name, data in files.items()})
    assert read("ada.zip").copies[0].files == {"app.py": b"x = 1"}


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
def test_a_tar_is_read(mode: str, read: Callable[[str], Work], tmp_path: Path) -> None:
    _tar(tmp_path / "ada.tar.gz", (_member(APP), b"x = 1"), mode=mode)
    assert read("ada.tar.gz").copies[0].files == {"app.py": b"x = 1"}


def test_work_comes_before_the_courses_own_folders(
    read: Callable[[str], Work], tmp_path: Path
) -> None:
    files = {f"{place}/{APP}": place.encode() for place in ("lessons", "solutions", "c/work", "d")}
    _zip(tmp_path / "ada.zip", files)
    assert read("ada.zip").copies[0].files == {"app.py": b"c/work"}


def _repository(tree: Path, text: str = "x = 1") -> Path:
    """Make a repository with a lesson in its one commit."""
    (tree / LESSON).mkdir(parents=True, exist_ok=True)
    (tree / APP).write_text(text, "utf-8")
    identity = ["-c", "user.name=Ada", "-c", "user.email=ada@example.org"]
    for words in (["init", "-q"], ["add", "."], [*identity, "commit", "-qm", "Done"]):
        subprocess.run(["git", *words], cwd=tree, check=True)
    return tree


@pytest.mark.parametrize("bare", [False, True])
def test_a_repository_is_read(bare: bool, read: Callable[[str], Work], tmp_path: Path) -> None:
    tree = _repository(tmp_path / ".tree")
    if bare:
        subprocess.run(["git", "clone", "-q", "--bare", tree, tmp_path / "ada"], check=True)
    else:
        (tmp_path / "ada").mkdir()
        (tree / ".git").rename(tmp_path / "ada" / ".git")
    hook = (
        "[core]\n\tfsmonitor = touch ../pwned\n[uploadpack]\n\tpackObjectsHook = touch ../pwned\n"
    )
    config = tmp_path / "ada" / ("config" if bare else ".git/config")
    config.write_text(config.read_text("utf-8") + hook, "utf-8")
    assert read("ada").copies[0].files == {"app.py": b"x = 1"}
    assert not list(tmp_path.rglob("pwned"))


def _common(eve: Path, bob: Path) -> None:
    git = eve / ".git"
    (git / "objects").mkdir(parents=True)
    (git / "refs").mkdir()
    shutil.copy(bob / "HEAD", git)
    (git / "commondir").write_text(f"{bob}\n", "utf-8")


def _alternates(git: Path, bob: Path) -> None:
    _empty_repository(git)
    (git / "objects" / "info" / "alternates").write_text(f"{bob / 'objects'}\n", "utf-8")
    words = ["git", "--git-dir", bob, "rev-parse", "HEAD"]
    (git / "HEAD").write_bytes(subprocess.run(words, check=True, capture_output=True).stdout)


def _links(git: Path, bob: Path) -> None:
    git.mkdir()
    for name in ("HEAD", "objects", "refs", "packed-refs"):
        (git / name).symlink_to(bob / name)


def _worktree(eve: Path, bob: Path) -> None:
    shutil.copytree(bob, eve)
    (eve / "worktrees").mkdir()


def _git_file(eve: Path, bob: Path) -> None:
    eve.mkdir()
    (eve / ".git").write_text(f"gitdir: {bob}\n", "utf-8")


def _git_link(eve: Path, bob: Path) -> None:
    eve.mkdir()
    (eve / ".git").symlink_to(bob)


def _pipe(eve: Path, bob: Path) -> None:
    _empty_repository(eve)
    (eve / "HEAD").unlink()
    os.mkfifo(eve / "HEAD")


def _nested(eve: Path, bob: Path) -> None:
    """A repository that has no commit, and a .git in it that has."""
    _empty_repository(eve / ".git")
    (eve / ".git" / ".git").write_text(f"gitdir: {bob}\n", "utf-8")


BORROWED: dict[str, tuple[Callable[[Path, Path], None], str]] = {
    "a file": (_git_file, "'.git' leads to another"),
    "a link": (_git_link, "'.git' leads to another"),
    "links": (_links, "leads to another"),
    "commondir": (_common, "'commondir' leads to another"),
    "alternates": (_alternates, "'objects/info/alternates' leads to another"),
    "alternates in .git": (
        lambda eve, bob: _alternates(eve / ".git", bob),
        "'objects/info/alternates' leads to another",
    ),
    "worktrees": (_worktree, "'worktrees' leads to another"),
    "a pipe": (_pipe, "'HEAD' leads to another"),
    "nested": (_nested, "no commit"),
}


@pytest.mark.parametrize("name", BORROWED)
def test_a_classmates_repository_is_not_read(
    name: str, read: Callable[[str], Work], tmp_path: Path
) -> None:
    make, says = BORROWED[name]
    make(tmp_path / "eve", _repository(tmp_path / ".tree") / ".git")
    with pytest.raises(Unreadable, match=says):
        read("eve")


def test_a_repository_of_nearly_the_same_name_is_not_read(
    read: Callable[[str], Work], tmp_path: Path
) -> None:
    """Where git finds none at ADDRESS, it looks at ADDRESS.git."""
    _repository(tmp_path / ".tree").rename(tmp_path / "eve.git")
    (tmp_path / "eve" / "objects").mkdir(parents=True)
    (tmp_path / "eve" / "refs").mkdir()
    (tmp_path / "eve" / "HEAD").touch()
    with pytest.raises(Unreadable, match="that git cannot read"):
        read("eve")


@pytest.mark.parametrize("said", ["* export-ignore", "*.py export-subst", "*.py text eol=crlf"])
def test_a_repository_has_no_say_in_how_it_is_read(
    said: str, read: Callable[[str], Work], tmp_path: Path
) -> None:
    tree = tmp_path / "ada"
    for folder in (tree, tree / LESSON):
        folder.mkdir()
        (folder / ".gitattributes").write_text(f"{said}\n", "utf-8")
    _repository(tree, "x = '$Format:%s$'\n")
    shutil.rmtree(tree / LESSON)
    (tree / ".gitattributes").unlink()
    assert read("ada").copies[0].files["app.py"] == b"x = '$Format:%s$'\n"


def test_of_a_repository_no_more_is_read_than_a_submission_may_have(
    read: Callable[[str], Work], tmp_path: Path
) -> None:
    """It has 10**10 files: of their names alone no machine could keep a list."""
    _git_bomb(tmp_path / "ada", size=1, levels=10)
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (1 << 30, before[1]))
    try:
        with pytest.raises(Unreadable, match="Unpacked, it has more than 64 MiB"):
            read("ada")
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


def test_what_leads_outside_is_left_out(read: Callable[[str], Work], tmp_path: Path) -> None:
    outside = ["../../up.py", "/etc/passwd", "C:\\windows.py", f"{LESSON}/../../up.py"]
    _zip(
        tmp_path / "ada.zip",
        {APP: b"x = 1", f"{LESSON}/new\nline.py": b"", **dict.fromkeys(outside, b"")},
    )
    work = read("ada.zip")
    assert work.copies[0].files == {"app.py": b"x = 1"}
    assert len(work.left_out) == len(outside) + 1


@pytest.mark.parametrize("kind", ["zip", "tar", "folder"])
def test_no_path_is_absolute_after_the_lessons_folder(
    kind: str, read: Callable[[str], Work], tmp_path: Path
) -> None:
    outside = tmp_path / "outside"
    odd = [f"/{outside}/1.py", f"/.//{outside}/2.py", f"/{outside}/3.py".replace("/", "\\")]
    entries = {APP: b"x = 1"} | {f"{LESSON}{name}": b"" for name in odd}
    if kind == "zip":
        _zip(tmp_path / "ada", entries)
    elif kind == "tar":
        _tar(tmp_path / "ada", *((_member(name), data) for name, data in entries.items()))
    else:
        _lesson(tmp_path / "ada", "x = 1")
        (tmp_path / "ada" / LESSON / odd[2][1:]).touch()
    work = read("ada")
    work.copies[0].write(tmp_path / "copy")
    inside = tmp_path / "copy" / outside.relative_to("/")
    written = {path.name for path in inside.iterdir()}
    assert written == ({"3.py"} if kind == "folder" else {"1.py", "2.py", "3.py"})
    assert work.left_out == []
    assert not outside.exists()


def _deep(folder: Path) -> None:
    """Make more folders, each in the one before it, than Python has calls."""
    here = os.open(folder, os.O_RDONLY)
    for _ in range(3000):
        os.mkdir("d", dir_fd=here)
        inside = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = inside
    os.close(here)


@pytest.mark.parametrize("name", ["{}/x.py", "a/../../x.py"])
def test_a_copy_is_written_nowhere_else(name: str, tmp_path: Path) -> None:
    path = name.format(tmp_path)
    with pytest.raises(ValueError, match="leads out of the folder"):
        Snapshot({"app.py": b"", path: b""}).write(tmp_path / "copy")
    with pytest.raises(ValueError, match="leads out of the folder"):
        Snapshot({}, frozenset({path})).write(tmp_path / "copy")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["截" * 100 + ".png", "n" * 256])
def test_a_name_that_no_file_can_have_is_left_out(
    name: str, read: Callable[[str], Work], tmp_path: Path
) -> None:
    _zip(tmp_path / "ada.zip", {APP: b"x = 1", f"{LESSON}/{name}": b"", f"{LESSON}/{name}/x": b""})
    work = read("ada.zip")
    assert work.copies[0].files == {"app.py": b"x = 1"}
    assert [note.partition(" is ")[2] for note in work.left_out] == [
        "no name for a file of a lesson."
    ] * 2


@pytest.mark.parametrize("name", [".git./x", ".GIT", "a/git~1/x", ".git ", "Git~1..", ".git:a"])
def test_a_name_that_git_refuses_hides_no_change(
    name: str, read: Callable[[str], Work], tmp_path: Path, course: Course
) -> None:
    _zip(tmp_path / "ada.zip", {APP: b"x = 1\n", f"{LESSON}/{name}": b""})
    work = read("ada.zip")
    assert work.left_out == [f"'{LESSON}/{name}' is no name for a file of a lesson."]
    assert "+x = 1\n" in diffs.changes(take(course.lesson(0).starter), work.copies[0])


def test_a_folder_has_gone_whatever_is_in_it(tmp_path: Path) -> None:
    folder = tmp_path / "-rf"
    closed = folder / "closed" / "inside"
    closed.mkdir(parents=True)
    closed.parent.chmod(0)
    _deep(folder)
    files.remove(folder)
    assert not folder.exists()


def test_links_and_devices_are_left_out(read: Callable[[str], Work], tmp_path: Path) -> None:
    kinds = [
        _member(f"{LESSON}/link.py", tarfile.SYMTYPE, "/etc/passwd"),
        _member(f"{LESSON}/hard.py", tarfile.LNKTYPE, APP),
        _member(f"{LESSON}/device", tarfile.CHRTYPE),
        _member(f"{LESSON}/pipe", tarfile.FIFOTYPE),
    ]
    _tar(tmp_path / "ada.tar.gz", (_member(APP), b"x = 1"), *((each, b"") for each in kinds))
    folder = tmp_path / "bob" / LESSON
    folder.mkdir(parents=True)
    (folder / "app.py").write_text("x = 1", "utf-8")
    (folder / "link.py").symlink_to("/etc/passwd")
    (folder / "folder").symlink_to("/etc")
    os.mkfifo(folder / "pipe")
    with zipfile.ZipFile(tmp_path / "eve.zip", "w") as archive:
        archive.writestr(APP, "x = 1")
        link = zipfile.ZipInfo(f"{LESSON}/link.py")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, "/etc/passwd")
    for name, number in [("ada.tar.gz", 4), ("bob", 3), ("eve.zip", 1)]:
        work = read(name)
        assert work.copies[0].files == {"app.py": b"x = 1"}, name
        assert len(work.left_out) == number, work.left_out


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE])
def test_a_file_that_is_there_again_as_none_is_read(
    kind: bytes, read: Callable[[str], Work], tmp_path: Path
) -> None:
    again = _member(APP, kind, "nowhere")
    _tar(tmp_path / "ada.tar", (_member(APP), b"x = 1"), (again, b""), mode="w")
    work = read("ada.tar")
    assert work.copies[0].files == {"app.py": b"x = 1"}
    assert work.left_out == [f"'{APP}' is a link or a special file."]


def _bomb(path: Path) -> None:
    zeros = io.BytesIO(bytes(ARCHIVE_LIMIT))
    with tarfile.open(path, "w:gz") as archive:
        info = tarfile.TarInfo(APP)
        info.size = ARCHIVE_LIMIT
        archive.addfile(info, zeros)


def _empty_repository(path: Path) -> None:
    subprocess.run(["git", "init", "-q", "--bare", path], check=True)


def _git(folder: Path, *words: str, data: bytes = b"") -> str:
    done = subprocess.run(["git", *words], cwd=folder, input=data, capture_output=True, check=True)
    return done.stdout.decode().strip()


def _git_bomb(path: Path, size: int = 1_000_000, levels: int = 4) -> None:
    """Make a repository of which each file is the same one: 10 GB, in a few KB."""
    _empty_repository(path)
    blob = _git(path, "hash-object", "-w", "--stdin", data=bytes(size))
    entries = [f"100644 blob {blob}\tf{n}" for n in range(10)]
    for _ in range(levels):
        tree = _git(path, "mktree", data="\n".join(entries).encode())
        entries = [f"040000 tree {tree}\t{n}" for n in range(10)]
    tree = _git(path, "mktree", data=f"040000 tree {tree}\t{LESSON}".encode())
    who = ["-c", "user.name=Ada", "-c", "user.email=ada@example.org"]
    _git(path, "update-ref", "HEAD", _git(path, *who, "commit-tree", tree, "-m", "Done"))


def _empty_commit(path: Path) -> None:
    _empty_repository(path)
    who = ["-c", "user.name=Ada", "-c", "user.email=ada@example.org"]
    tree = _git(path, "mktree")
    _git(path, "update-ref", "HEAD", _git(path, *who, "commit-tree", tree, "-m", "Begin"))


def _huge_number(path: Path) -> None:
    """Make a tar in which a file has 2**88 bytes and more."""
    _tar(path, (_member(APP), b"x = 1"), (_member(f"{LESSON}/x.py"), b""), mode="w")
    data = bytearray(path.read_bytes())
    data[1024 + 124 : 1024 + 136] = b"\x80" + b"\xff" * 11
    data[1024 + 148 : 1024 + 156] = b" " * 8
    data[1024 + 148 : 1024 + 156] = b"%06o\0 " % sum(data[1024:1536])
    path.write_bytes(data)


UNREADABLES: dict[str, tuple[Callable[[Path], object], str]] = {
    "bomb.zip": (lambda path: _zip(path, {APP: bytes(SIZE_LIMIT * 3)}), "more than 64 MiB"),
    "half.zip": (
        lambda path: _zip(path, {f"{LESSON}/{n}": bytes(SIZE_LIMIT // 2 + 1) for n in "ab"}),
        f"With '{LESSON}/b', its lessons have more than 64 MiB",
    ),
    "bomb.tar.gz": (_bomb, "more than 256 MiB"),
    "folders.tar": (
        lambda path: _tar(
            path, *((_member(f"{n}", tarfile.DIRTYPE), b"") for n in range(20_001)), mode="w"
        ),
        "more than 20000",
    ),
    "bomb": (_git_bomb, "Unpacked, it has more than 64 MiB"),
    "number.tar": (_huge_number, "The archive is damaged"),
    "many.zip": (lambda path: _zip(path, {f"{n}": b"" for n in range(20_001)}), "more than 20000"),
    "broken.zip": (lambda path: path.write_bytes(b"PK\x03\x04 and no more"), "a damaged zip"),
    "broken.tar.gz": (lambda path: path.write_bytes(b"\x1f\x8b\x08 and no more"), "read|damaged"),
    "text.txt": (lambda path: path.write_text("Dear teacher", "utf-8"), "neither"),
    "some.rar": (lambda path: path.write_bytes(b"Rar!\x1a\x07"), "rar archive.* Ask for a zip"),
    "some.7z": (lambda path: path.write_bytes(b"7z\xbc\xaf\x27\x1c"), "7z archive.* Ask for a zip"),
    "empty.zip": (lambda path: path.write_bytes(b""), "an empty file"),
    "empty": (lambda path: path.mkdir(), "is empty"),
    "nothing": (_empty_commit, "^It is empty.$"),
    "bare": (_empty_repository, "no commit"),
    "flat.zip": (lambda path: _zip(path, {"app.py": b""}), "'app.py', without a lesson's folder"),
    "wrapped.zip": (
        lambda path: _zip(path, {"x/ada.zip": b""}),
        "'x/ada.zip', which is not opened",
    ),
    "other.zip": (lambda path: _zip(path, {"essay.txt": b"Hello"}), "no folder of a lesson"),
    "link": (lambda path: path.symlink_to("/etc"), "a link"),
    "pipe": (lambda path: os.mkfifo(path), "neither"),
}


@pytest.mark.parametrize("name", UNREADABLES)
def test_what_cannot_be_read_is_said(
    name: str, read: Callable[[str], Work], tmp_path: Path
) -> None:
    make, says = UNREADABLES[name]
    make(tmp_path / name)
    with pytest.raises(Unreadable, match=says):
        read(name)


def test_the_course_itself_is_nobodys_work(read: Callable[[str], Work], tmp_path: Path) -> None:
    """A fork of the course has right answers in it, in solutions/ and tests/: they earn nothing."""
    course = {f"course/{name}": (ROOT / name).read_bytes() for name in tracked_files()}
    _zip(tmp_path / "fork.zip", course)
    with pytest.raises(Unreadable, match="It is the course, without work/"):
        read("fork.zip")
    _zip(tmp_path / "clone.zip", course | {f"course/work/{APP}": b"x = 1"})
    work = read("clone.zip")
    assert {number: copy.files for number, copy in work.copies.items()} == {0: {"app.py": b"x = 1"}}
    assert (work.tampered, work.left_out) == ([], [])


def test_which_of_two_copies_was_graded_is_said(
    read: Callable[[str], Work], tmp_path: Path
) -> None:
    _zip(tmp_path / "two.zip", {APP: b"x = 1", f"work/{APP}": b"x = 2"})
    work = read("two.zip")
    assert work.copies[0].files == {"app.py": b"x = 2"}
    assert work.left_out == [f"'work/{LESSON}/' was graded, and not '{LESSON}/'."]


def test_an_archive_that_is_all_in_its_folder_is_read(
    read: Callable[[str], Work], tmp_path: Path, course: Course
) -> None:
    """Moodle, for one, gives a folder for each student, with the archive in it."""
    folder = tmp_path / "Ada Lovelace_7_assignsubmission_file"
    folder.mkdir()
    _zip(folder / "work.zip", {APP: b"x = 1"})
    (folder / ".DS_Store").touch()
    (submission,) = find(tmp_path, course)
    assert submission.name == folder.name
    assert submissions.read(submission, course).copies[0].files == {"app.py": b"x = 1"}
    (tmp_path / "eve").symlink_to(folder)
    with pytest.raises(Unreadable, match="It is a link"):
        read("eve")
    (folder / "letter.txt").touch()
    with pytest.raises(Unreadable, match="which is not opened"):
        read(folder.name)


def test_what_macos_puts_into_an_archive_is_nobodys_work(
    read: Callable[[str], Work], tmp_path: Path
) -> None:
    beside = f"work/{LESSON}/._app.py"
    _zip(tmp_path / "a.zip", {f"work/{APP}": b"x = 1", f"__MACOSX/{beside}": b"", beside: b""})
    work = read("a.zip")
    assert work.copies[0].files == {"app.py": b"x = 1"}
    assert (work.tampered, work.left_out) == ([], [])


def test_an_archive_of_the_whole_course_may_have_its_venv(
    read: Callable[[str], Work], tmp_path: Path
) -> None:
    large = os.urandom(SIZE_LIMIT + 1)
    files = {f"work/{APP}": b"x = 1", ".venv/lib/large.so": large}
    _zip(tmp_path / "ada.zip", files, zipfile.ZIP_STORED)
    _tar(tmp_path / "bob.tgz", *((_member(name), data) for name, data in files.items()))
    shutil.copy(tmp_path / "ada.zip", tmp_path / "eve.zip")
    _as_large(tmp_path / "eve.zip")
    for name in ("ada.zip", "bob.tgz", "eve.zip"):
        assert read(name).copies[0].files == {"app.py": b"x = 1"}


def _as_large(path: Path) -> None:
    """Give a zip the records of a large one, which say where the list is once more."""
    data = path.read_bytes()
    start, size = (int.from_bytes(data[at:][:4], "little") for at in (-6, -10))
    entries = int.from_bytes(data[-12:-10], "little")
    first = b"PK\6\6" + struct.pack("<QHHLLQQQQ", 44, 45, 45, 0, 0, entries, entries, size, start)
    second = b"PK\6\7" + struct.pack("<LQL", 0, len(data) - 22, 1)
    path.write_bytes(data[:-22] + first + second + data[-22:])


@pytest.mark.parametrize("large", [False, True])
def test_the_list_of_a_zip_is_bounded_before_it_is_read(
    large: bool, read: Callable[[str], Work], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For each entry, zipfile makes an object of a kilobyte, and a list needs 46 bytes for one."""
    _zip(tmp_path / "ada.zip", {APP: b"x = 1"} | {f"{n}": b"" for n in range(30)})
    if large:
        _as_large(tmp_path / "ada.zip")
    assert read("ada.zip").copies[0].files == {"app.py": b"x = 1"}
    monkeypatch.setattr(submissions, "ENTRIES_LIMIT", 2)
    monkeypatch.setattr(zipfile, "ZipFile", None)
    with pytest.raises(Unreadable, match="more than 20000 files and folders"):
        read("ada.zip")


@pytest.mark.parametrize(
    ("paths", "says"),
    [
        (["solutions/{}/app.py"], "'solutions/{}' came with the course: hand in work/"),
        (["Work/00_Request/app.py"], "'Work/00_Request' is not called {}"),
        (["work/{} (1)/app.py"], "'work/{} \\(1\\)' is not called {}"),
    ],
)
def test_what_is_nearly_a_lesson_is_named(
    paths: list[str], says: str, read: Callable[[str], Work], tmp_path: Path
) -> None:
    _zip(tmp_path / "ada.zip", {path.format(LESSON): b"" for path in paths})
    with pytest.raises(Unreadable, match=says.replace("{}", LESSON)):
        read("ada.zip")


def test_a_copy_for_the_terminal_is_the_only_one(tmp_path: Path, course: Course) -> None:
    """A whole class in place of a student would be compared by one, whoever comes first."""
    for name in ("ada", "bob"):
        _lesson(tmp_path / name / "work", "x = 1")
    lesson = course.lesson(0)
    assert submissions.copy_in(tmp_path / "ada", lesson, course).text("app.py") == "x = 1"
    with pytest.raises(CourseError, match=f"more than one {LESSON}, such as 'ada/work/{LESSON}/'"):
        submissions.copy_in(tmp_path, lesson, course)


def test_a_folder_that_cannot_be_read_is_said(
    read: Callable[[str], Work], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may hold anything, and root can read it anywhere: so the system's answer is ours here."""
    _lesson(tmp_path / "ada", SOLUTION)
    secret = tmp_path / "ada" / LESSON / "views"
    secret.mkdir()
    scandir = os.scandir

    def forbid(path: Any) -> Any:
        if os.fspath(path) == str(secret):
            raise PermissionError(13, "Permission denied", str(secret))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", forbid)
    with pytest.raises(Unreadable, match="The folder 'views' cannot be read: Permission denied"):
        read("ada")


def test_a_hook_of_pythons_is_left_out(read: Callable[[str], Work], tmp_path: Path) -> None:
    """Where Python starts in a folder with such a file, it may run a line of it."""
    _lesson(tmp_path / "ada", SOLUTION)
    (tmp_path / "ada" / LESSON / "x.pth").write_text("import os", "utf-8")
    work = read("ada")
    assert "x.pth" not in work.copies[0].files
    assert len(work.tampered) == 1
    assert "x.pth" in work.tampered[0]


def test_of_a_file_that_is_a_folder_too_the_folder_stays(
    read: Callable[[str], Work], tmp_path: Path
) -> None:
    _zip(tmp_path / "ada.zip", {APP: b"", f"{LESSON}/a": b"1", f"{LESSON}/a/b": b"2"})
    assert read("ada.zip").copies[0].files == {"app.py": b"", "a/b": b"2"}


def test_a_package_named_checks_is_the_students_own(
    read: Callable[[str], Work], course: Course, tmp_path: Path
) -> None:
    _lesson(tmp_path / "ada" / "work", SOLUTION)
    own = tmp_path / "ada" / "work" / LESSON / "checks"
    own.mkdir()
    (own / "titles.py").write_text("x = 1", "utf-8")
    (tmp_path / "ada" / "checks").mkdir()
    for check in (course.root / "checks").glob("*.py"):  # as a checkout on Windows has them
        data = check.read_bytes().replace(b"\n", b"\r\n")
        (tmp_path / "ada" / "checks" / check.name).write_bytes(data)
    work = read("ada")
    assert work.tampered == []
    assert work.copies[0].files["checks/titles.py"] == b"x = 1"


def test_litter_is_no_submission(tmp_path: Path, course: Course) -> None:
    for name in (".DS_Store", "Thumbs.db", "desktop.ini", "~$marks.xlsx", "ada.zip"):
        (tmp_path / name).touch()
    assert [each.name for each in find(tmp_path, course)] == ["ada"]


@pytest.mark.parametrize("name", ["work", LESSON])
def test_the_work_of_one_student_is_no_class(name: str, tmp_path: Path, course: Course) -> None:
    (tmp_path / name).mkdir()
    with pytest.raises(CourseError, match="is the work of one student"):
        find(tmp_path, course)


# The processes that grade.

Tell = Callable[[dict[str, Any]], None]


class GraderOf(Grader):
    """Grades each submission with a function, in the submission's process."""

    how: Callable[[Tell], None]

    def one(self, submission: Submission, tell: Tell) -> None:
        self.how(tell)


def _grades(course: Course, folder: Path, how: Callable[[Tell], None]) -> list[Grade]:
    grader = GraderOf(course, Rules(), folder / "kept", sandboxed=False)
    grader.how = how
    return list(grader.grade((Submission("ada", folder), Submission("bob", folder))))


def test_what_is_left_in_a_scratch_folder_ends_no_run(
    course: Course, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("course.processes.scratch_root", tmp_path)

    def leave(tell: Tell) -> None:
        _deep(Path(tempfile.mkdtemp()))
        tell({"notes": ["Done."]})

    found = _grades(course, tmp_path, leave)
    assert [grade.notes for grade in found] == [["Done."]] * 2
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]


def test_who_is_killed_takes_what_it_forked_along(
    course: Course, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(grading, "STEP_SECONDS", 1)
    forked = tmp_path / "forked"

    def fork(tell: Tell) -> None:
        pid = os.fork()
        if pid:
            with forked.open("a") as file:
                file.write(f"{pid}\n")
        time.sleep(60)

    found = _grades(course, tmp_path, fork)
    assert [grade.notes for grade in found] == [["It could not be read in time."]] * 2
    for pid in forked.read_text("utf-8").split():
        until(partial(_has_ended, pid))


def _has_ended(pid: str) -> bool:
    """Tell whether a process has ended, also where nobody has asked for its exit code yet."""
    try:
        return ") Z " in Path("/proc", pid, "stat").read_text("utf-8")
    except FileNotFoundError:
        return True


def test_what_a_report_shows_is_bounded(
    course: Course, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lesson = course.lesson(0)
    said = [Verdict(task.id, task.title, FAILED, "x" * 5_000_000, 0) for task in lesson.tasks]
    monkeypatch.setattr(checker.Checker, "check_copy", lambda *_: said)
    _lesson(tmp_path / "in" / "ada", SOLUTION)
    for number in range(30):
        (tmp_path / "in" / "ada" / LESSON / f"{number:02}").symlink_to("/etc")
    grader = Grader(course, Rules(), tmp_path / "kept", sandboxed=False)
    (found,) = grader.grade(find(tmp_path / "in", course))
    messages = {task.message for task in found.lessons[0].tasks}
    assert messages == {"x" * grading.MESSAGE_LIMIT + "…"}
    assert [len(found.notes), found.notes[-1]] == [grading.NOTES_LIMIT + 1, "And 10 more."]


def test_a_folder_in_the_place_of_the_app_is_handed_in(course: Course, tmp_path: Path) -> None:
    """No disk can have both: what the student has done counts."""
    folder = tmp_path / "in" / "ada" / LESSON / "app.py"
    folder.mkdir(parents=True)
    (folder / "x.py").touch()
    grader = Grader(course, Rules(), tmp_path / "kept", sandboxed=False)
    (found,) = grader.grade(find(tmp_path / "in", course))
    assert {task.state for task in found.lessons[0].tasks} == {IMPORT_ERROR}
    assert "app.py/x.py" in found.lessons[0].diff


def test_no_two_submissions_have_one_file(course: Course, tmp_path: Path) -> None:
    long = "Introduction_to_Web_Programming_" * 4
    short = file_name(long)
    assert len(short) <= 100
    assert len({short, file_name(short), file_name(short.replace("+", "-"))}) == 3
    grader = Grader(course, Rules(), tmp_path, sandboxed=False)
    file = tmp_path / f"{file_name('ada')}.json"
    file.write_text(json.dumps(asdict(Grade("ada"))), "utf-8")
    assert grader.stored("ada") == Grade("ada")
    file.write_text(json.dumps(asdict(Grade("bob"))), "utf-8")
    assert grader.stored("ada") is None


# The report.


def test_the_report_is_inert(graded: Class) -> None:
    page = (graded.out / "report.html").read_text("utf-8")
    assert "&lt;img src=x onerror=alert(1)&gt;" in page
    assert "<img" not in page
    with (graded.out / "grades.csv").open(encoding="utf-8-sig", newline="") as file:
        names = [row["submission"] for row in csv.DictReader(file)]
    assert "'=cmd()" in names
    assert len(names) == len(graded.grades)


def test_the_tables_say_the_same(graded: Class) -> None:
    data = json.loads((graded.out / "grades.json").read_text("utf-8"))
    scores = {each["name"]: each["score"] for each in data["submissions"]}
    assert data["isolated"] is True
    assert scores["an honest one"] == 6
    assert scores["nothing done"] == 0
    for name, score in scores.items():
        file = graded.out / "gradescope" / file_name(name) / "results.json"
        results = json.loads(file.read_text("utf-8"))
        assert results["score"] == score == sum(test["score"] for test in results["tests"])


def test_going_on_does_nothing_again(graded: Class, course: Course) -> None:
    """A second run takes over what is kept, and grades anew what did not end well."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(checker, "LESSON_SECONDS", 20.0)
        grader = Grader(course, Rules(), graded.out / "kept", sandboxed=True)
        again = {grade.name: grade for grade in grader.grade(find(graded.folder, course))}
    assert set(again) == set(graded.grades)
    for name, grade_ in graded.grades.items():
        if grade_.key:
            assert again[name] == grade_


# The command.


def grade(*args: object, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "course", "grade", *map(str, args)],
        cwd=ROOT, capture_output=True, text=True, env=os.environ | env,
    )  # fmt: skip


def test_the_command_grades_beside_the_submissions(tmp_path: Path) -> None:
    handed_in = tmp_path / "班"
    _lesson(handed_in / "ada", SOLUTION)
    (handed_in / "note.txt").write_text("Dear teacher", "utf-8")
    done = grade(handed_in)
    assert done.returncode == 0, done.stderr
    assert "2 submissions: 1 graded, 1 unreadable" in done.stdout
    for name in ("report.html", "grades.csv", "grades.json"):
        assert (tmp_path / "班.graded" / name).is_file()
        assert str(tmp_path / "班.graded" / name) in done.stdout
    assert {path.name for path in handed_in.iterdir()} == {"ada", "note.txt"}


def test_what_cannot_be_graded_is_said(tmp_path: Path) -> None:
    (tmp_path / "none").mkdir()
    (tmp_path / "some" / "ada").mkdir(parents=True)
    (tmp_path / "rules.toml").write_text("lessons = [99]", "utf-8")
    (tmp_path / "file").write_text("", "utf-8")
    for args, says in [
        ([], "python -m course grade DIR"),
        ([tmp_path / "nowhere"], "cannot be read"),
        ([tmp_path / "none"], "There is no submission"),
        ([tmp_path / "some", "--rules", tmp_path / "rules.toml"], "There is no lesson 99"),
        ([tmp_path / "some", "--rules", tmp_path / "no.toml"], "cannot be read"),
        ([tmp_path / "some", "--out", tmp_path / "file"], "cannot be written"),
    ]:
        done = grade(*args)
        assert (done.returncode, done.stdout) == (2, ""), args
        assert says in done.stderr
        assert "Traceback" not in done.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_what_stops_us_in_the_middle_of_a_fork_is_not_lost(number: int) -> None:
    """What modules run after a fork, such as logging, would swallow it; no child is left."""
    code = """
        import os, signal, sys
        sys.path.insert(0, sys.argv[1])
        from course.processes import fork
        signal.signal(int(sys.argv[2]), signal.default_int_handler)
        os.register_at_fork(after_in_parent=lambda: signal.raise_signal(int(sys.argv[2])))
        try:
            if fork() == 0:
                signal.pause()
        except KeyboardInterrupt:
            try:
                os.waitpid(-1, 0)
            except ChildProcessError:
                print("interrupted, and no child")
    """
    argv = [sys.executable, "-c", textwrap.dedent(code), str(ROOT), str(int(number))]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=30)
    assert (done.returncode, done.stdout, done.stderr) == (0, "interrupted, and no child\n", "")


def test_the_earlier_tasks_count_where_one_of_the_lesson_passes(tmp_path: Path) -> None:
    """They pass in every starter, so a comment that is deleted must not earn their points."""
    lesson = "01_script"
    for name, source in (("begun", "lessons"), ("done", "solutions")):
        shutil.copytree(ROOT / source / lesson, tmp_path / "in" / name / lesson)
    file = tmp_path / "in" / "begun" / lesson / "manage.py"
    text = file.read_text("utf-8")
    file.write_text(text.replace("# TODO 1.6", "# 1.6", 1), "utf-8")
    grade(tmp_path / "in")
    with (tmp_path / "in.graded" / "grades.csv").open(encoding="utf-8-sig", newline="") as opened:
        states = {row["submission"]: row for row in csv.DictReader(opened)}
    assert states["begun"]["1.6"] == FAILED
    assert states["begun"]["1.earlier"] == NOT_ATTEMPTED
    assert float(states["begun"]["points"]) == 0
    assert states["done"]["1.earlier"] == PASSED


def test_stopped_it_goes_on_where_it_was(tmp_path: Path) -> None:
    """Ctrl-C in the middle: what was graded is kept, nothing runs on, and the rest follows."""
    handed_in = tmp_path / "in"
    for n in range(12):
        _lesson(handed_in / f"student {n}", SOLUTION)
    endless = _lesson(handed_in / "student 5", "while True: pass")  # not done before Ctrl-C
    command = [sys.executable, "-m", "course", "grade", str(handed_in)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    kept = tmp_path / "in.graded" / "kept"
    until(lambda: len(list(kept.glob("*.json"))) >= 2, seconds=60)
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=30) == 130
    assert b"Traceback" not in process.communicate()[1]
    before = {path: path.stat().st_mtime_ns for path in kept.glob("*.json")}
    assert 2 <= len(before) < 12
    _lesson(endless, SOLUTION)
    done = grade(handed_in)
    assert "12 submissions: 12 graded" in done.stdout
    assert len(list(kept.glob("*.json"))) == 12
    assert {path: path.stat().st_mtime_ns for path in before} == before


HIDES = {
    "attributes": {".gitattributes": "*.py working-tree-encoding=UTF-16LE -diff ident\n"},
    "an earlier file": {".a.txt": "long\n" * 60_000},
    "many files": {f".a{n}.txt": "long\n" * 8_000 for n in range(20)},
    "a line that is replaced": {".gitattributes": "* ident\n"},
}


@pytest.mark.parametrize("how", HIDES)
def test_the_diff_shows_what_was_changed_whatever_stands_beside(how: str, course: Course) -> None:
    """Whoever reads the report must see what ran."""
    starter = take(course.lesson(0).starter)
    text = (starter.text("app.py") or "") + 'x = "$Id: "; HIDDEN = 1  # $"\n'
    others = {name: data.encode() for name, data in HIDES[how].items()}
    copy = Snapshot(starter.files | others | {"app.py": text.encode()})
    shown = grading._shown(diffs.changes(starter, copy), starter)
    assert '+x = "$Id: "; HIDDEN = 1  # $"' in shown
    assert len(shown) < grading.DIFF_LIMIT + 1000
    assert ("are not shown" in shown) == (how == "many files")
    assert ("characters more" in shown) == (how == "an earlier file")


LATE_ONCE = """
import os, time
try:
    os.close(os.open("/tmp/begun", os.O_CREAT | os.O_EXCL))
except FileExistsError:
    pass
else:
    time.sleep(60)
"""


@pytest.mark.parametrize(("number", "file"), [(0, "app.py"), (3, "manage.py")])
def test_who_is_late_once_has_the_mark(
    number: int, file: str, isolated: None, course: Course
) -> None:
    """The machine may have been busy: with the app, or with what prepares the copy."""
    lesson = course.lesson(number)
    copy = take(lesson.solution)
    slow = Snapshot(copy.files | {file: LATE_ONCE.encode() + copy.files[file]})
    with ForkServers(sandboxed=True) as servers:
        tasks = checker.Checker(course, servers).check_copy(lesson, slow)
    assert {task.id: task.message for task in tasks if task.state != PASSED} == {}


@pytest.mark.parametrize("seconds", [1.0, 1000.0], ids=["killed", "ended"])
def test_what_is_found_before_the_end_counts(
    seconds: float, course: Course, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The checks of earlier lessons may take long; those of the lesson itself are done by then."""
    monkeypatch.setattr(grading, "STEP_SECONDS", seconds)
    rules, lesson = Rules(), course.lesson(1)
    own = [Verdict(task.id, task.title, PASSED, "", 0) for task in lesson.tasks]

    def tell_some(tell: Tell) -> None:
        tell({"due": [1, 2]})
        tell({"lesson": asdict(grading.LessonGrade(1, own, "a diff"))})
        if seconds == 1.0:
            time.sleep(60)
        os._exit(7)

    for grade in _grades(course, tmp_path, tell_some):
        first, second = grade.lessons
        state = TIMED_OUT if seconds == 1.0 else CRASHED
        assert first.tasks[:-1] == own
        assert first.diff == "a diff"
        assert [task.id for task in first.tasks] == [id_ for id_, _ in rules.tasks(course, lesson)]
        assert first.tasks[-1].state == state
        assert {task.state for task in second.tasks} == {state}


@pytest.mark.parametrize(
    "path",
    [
        "checks/test_03_sqlalchemy.py",
        "course/site.py",
        "lessons/course.toml",
        "lessons/03_sqlalchemy/manage.py",
        "requirements.txt",
        "constraints.txt",
    ],
)
def test_what_a_verdict_depends_on_has_each_submission_graded_again(
    path: str, course: Course, tmp_path: Path
) -> None:
    for name in ("checks", "course", "lessons"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(course.root / name, tmp_path / name, ignore=ignored)
    for name in ("requirements.txt", "constraints.txt"):
        shutil.copy(course.root / name, tmp_path)
    here = replace(course, root=tmp_path)
    before = grading._release(here, Rules(), True)
    assert grading._release(here, Rules(), True) == before
    with (tmp_path / path).open("a") as file:
        file.write("\n# mended\n")
    assert grading._release(here, Rules(), True) != before


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells")
def test_what_reads_a_submission_is_bounded_and_ends_with_the_grader(
    course: Course, tmp_path: Path
) -> None:
    def tell_bounds(tell: Tell) -> None:
        dies_by = ctypes.c_int()
        ctypes.CDLL(None).prctl(2, ctypes.byref(dies_by))  # PR_GET_PDEATHSIG
        tell({"notes": [str(resource.getrlimit(resource.RLIMIT_AS)), str(dies_by.value)]})

    bounds = str((grading.MEMORY_LIMIT, grading.MEMORY_LIMIT))
    for found in _grades(course, tmp_path, tell_bounds):
        assert found.notes == [bounds, str(int(signal.SIGKILL))]


def test_the_checks_of_earlier_lessons_have_one_end(
    course: Course, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(grading, "EARLIER_SECONDS", 0)
    lesson = course.lesson(1)
    take(lesson.solution).write(tmp_path / "class" / "ada" / lesson.folder)
    grader = Grader(course, Rules(), tmp_path / "kept", sandboxed=False)
    (grade,) = grader.grade(find(tmp_path / "class", course))
    *own, earlier = grade.lessons[0].tasks
    assert {task.state for task in own} == {PASSED}
    assert earlier.state == TIMED_OUT
    assert "their end in time" in earlier.message


@pytest.mark.parametrize("path", ["App/static", "manage.py/x"])
def test_what_is_in_the_way_of_a_starter_costs_its_own_tasks_alone(
    path: str, course: Course, tmp_path: Path
) -> None:
    """Such as a file by the name of a folder, which an archive may have made of it."""
    lesson = course.lesson(2)
    copy = Snapshot({path: b"x"}).over(take(lesson.starter))
    assert copy.files[path] == b"x"
    copy.write(tmp_path / "copy")
    with ForkServers() as servers:
        tasks = checker.Checker(course, servers).check_copy(lesson, copy)
    assert not [task.message for task in tasks if "a mistake of ours" in task.message]


def test_a_diff_that_could_not_be_made_is_made_the_next_time(
    course: Course, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _lesson(tmp_path / "class" / "ada", SOLUTION)
    found = find(tmp_path / "class", course)
    grader = Grader(course, Rules(), tmp_path / "kept", sandboxed=False)
    with monkeypatch.context() as broken:
        broken.setenv("PATH", str(tmp_path))  # where no git is
        (first,) = grader.grade(found)
    (second,) = grader.grade(found)
    for grade, diff, key in ((first, "There is no diff", False), (second, "diff --git", True)):
        assert {task.state for task in grade.lessons[0].tasks} == {PASSED}
        assert grade.lessons[0].diff.startswith(diff)
        assert bool(grade.key) == key
        report = reports.Report(course, Rules(), [grade], "")
        assert report.unfinished == ([] if key else ["ada"])


def test_without_git_nothing_is_begun(tmp_path: Path) -> None:
    _lesson(tmp_path / "class" / "ada", SOLUTION)
    done = grade(tmp_path / "class", PATH=str(tmp_path))
    assert done.returncode == 2
    assert "git is needed for this, and it is not installed" in done.stderr
    assert not (tmp_path / "class.graded").exists()


def test_who_is_killed_from_elsewhere_is_not_late(course: Course, tmp_path: Path) -> None:
    """As by a system that is out of memory."""

    def die(tell: Tell) -> None:
        tell({"due": [0]})
        os.kill(os.getpid(), signal.SIGKILL)

    for found in _grades(course, tmp_path, die):
        assert {task.state for task in found.lessons[0].tasks} == {CRASHED}
        assert "What checks it has ended (signal 9)" in found.lessons[0].tasks[0].message
        assert reports.Report(course, Rules(), [found], "").unfinished == [found.name]


def test_what_could_not_be_checked_is_graded_again(
    course: Course, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that is full, for one, is no fault of whoever was graded meanwhile."""
    _lesson(tmp_path / "class" / "ada", "x = 1")
    found = find(tmp_path / "class", course)
    grader = Grader(course, Rules(), tmp_path / "kept", sandboxed=False)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr(grading.Checker, "check_copy", full)
        (grade,) = grader.grade(found)
    assert {task.state for task in grade.lessons[0].tasks} == {CRASHED}
    assert "No space left" in grade.lessons[0].tasks[0].message
    (grade,) = grader.grade(found)
    assert "No space left" not in grade.lessons[0].tasks[0].message
    (again,) = grader.grade(found)
    assert (again.key, again.seconds) == (grade.key, grade.seconds) != ("", 0)


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system pins nothing")
def test_each_submission_has_its_core(course: Course, tmp_path: Path) -> None:
    def tell_cores(tell: Tell) -> None:
        tell({"notes": [str(sorted(os.sched_getaffinity(0)))], "key": "k"})

    cores = [str([core]) for core in sorted(os.sched_getaffinity(0))]
    grades = _grades(course, tmp_path, tell_cores)
    assert {grade.notes[0] for grade in grades} == set(cores[:2])
    grader = GraderOf(course, Rules(), tmp_path / "kept", sandboxed=False)
    grader.how = tell_cores
    (alone,) = grader.grade((Submission("cyd", tmp_path),))
    assert alone.notes == [str(sorted(os.sched_getaffinity(0)))]
