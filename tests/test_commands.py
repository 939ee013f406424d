"""The commands, as a student gives them, in a copy of the course of their own."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import pty
import re
import shlex
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.request import urlopen

import pytest
from conftest import until

from course import console, diffs
from course.catalog import Course, load
from course.cli import main
from course.errors import CourseError
from course.serving import listens, serve
from course.site import free_port
from course.snapshot import Snapshot, take

MAIN = "from course.cli import main; main()"
TASKS = [task.id for task in load().lesson(1).tasks]
NUMBERS = [lesson.number for lesson in load().lessons]
PREPARE = "python manage.py create_db"
CREATE_DB = """
import sys
if sys.argv[1:] == ["create_db"]:
    import os, pathlib, sqlite3
    assert "DATABASE_URL" not in os.environ
    pathlib.Path("instance").mkdir()
    sqlite3.connect("instance/todo.db").execute("create table todo (id)")
    raise SystemExit
"""


@pytest.fixture
def home(pristine: Path, tmp_path: Path) -> Path:
    """The course, in a folder with a space and Chinese characters."""
    folder = tmp_path / "my 课程"
    shutil.copytree(pristine, folder)
    return folder


def command(*args: str, make: bool = False) -> tuple[list[str], dict[str, str]]:
    env = os.environ | ({"MAKELEVEL": "1"} if make else {})
    return [sys.executable, "-c", MAIN, *args], env


def run(home: Path, *args: str, code: int = 0, make: bool = False) -> str:
    """Run a command, expect its exit code and no traceback, and return what it prints."""
    argv, env = command(*args, make=make)
    done = subprocess.run(argv, cwd=home, env=env, capture_output=True, text=True, timeout=60)
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout if code in (0, 1) else done.stderr


def unwrapped(text: str) -> str:
    """Return a text with each run of spaces and line ends made one space."""
    return " ".join(text.split())


@contextmanager
def serving(home: Path, *args: str, port: int) -> Iterator[subprocess.Popen[str]]:
    """Run a command that serves, until the end of the block; then Ctrl-C it."""
    argv, env = command(*args, "--port", str(port))
    log = (home.parent / "serving.log").open("w+")
    process = subprocess.Popen(
        argv, cwd=home, env=env, stdout=log, stderr=subprocess.STDOUT, text=True,
        start_new_session=True,
    )  # fmt: skip
    try:
        yield process
    finally:
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to all in the foreground
        try:
            process.wait(timeout=10)
        finally:
            os.killpg(process.pid, signal.SIGKILL) if process.returncode is None else None
            log.close()


def said(home: Path) -> str:
    return (home.parent / "serving.log").read_text("utf-8")


def get(port: int, path: str = "/") -> str:
    """Return a page, once something answers."""
    return until(lambda: urlopen(f"http://127.0.0.1:{port}{path}").read().decode())


def finish(home: Path, number: int, *paths: str) -> None:
    """Put the solution's files into the student's copy: these, or all."""
    lesson = load(home).lesson(number)
    for path in paths or [p.name for p in lesson.solution.iterdir()]:
        source = lesson.solution / path
        if source.is_dir():
            shutil.copytree(source, lesson.work / path, dirs_exist_ok=True)
        else:
            shutil.copy(source, lesson.work / path)


@pytest.fixture
def begun(home: Path) -> Path:
    """The course with lessons 0 and 1 begun, and nothing done in them."""
    for number in (0, 1):
        lesson = load(home).lesson(number)
        shutil.copytree(lesson.starter, lesson.work)
    return home


@pytest.fixture
def with_database(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The course, with a database that lesson 1's manage.py can make, and lesson 2's cannot."""
    course = home / "lessons" / "course.toml"
    text = course.read_text()
    folder = 'folder = "01_script"\n'
    course.write_text(text.replace(folder, f'{folder}prepare = "{PREPARE}"\n'))
    for copy in (load(home).lesson(1).starter, load(home).lesson(1).solution):
        manage = copy / "manage.py"
        manage.write_text(CREATE_DB + manage.read_text())
    monkeypatch.setenv("DATABASE_URL", "sqlite:///elsewhere.db")  # the student's, to be left alone
    return home


def tables(copy: Path) -> list[str]:
    with contextlib.closing(sqlite3.connect(copy / "instance" / "todo.db")) as database:
        return [name for (name,) in database.execute("select name from sqlite_master")]


# lesson


def test_lesson_makes_a_copy_and_serves_it(home: Path) -> None:
    port = free_port()
    with serving(home, "lesson", "1", port=port) as process:
        assert "It runs" in get(port)
        made = home / "work" / "01_script"
        assert take(made) == take(load(home).lesson(1).starter)
    text = said(home)
    assert process.returncode == 0
    assert "Traceback" not in text
    assert text.rstrip().endswith("Stopped.")
    welcome = text.partition(" * Serving")[0].splitlines()
    assert len(welcome) <= 8
    for part in ("work/01_script/manage.py", "1.1 A Manager", "docs/01_script.md#task-11"):
        assert part in "\n".join(welcome)
    assert "lesson 0's way serves" in welcome[-1]
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0


def test_lesson_ends_with_its_terminal(begun: Path) -> None:
    """Of a window that was opened for the command alone, make hears that it is closed, and waits.

    Here that is a shell, which does not even hear it.
    """
    port = free_port()
    argv, env = command("lesson", "1", "--port", str(port))
    pid, terminal = pty.fork()
    if pid == 0:
        try:
            os.chdir(begun)
            os.execvpe("sh", ["sh", "-c", f"trap '' HUP; {shlex.join(argv)}; :"], env)
        finally:
            os._exit(1)
    try:
        assert "Hello" in until(lambda: get(port, "/hello/Ann"))
        os.close(terminal)
        until(lambda: not listens(port))
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def test_lesson_serves_what_the_student_wrote(begun: Path) -> None:
    finish(begun, 1)
    manage = begun / "work" / "01_script" / "manage.py"
    manage.write_text(manage.read_text() + "\n# mine\n")
    port = free_port()
    with serving(begun, "lesson", "1", port=port):
        get(port)
        app = manage.with_name("app.py")
        app.write_text(app.read_text().replace("It runs.", "It reloads."))
        until(lambda: "It reloads." in get(port))
    assert manage.read_text().endswith("# mine\n")
    assert "way serves" not in said(begun)


def test_lesson_starts_again_after_a_mistake(begun: Path) -> None:
    finish(begun, 1)
    app = begun / "work" / "01_script" / "app.py"
    right = app.read_text()
    app.write_text(right + "def (\n")
    port = free_port()
    with serving(begun, "lesson", "1", port=port) as process:
        until(lambda: "starts again when you save" in said(begun))
        assert "SyntaxError" in said(begun)
        app.write_text(right)
        assert "It runs" in get(port)
    assert process.returncode == 0


def test_a_new_copy_has_its_database_and_keeps_it(with_database: Path) -> None:
    port = free_port()
    copy = load(with_database).lesson(1).work
    with serving(with_database, "lesson", "1", port=port):
        get(port)
    assert said(with_database).splitlines()[0] == f"The database was made with: {PREPARE}"
    assert tables(copy) == ["todo"]
    with sqlite3.connect(copy / "instance" / "todo.db") as database:
        database.execute("create table mine (id)")
    with serving(with_database, "lesson", "1", port=port):
        get(port)
    assert "database" not in said(with_database)
    assert tables(copy) == ["todo", "mine"]
    run(with_database, "check", "1", code=1)
    assert "instance" not in run(with_database, "diff", "1")
    text = run(with_database, "reset", "1")
    assert text.splitlines()[0] == f"The database was made with: {PREPARE}"
    assert tables(copy) == ["todo"]
    [kept] = copy.parent.glob("01_script.*")
    assert tables(kept) == ["todo", "mine"]


def test_a_new_copy_that_nothing_can_prepare(with_database: Path) -> None:
    port = free_port()
    with serving(with_database, "lesson", "2", port=port):
        get(port)
    assert "database" not in said(with_database)
    assert not (with_database / "work" / "02_blueprint" / "instance").exists()


def test_a_database_that_changes_is_no_save(begun: Path) -> None:
    finish(begun, 1)
    app = begun / "work" / "01_script" / "app.py"
    app.write_text(
        "import pathlib, time\n"
        "pathlib.Path('instance').mkdir(exist_ok=True)\n"
        "for name in ('instance/todo.db', 'other.sqlite3', f'static/{time.time()}.db'):\n"
        "    pathlib.Path(name).write_text(str(time.time()))\n"
        "print('begun')\n"
        "nonsense\n"
    )
    with serving(begun, "lesson", "1", port=free_port()):
        until(lambda: "starts again when you save" in said(begun))
        time.sleep(0.5)
        assert said(begun).count("begun") == 1
        (app.parent / "notes.txt").write_text("saved")
        until(lambda: said(begun).count("begun") == 2)


def test_lesson_0_moves_to_another_port(home: Path) -> None:
    port = free_port()
    with serving(home, "lesson", "0", port=port):
        assert "It runs" in get(port)


def test_port_in_use(home: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        text = run(home, "lesson", "1", "--port", str(port), code=2)
    assert text.startswith(f"Port {port} is in use")
    assert f"or: python -m course lesson 1 --port {port + 1}" in text
    assert not (home / "work").exists()


@pytest.mark.parametrize(
    "args", [("lesson", "99"), ("check", "99"), ("hint", "99"), ("step", "99")]
)
def test_lesson_that_does_not_exist(home: Path, args: tuple[str, ...]) -> None:
    numbers = ", ".join(map(str, NUMBERS))
    assert run(home, *args, code=2).strip() == f"There is no lesson 99. The lessons are {numbers}."


@pytest.mark.parametrize("number", ["x", "1.2", "01_script", "9" * 5000])
def test_what_is_no_number_of_a_lesson(home: Path, number: str) -> None:
    numbers = ", ".join(map(str, NUMBERS))
    said = f"'{number}' is no lesson's number. The lessons are {numbers}.\n"
    assert run(home, "check", number, code=2) == said


@pytest.mark.parametrize("port", ["0", "65536", "http"])
def test_port_that_is_none(home: Path, port: str) -> None:
    assert "--port" in run(home, "lesson", "1", "--port", port, code=2)


@pytest.mark.parametrize("name", ["check", "hint", "diff", "reset"])
def test_copy_that_is_not_there(home: Path, name: str) -> None:
    text = run(home, name, "1", code=2)
    assert text.startswith("You have no copy of lesson 1 yet.")


def test_a_copy_that_is_gone_is_not_served(course: Course, tmp_path: Path) -> None:
    """It may go while its server runs: when that ends, it is not started again in no folder."""
    kept = signal.getsignal(signal.SIGTERM)
    try:
        with pytest.raises(CourseError, match="gone is gone"):
            serve(course, course.lesson(1), tmp_path / "gone", 5000, print)
    finally:
        signal.signal(signal.SIGTERM, kept)


def test_solution_is_served_from_a_copy(begun: Path) -> None:
    port = free_port()
    before = sorted(str(path) for path in begun.rglob("*") if "__pycache__" not in str(path))
    with serving(begun, "solution", "2", port=port):
        assert "Todo list" in get(port)
    after = sorted(str(path) for path in begun.rglob("*") if "__pycache__" not in str(path))
    assert after == before
    assert "solutions/02_blueprint" in said(begun)


def test_solution_has_a_database_of_its_own(with_database: Path) -> None:
    solution = load(with_database).lesson(1).solution
    before = sorted(solution.rglob("*"))
    port = free_port()
    with serving(with_database, "solution", "1", port=port):
        get(port)
    assert f"The database was made with: {PREPARE}" in said(with_database)
    assert sorted(solution.rglob("*")) == before


# check


def test_check_of_the_starter(begun: Path) -> None:
    text = run(begun, "check", "1", code=1, make=True)
    assert "0 of 6 tasks pass." in text
    assert text.count("expected") == 1  # what is first to be done, and no more
    assert "Next: 1.1. Read docs/01_script.md#task-11, or make hint-1." in text


def test_check_says_what_an_earlier_merge_has_left(begun: Path) -> None:
    """In a template, to the checks, it is a text like any other."""
    finish(begun, 1)
    (begun / "work" / "01_script" / "notes.txt").write_text(
        "<<<<<<< yours\n=======\n>>>>>>> ours\n"
    )
    argv, env = command("check", "1")
    done = subprocess.run(argv, cwd=begun, env=env, capture_output=True, text=True)
    assert done.returncode == 0
    assert "work/01_script/notes.txt, line 1, still has both sides of an earlier" in done.stderr


def test_check_of_the_finished_lesson(begun: Path) -> None:
    finish(begun, 1)
    text = unwrapped(run(begun, "check", "1"))
    assert "6 of 6 tasks pass." in text
    course = load()
    assert course.lesson(1).taught in text
    assert course.lesson(2).pain in text
    assert "python -m course lesson 2" in text


def test_after_the_last_lesson_a_page_goes_on(capsys: pytest.CaptureFixture[str]) -> None:
    course = load()
    console.finished(course, course.lessons[-1])
    page = re.search(r"Go on with (\S+\.md)\.", unwrapped(capsys.readouterr().out))
    assert page
    assert (course.root / page[1]).is_file()


def test_check_writes_json(begun: Path, tmp_path: Path) -> None:
    report = tmp_path / "报告.json"
    folder = begun / "work" / "01_script"
    run(begun, "check", "1", "--path", str(folder), "--json", str(report), code=1)
    found = json.loads(report.read_text("utf-8"))
    assert list(found) == ["lesson", "tasks", "passed", "total"]
    assert (found["lesson"], found["passed"], found["total"]) == (1, 0, 6)
    assert [task["id"] for task in found["tasks"]] == TASKS
    for task in found["tasks"]:
        assert list(task) == ["id", "title", "state", "message", "seconds"]
        assert task["state"] == "not attempted"
        assert "expected" in task["message"]
        assert 0 < task["seconds"] < 60
    solution = begun / "solutions" / "01_script"
    run(begun, "check", "1", "--path", str(solution), "--json", str(report))
    found = json.loads(report.read_text("utf-8"))
    assert found["passed"] == found["total"] == 6
    assert {task["message"] for task in found["tasks"]} == {""}


def test_check_that_cannot_run(begun: Path, tmp_path: Path) -> None:
    assert "There is no folder" in run(begun, "check", "1", "--path", "/no/such", code=2)
    text = run(begun, "check", "1", "--json", str(tmp_path / "no" / "such.json"), code=2)
    assert "cannot be written: No such file or directory" in text
    big = tmp_path / "big"
    big.mkdir()
    (big / "app.py").touch()
    with (big / "data").open("wb") as file:
        file.truncate(100 << 20)
    assert "more than 32 MiB" in run(begun, "check", "1", "--path", str(big), code=2)
    (begun / "checks" / "test_01_script.py").write_text("import nothing_at_all\n")
    assert "nothing_at_all" in run(begun, "check", "1", code=2)


def test_check_of_all_lessons_begun(begun: Path) -> None:
    finish(begun, 0)
    finish(begun, 1)
    app = begun / "work" / "01_script" / "app.py"
    assert "The 6 tasks of the earlier lessons still pass here." in run(begun, "check")
    app.write_text(app.read_text().replace("Hello, {escape(name)}!", "Hello, {name}!"))
    text = run(begun, "check", code=1)
    assert "6 of 6 tasks pass." in text
    assert "✗ 0.2 A variable in the path  (failed)" in text
    after = text.partition("✗ 0.2")[2]
    assert "Hint:" not in after  # hint-0 is for lesson 0's copy, where all passes
    assert "then python -m course check. The first: docs/00_request.md#task-02" in after
    app.write_text(app.read_text() + "1 / 0\n")
    after = run(begun, "check", code=1, make=True).partition("✗ 0.1")[2]
    assert "make check-0" not in after
    assert "Mend that in this copy, then make check. The first: docs/00_request.md#task-01" in after


def test_a_finished_lesson_says_how_to_try_those_before(begun: Path) -> None:
    finish(begun, 1)
    assert "python -m course check tries the tasks of lesson 0 in it too." in unwrapped(
        run(begun, "check", "1")
    )


def test_check_before_any_lesson(home: Path) -> None:
    assert "You have not begun a lesson yet." in run(home, "check", code=2)


# hint, progress


def test_hints_come_one_by_one(begun: Path) -> None:
    task = load().lesson(1).tasks[0]
    first = unwrapped(run(begun, "hint", "1"))
    assert task.hints[0] in first
    assert task.hints[1] not in first
    second = unwrapped(run(begun, "hint", "1"))
    assert all(hint in second for hint in task.hints)
    assert unwrapped(run(begun, "hint", "1")) == second
    finish(begun, 1)
    assert "Every task of lesson 1 passes." in run(begun, "hint", "1")


def test_no_hint_for_a_task_that_cannot_be_checked(begun: Path) -> None:
    app = begun / "work" / "00_request" / "app.py"
    app.write_text(app.read_text() + "def (\n")
    text = run(begun, "check", "0", code=1)
    assert text.endswith("Next: mend that, then python -m course check 0.\n")
    text = run(begun, "hint", "0")
    assert "SyntaxError" in text
    assert load().lesson(0).tasks[0].hints[0] not in text


def test_an_error_in_a_view_is_what_to_mend_next(begun: Path) -> None:
    finish(begun, 0)
    app = begun / "work" / "00_request" / "app.py"
    app.write_text(app.read_text().replace("Hello, {escape(name)}", "Hello, {escape(nobody)}"))
    text = run(begun, "check", "0", code=1)
    assert "NameError" in text
    assert text.endswith("Next: mend that, then python -m course check 0.\n")


def test_what_fails_before_all_checks_is_to_be_mended_first(begun: Path) -> None:
    """Every task has the same message then, so none of them is the one to read about."""
    lesson = load(begun).lesson(4)
    shutil.copytree(lesson.solution, lesson.work)
    migration = lesson.work / "migrations" / "versions" / "0002_priority.py"
    name = '.create_check_constraint("ck_todo_priority", '
    broken = migration.read_text().replace(f"todo{name}", f'op{name}"todo", ')
    migration.write_text(broken)
    text = run(begun, "check", "4", code=1)
    assert "(migrations/versions/0002_priority.py, line " in unwrapped(text)
    assert text.endswith("Next: mend that, then python -m course check 4.\n")


def test_progress(begun: Path) -> None:
    finish(begun, 0)
    rows = run(begun, "progress").splitlines()
    assert [row[0] for row in rows] == [str(number) for number in NUMBERS]
    assert rows[0].count("✓") == 6
    assert rows[0].endswith("6 of 6")
    assert rows[1].endswith("0 of 6")
    assert all(row.endswith("not begun") for row in rows[2:])
    app = begun / "work" / "00_request" / "app.py"
    app.write_text(app.read_text().replace("Hello, {escape(name)}!", "Hi!"))
    assert run(begun, "progress").splitlines()[0].endswith("5 of 6")


@pytest.mark.parametrize("text", ["", "{", "[]", '{"verdicts": [], "hints": {}}', "\x00"])
def test_broken_memory_begins_afresh(begun: Path, text: str) -> None:
    (begun / "work" / ".progress.json").write_text(text)
    assert run(begun, "progress").splitlines()[1].endswith("0 of 6")
    json.loads((begun / "work" / ".progress.json").read_text())


@pytest.mark.parametrize(
    "entry", [{"of": 1, "tasks": 5}, {"tasks": [{"id": 1}]}, 7, {"of": "", "tasks": [None]}]
)
def test_broken_verdicts_begin_afresh(begun: Path, entry: object) -> None:
    memory = {"verdicts": {"01_script": entry}, "hints": {"1.1": "x"}}
    (begun / "work" / ".progress.json").write_text(json.dumps(memory))
    assert "Hint 1 of 2" in run(begun, "hint", "1")


def test_verdicts_that_lack_a_task_are_asked_for_again(begun: Path) -> None:
    run(begun, "check", "1", code=1)
    memory = begun / "work" / ".progress.json"
    data = json.loads(memory.read_text())
    del data["verdicts"]["01_script"]["tasks"][0]
    memory.write_text(json.dumps(data))
    assert "Hint 1 of 2" in run(begun, "hint", "1")


# diff, step, reset


def apply(patch: str, folder: Path) -> None:
    # Every path begins with the name of a side: -p1 takes it away.
    subprocess.run(["git", "apply", "-p1", "-"], cwd=folder, input=patch, text=True, check=True)


def same(one: Path, other: Path) -> bool:
    paths = [{p.relative_to(top) for p in top.rglob("*") if p.is_file()} for top in (one, other)]
    return paths[0] == paths[1] and all(
        (one / path).read_bytes() == (other / path).read_bytes() for path in paths[0]
    )


def test_diff_is_a_patch_that_gives_the_solution(begun: Path) -> None:
    text = run(begun, "diff", "1")
    assert "\x1b" not in text
    apply(text, begun / "work" / "01_script")
    assert same(begun / "work" / "01_script", begun / "solutions" / "01_script")
    assert run(begun, "diff", "1").strip() == "There is no difference."


def test_diff_marks_what_the_student_changed(begun: Path) -> None:
    app = begun / "work" / "01_script" / "app.py"
    heads = [line for line in run(begun, "diff", "1").splitlines() if line.startswith("@@")]
    assert heads
    assert all(head.endswith("(as in the starter)") for head in heads)
    app.write_text(app.read_text().replace("Hello, {escape(name)}!", "Hi, {escape(name)}!"))
    (app.parent / "notes.txt").write_text("mine\n")
    text = run(begun, "diff", "1")
    changed = [
        part for part in re.split(r"^(?=@@)", text, flags=re.M) if "(changed by you)" in part
    ]
    assert len(changed) == 2
    assert '-    return page("Hello", f"<p>Hi, {escape(name)}!</p>")' in changed[0]
    assert "-mine" in changed[1]


def test_someone_elses_copy_is_found_as_handed_in(begun: Path, tmp_path: Path) -> None:
    """A folder with a student's work/ in it will do, and so will the archive that came."""
    shutil.copytree(begun / "solutions" / "01_script", tmp_path / "ada" / "work" / "01_script")
    archive = shutil.make_archive(str(tmp_path / "ada"), "zip", tmp_path / "ada")
    for handed_in in (str(tmp_path / "ada"), archive):
        assert run(begun, "diff", "1", "--in", handed_in) == "There is no difference.\n"
        assert "6 of 6" in run(begun, "check", "1", "--path", handed_in)
        assert "holds no 02_blueprint." in run(begun, "diff", "2", "--in", handed_in, code=2)
    (tmp_path / "empty").mkdir()
    said = run(begun, "check", "1", "--path", str(tmp_path / "empty"), code=2)
    assert "empty: It is empty." in said


def test_diff_of_someone_else(begun: Path, tmp_path: Path) -> None:
    other = tmp_path / "someone else's"
    shutil.copytree(begun / "solutions" / "01_script", other)
    (other / "manage.py").write_text("print('mine')\n")
    text = run(begun, "diff", "1", "--in", str(other))
    assert "-print('mine')" in text
    assert "app.py" not in text
    assert "There is no folder" in run(begun, "diff", "1", "--in", "/no/such", code=2)


@pytest.mark.parametrize("name", ["diff", "step"])
def test_stat(begun: Path, name: str) -> None:
    text = run(begun, name, "1", "--stat")
    assert re.search(r"^ manage\.py +\| +\d+ \+", text, re.M)
    assert "@@" not in text


@pytest.mark.parametrize("number", NUMBERS)
def test_step_is_a_patch_from_solution_to_solution(home: Path, tmp_path: Path, number: int) -> None:
    course = load(home)
    before = course.lesson(number - 1).solution if number else course.lesson(0).starter
    shutil.copytree(before, tmp_path / "copy")
    apply(run(home, "step", str(number)), tmp_path / "copy")
    assert same(tmp_path / "copy", course.lesson(number).solution)


@pytest.mark.parametrize("name", ['say "hi".py', "say hi.py", "back\\slash.py", "ta\tb.py", "é.py"])
@pytest.mark.parametrize("colour", [False, True])
def test_diff_marks_a_file_of_any_name(course: Course, name: str, colour: bool) -> None:
    lesson = course.lesson(1)
    copy = Snapshot(take(lesson.starter).files | {name: b'print("mine")\n'})
    text = diffs.yours(lesson, copy, colour=colour)
    heads = [line for line in text.split("\n") if re.search("@@ -1 [+]0,0 @@", line)]
    assert [head.endswith("(changed by you)") for head in heads] == [True]


def test_diff_of_a_form_feed_is_a_patch(begun: Path) -> None:
    work = begun / "work" / "01_script"
    with (work / "app.py").open("a") as file:
        file.write("# mine\n\x0c\n# m\x1core\u2028\n")
    apply(run(begun, "diff", "1"), work)
    assert same(work, begun / "solutions" / "01_script")


def test_diff_takes_no_template_of_the_machine(
    course: Course, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may have hooks, which git would run."""
    tree, found = diffs._tree, set()

    def looking(repository: Path, *args: object) -> str:
        found.update(path.name for path in repository.iterdir())
        return tree(repository, *args)

    monkeypatch.setattr(diffs, "_tree", looking)
    assert diffs.step(course, course.lesson(1))
    assert "objects" in found
    assert "hooks" not in found


def test_diff_in_colour_at_a_terminal(begun: Path) -> None:
    lesson = load(begun).lesson(1)
    text = diffs.yours(lesson, take(lesson.work), colour=True)
    assert "\x1b[32m" in text
    assert re.search(r"@@.*\(as in the starter\)", text)


@pytest.mark.parametrize(
    "args", [("diff", "1", "--in"), ("check", "1", "--path"), ("lesson", "2", "--from")]
)
def test_a_name_that_the_system_refuses(begun: Path, args: tuple[str, ...]) -> None:
    name = 300 * "a"
    assert name in run(begun, *args, name, code=2)


def test_a_folder_that_is_forbidden(
    begun: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is forbidden here, and not to others, for to root nothing is."""

    def forbid(path: object, *_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", forbid)
        with pytest.raises(CourseError, match=r"work cannot be read: Permission denied\."):
            take(begun / "work")
    monkeypatch.setattr(Path, "exists", forbid)
    with pytest.raises(SystemExit) as ended:
        main(["diff", "1", "--in", "/forbidden"])
    assert ended.value.code == 2
    assert capsys.readouterr().err == "/forbidden cannot be used: Permission denied.\n"


def shell(home: Path, line: str) -> subprocess.CompletedProcess[str]:
    argv, env = command()
    line = line.format(shlex.join(argv))
    return subprocess.run(
        line, shell=True, cwd=home, env=env, capture_output=True, text=True, timeout=60
    )


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no device is full here")
def test_output_that_nothing_takes(begun: Path) -> None:
    done = shell(begun, "{} diff 1 >/dev/full")
    assert (done.returncode, done.stderr) == (2, "This cannot go on: No space left on device.\n")


@pytest.mark.parametrize("name", ["diff", "step", "check"])
def test_output_that_is_closed(begun: Path, name: str) -> None:
    done = shell(begun, f"{{}} {name} 1 >&-")
    assert (done.returncode, done.stderr) == (int(name == "check"), "")


def test_errors_that_are_closed(begun: Path) -> None:
    assert shell(begun, "{} diff 99 2>&-").returncode == 2


def test_output_of_which_enough_is_read(begun: Path) -> None:
    """As `head` does: that is no mistake of anyone's."""
    argv, env = command("diff", "1")
    read, write = os.pipe()
    os.close(read)
    with open(write, "wb") as output:
        done = subprocess.run(
            argv, cwd=begun, env=env, stdout=output, stderr=subprocess.PIPE, timeout=60
        )
    assert done.stderr == b""


def test_diff_without_git(begun: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert run(begun, "diff", "1", code=2).strip() == (
        "git is needed for this, and it is not installed."
    )


def test_nobodys_git_configuration_matters(
    begun: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = run(begun, "diff", "1")
    (tmp_path / ".gitconfig").write_text(
        "[diff]\n external = /bin/false\n noprefix = true\n[color]\n ui = always\n"
    )
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("GIT_EXTERNAL_DIFF", "/bin/false")
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "someone's"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(tmp_path / "index"))
    assert run(begun, "diff", "1") == before
    assert not (tmp_path / "someone's").exists()
    assert not (tmp_path / "index").exists()


def test_diff_marks_a_file_that_the_student_deleted(begun: Path) -> None:
    (begun / "work" / "01_script" / "legacy.py").unlink()
    parts = run(begun, "diff", "1").split("diff --git ")
    deleted = next(part for part in parts if "+++ solution/legacy.py" in part)
    assert "(changed by you)" in deleted


def test_reset_keeps_the_copy_and_says_how_to_get_it_back(begun: Path) -> None:
    work = begun / "work" / "01_script"
    (work / "mine.txt").write_text("mine")
    run(begun, "hint", "1")
    text = run(begun, "reset", "1")
    assert "Hint 1 of 2" in run(begun, "hint", "1").splitlines()[1]
    assert "Hint 2 of 2" in run(begun, "hint", "1")
    assert take(work) == take(begun / "lessons" / "01_script")
    kept = [path for path in work.parent.iterdir() if path.name.startswith("01_script.")]
    assert len(kept) == 1
    assert re.fullmatch(r"01_script\.\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d", kept[0].name)
    assert (kept[0] / "mine.txt").read_text() == "mine"
    run(begun, "reset", "1")  # twice in one second keeps both
    assert len([p for p in work.parent.iterdir() if p.name.startswith("01_script.")]) == 2
    back = text.splitlines()[-1].strip()
    subprocess.run(back, shell=True, cwd=begun, check=True)
    assert (work / "mine.txt").read_text() == "mine"


def test_reset_that_cannot_write_changes_nothing(
    begun: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from course import copies
    from course.errors import CourseError

    lesson = load(begun).lesson(1)
    (lesson.work / "mine.txt").write_text("mine")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("course.snapshot.Snapshot.write", full)
    with pytest.raises(
        CourseError, match=r"No space left on device\. Nothing of yours was changed"
    ):
        copies.reset(lesson, lambda starter: starter)
    assert (lesson.work / "mine.txt").read_text() == "mine"
    assert sorted(path.name for path in lesson.work.parent.iterdir()) == ["00_request", "01_script"]


# For maintainers


def test_propagate_says_where_to_look(home: Path) -> None:
    git = ["git", "-c", "user.name=A", "-c", "user.email=a@example.org"]
    for args in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "Begin"]):
        subprocess.run([*git, *args], cwd=home, check=True)
    settled = home / "solutions" / "01_script" / "legacy.py"
    settled.write_text("# A mend.\n" + settled.read_text())
    text = run(home, "propagate", "1")
    assert "lessons/02_blueprint: lessons/02_blueprint/legacy.py" in text
    last = load(home).lessons[-1].solution
    assert (last / "legacy.py").read_text().startswith("# A mend.\n")
    subprocess.run([*git, "commit", "-qam", "A mend"], cwd=home, check=True)
    app = home / "solutions" / "01_script" / "app.py"
    app.write_text(app.read_text().replace("It runs.", "It works."))
    text = run(home, "propagate", "1", code=1)
    assert "look at solutions/02_blueprint/app.py" in text
    way_on = re.search(r"go on: python -m course (propagate 2 --since \w+)", text)
    assert way_on
    (home / "solutions" / "02_blueprint" / "app.py").unlink()  # which the lesson has no place for
    assert run(home, *way_on[1].split()) == "Nothing is left to carry on.\n"
    assert "Nothing has changed" in run(home, "propagate", "2", code=2)
    assert "is not a commit" in run(home, "propagate", "1", "--since", "nothing", code=2)


def test_help_names_every_command(home: Path) -> None:
    text = run(home, "--help")
    for name in (
        "lesson",
        "check",
        "check-tests",
        "watch",
        "hint",
        "diff",
        "step",
        "solution",
        "reset",
        "update",
        "rescue",
        "progress",
    ):
        assert re.search(rf"^  {name} +\w", text, re.M)
