"""Whatever is done to the student's copies, and wherever it is cut short, no work is lost."""

from __future__ import annotations

import errno
import fcntl
import os
import re
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import threading
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from conftest import NestedChecker, until
from test_commands import finish, get, run, said, serving

from course import copies, diffs, markers, release, snapshot, updates
from course.catalog import Course, Lesson, load
from course.errors import CourseError
from course.merging import Merge, Sides, merge
from course.progress import Progress
from course.site import free_port
from course.snapshot import STARTER, Snapshot, is_made, take
from course.verdicts import FAILED, NOT_ATTEMPTED, PASSED, Verdict

NUMBERS = [lesson.number for lesson in load().lessons]
GIT = ("git", "-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false")
SIDES = Sides("yours", "new starter")


def as_it_is(copy: Snapshot) -> Snapshot:
    """Prepare nothing."""
    return copy


def commit(root: Path) -> None:
    for args in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "A release"]):
        subprocess.run([*GIT, *args], cwd=root, check=True)


@pytest.fixture
def home(pristine: Path, tmp_path: Path) -> Path:
    """A clone of the course, in a folder with a space and Chinese characters."""
    folder = tmp_path / "my 课程"
    shutil.copytree(pristine, folder)
    commit(folder)
    return folder


@pytest.fixture
def here(home: Path) -> Course:
    return load(home)


@pytest.fixture
def lesson(here: Course) -> Lesson:
    """Lesson 1, which the student has begun: app.py is changed, and there is more than text."""
    lesson = here.lesson(1)
    copies.make(lesson, as_it_is)
    change(lesson.work / "app.py", "It runs.", "It runs for me.")
    (lesson.work / "notes.txt").write_text("mine\n")
    (lesson.work / "instance").mkdir()
    (lesson.work / "instance" / "todo.db").write_bytes(b"\0rows")
    (lesson.work / "link").symlink_to("app.py")
    (lesson.work / "manage.py").chmod(0o755)
    return lesson


def change(file: Path, old: str, new: str) -> None:
    text = file.read_text("utf-8")
    assert text.count(old) == 1
    file.write_text(text.replace(old, new), "utf-8")


def put_above(file: Path, line: str) -> None:
    file.write_text(f"{line}\n{file.read_text('utf-8')}", "utf-8")


def all_of(folder: Path) -> Snapshot:
    """Return all files of a folder but the one that says which starter it goes back to."""
    files = take(folder, made=True).files
    return Snapshot({path: data for path, data in files.items() if path != STARTER})


def kept(lesson: Lesson) -> list[Path]:
    return sorted(lesson.work.parent.glob(f"{lesson.folder}.[0-9]*"))


def by_mistake(lesson: Lesson) -> list[Path]:
    return sorted(lesson.work.parent.glob(f"{lesson.folder}.from-lessons.*"))


# Killed at any step.

STEPS = {"os.rename", "os.mkdir", "os.remove", "os.rmdir", "os.chmod", "os.utime", "os.symlink"}
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT


def killed_at(step: int, act: Callable[[], object]) -> bool:
    """Do `act` in a process that is killed before the file system does what is its n-th step.

    An opened file counts twice: it is there, and nothing is in it, at the second. Tell whether the
    process was killed; where it was not, it has done all.
    """
    pid = os.fork()
    if pid == 0:
        try:
            sys.addaudithook(_killer(step))
            act()
            os._exit(0)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
    _, status = os.waitpid(pid, 0)
    if os.WIFSIGNALED(status):
        assert os.WTERMSIG(status) == signal.SIGKILL
        return True
    assert os.WEXITSTATUS(status) == 0
    return False


def _killer(step: int) -> Callable[[str, tuple], None]:
    done = 0

    def hook(event: str, args: tuple) -> None:
        nonlocal done
        writes = event == "open" and not isinstance(args[0], int) and args[2] & WRITING
        if event not in STEPS and not writes:
            return
        done += 2 if writes else 1
        if writes and done == step:
            done = -10  # what follows is ours
            os.close(os.open(args[0], os.O_WRONLY | os.O_CREAT | os.O_TRUNC))
        elif done < step:
            return
        os.kill(os.getpid(), signal.SIGKILL)

    return hook


def prepared(copy: Snapshot) -> Snapshot:
    return Snapshot(copy.files | {"instance/todo.db": b"\0new"})


def newer_starter(course: Course) -> None:
    """Let a newer release of lesson 1's starter be checked out."""
    put_above(course.lesson(1).starter / "app.py", "# A newer line.")
    commit(course.root)


def carried_before(course: Course) -> None:
    """Let the copy of lesson 1 be as it was made, with work from lesson 0 in it."""
    lesson = course.lesson(1)
    copies.make(course.lesson(0), as_it_is)
    copies.remember(lesson, lesson.work, take(lesson.starter), take(lesson.work))


def written_by_mistake(course: Course) -> None:
    put_above(course.lesson(1).starter / "manage.py", "# By mistake.")
    (course.lesson(1).starter / "new.py").write_text("# New by mistake.\n")


ACTS: dict[str, tuple[Callable[[Course], object], Callable[[Course], object]]] = {
    "reset": (lambda _: None, lambda course: copies.reset(course.lesson(1), prepared)),
    "carry": (
        carried_before,
        lambda course: updates.carry(course, course.lesson(1), "0", prepared),
    ),
    "update": (newer_starter, lambda course: updates.update(course.lesson(1))),
    "rescue": (written_by_mistake, lambda course: updates.rescue(course.lesson(1), prepared)),
}


@pytest.fixture
def small(lesson: Lesson, tmp_path: Path) -> Path:
    """As much of the course as lesson 1's copy needs, for there will be many of it."""
    root = tmp_path / "small"
    for name in ("lessons/course.toml", "lessons/00_request", "lessons/01_script",
                 "solutions/00_request", "work"):  # fmt: skip
        source, target = lesson.root / name, root / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, symlinks=True)
        else:
            shutil.copy(source, target)
    commit(root)
    return root


@pytest.mark.parametrize("name", ACTS)
def test_killed_at_any_step(
    small: Path, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin, act = ACTS[name]
    begin(load(small))
    whole = tmp_path / "whole"
    shutil.copytree(small, whole, symlinks=True)
    old = all_of(load(whole).lesson(1).work)
    act(load(whole))
    new = all_of(load(whole).lesson(1).work)
    assert new != old
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    found = set()
    step = 1
    while True:
        root = tmp_path / f"killed-{step}"
        shutil.copytree(small, root, symlinks=True)
        course = load(root)
        if not killed_at(step, lambda course=course: act(course)):
            break
        found.add(state_after(course, old, new))
        shutil.rmtree(root)
        step += 1
    assert step > 20
    assert found == {"old", "new"}


def state_after(course: Course, old: Snapshot, new: Snapshot) -> str:
    """Expect that one of the two copies is there after a kill, that it is said, nothing lost."""
    lesson = course.lesson(1)
    left = any(path.name.startswith(".new-") for path in lesson.work.parent.iterdir())
    stood = lesson.work.is_dir() and all_of(lesson.work)
    written = release.edited(lesson)
    told = copies.settle(course)
    assert bool(told) == left
    now = all_of(lesson.work)
    assert now in (old, new)
    assert stood in (False, now)
    assert not list(lesson.work.parent.glob(".*"))
    assert copies.settle(course) == []
    saved = [all_of(folder) for folder in kept(lesson)]
    assert now == old or old in saved
    if "new.py" in new.files:
        assert written or now == new
    for folder in by_mistake(lesson):
        assert (folder / "new.py").read_text() == "# New by mistake.\n"
    if left and now == new:
        [sentence] = told
        assert kept(lesson)[-1].name in sentence
        back = re.search(r"To have it back: (.+)$", sentence)
        assert back
        subprocess.run(back[1], shell=True, cwd=course.root, check=True)
        assert all_of(lesson.work) == old
    elif left:
        assert "as it was" in told[0]
    if release.edited(lesson):  # what was cut short goes on
        updates.rescue(lesson, prepared)
        assert release.edited(lesson) == {}
        assert all_of(lesson.work) == new
    return "new" if now == new else "old"


def test_the_first_copy_is_whole_or_not_there(small: Path, tmp_path: Path) -> None:
    step = 1
    while True:
        root = tmp_path / f"killed-{step}"
        shutil.copytree(small, root)
        shutil.rmtree(root / "work")
        course = load(root)
        lesson = course.lesson(1)
        if not killed_at(step, lambda lesson=lesson: copies.make(lesson, prepared)):
            break
        copies.settle(course)
        if lesson.work.exists():
            assert all_of(lesson.work) == prepared(take(lesson.starter))
            assert copies.base(lesson) == take(lesson.starter)
        step += 1
    assert step > 5


def test_a_full_disk_changes_nothing(lesson: Lesson, monkeypatch: pytest.MonkeyPatch) -> None:
    before = all_of(lesson.work)
    newer_starter(load(lesson.root))

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    for place in ("shutil.copytree", "course.files.replace", "pathlib.Path.rename"):
        with monkeypatch.context() as patch:
            patch.setattr(place, full)
            with pytest.raises(CourseError, match=r"No space left on device\. Nothing of yours"):
                updates.update(lesson)
        assert all_of(lesson.work) == before
        assert [path.name for path in lesson.work.parent.iterdir()] == [lesson.folder]


def test_two_commands_at_once(lesson: Lesson) -> None:
    """One does not take for cut short what the other is about to do."""
    course = load(lesson.root)

    def meanwhile(copy: Path) -> None:
        assert list(lesson.work.parent.glob(".new-*"))
        assert copies.settle(course) == []
        assert list(lesson.work.parent.glob(".new-*"))
        copy.mkdir()

    copies._put(lesson, meanwhile)
    assert list(lesson.work.iterdir()) == []

    class Slow(Snapshot):
        def write(self, folder: Path) -> None:
            super().write(folder)
            assert copies.settle(course) == []
            assert folder.exists()

    assert take(copies.keep(lesson, Slow({"new.py": b"mine"}))).files == {"new.py": b"mine"}


def test_a_copy_that_another_command_has_made_meanwhile_stays(here: Course) -> None:
    """Two first commands of a lesson, at once: the slower must not move away what is served."""
    lesson = here.lesson(1)

    def meanwhile(copy: Snapshot) -> Snapshot:
        assert copies.make(lesson, as_it_is)
        (lesson.work / "mine.py").write_text("# mine\n")
        return copy

    assert not copies.make(lesson, meanwhile)
    assert (lesson.work / "mine.py").exists()
    assert [path.name for path in lesson.work.parent.iterdir()] == [lesson.folder]


def test_a_command_waits_for_another(lesson: Lesson, monkeypatch: pytest.MonkeyPatch) -> None:
    flock = fcntl.flock
    waits = threading.Event()

    def noting(descriptor: int, how: int) -> None:
        try:
            flock(descriptor, how | fcntl.LOCK_NB)
        except BlockingIOError:
            if how & fcntl.LOCK_NB:
                raise
            waits.set()
            flock(descriptor, how)

    with ThreadPoolExecutor(1) as pool:
        with copies._alone(lesson.work.parent):
            monkeypatch.setattr(fcntl, "flock", noting)
            reset = pool.submit(copies.reset, lesson, as_it_is)
            until(lambda: waits.is_set() or reset.done())
            assert not reset.done()
        assert reset.result() == kept(lesson)[0]


def test_the_name_that_a_killed_command_took_is_not_free(lesson: Lesson) -> None:
    """Else two swaps would have one folder, and what is there would be taken for the other's."""
    path = lesson.work.with_name(f"{lesson.folder}.2026-01-01T10-00-00")
    assert copies._free(path) == path
    path.with_name(f".new-{path.name}").mkdir()
    assert copies._free(path) == path.with_name(f"{path.name}.2")


# lesson N --from


@pytest.mark.parametrize("number", NUMBERS[1:])
def test_carry_gives_the_starter_and_what_is_mine(here: Course, number: int) -> None:
    """Where the student's work is the solution but for one file, so is the copy the starter."""
    lesson, before = here.lesson(number), here.lesson(number - 1)
    shutil.copytree(before.solution, before.work)
    (before.work / "mine.py").write_text("# mine\n")
    outcome = updates.carry(here, lesson, str(before.number), as_it_is)
    assert outcome == updates.Outcome((), (), None)
    assert take(lesson.work).files == take(lesson.starter).files | {"mine.py": b"# mine\n"}
    assert copies.base(lesson) == take(lesson.starter)


@pytest.mark.parametrize("number", [1, 2])
def test_carry_puts_the_todos_above_what_is_mine(
    here: Course, checker: NestedChecker, tmp_path: Path, number: int
) -> None:
    """Other right answers than ours still pass in the next lesson, and have its TODO comments."""
    before, lesson = here.lesson(number - 1), here.lesson(number)
    shutil.copytree(before.solution, before.work)
    if number > 1:
        answer = Path(__file__).parent / "answers" / before.folder
        shutil.copytree(answer, before.work, dirs_exist_ok=True)
    else:
        change(before.work / "app.py", "It runs.", "It runs for me.")
    mine = take(before.work)
    outcome = updates.carry(here, lesson, str(before.number), as_it_is)
    assert outcome.conflicts == ()
    assert todos(take(lesson.work)) == todos(take(lesson.starter))
    for path, data in mine.files.items():
        now = take(lesson.work).text(path)
        assert now is not None
        assert markers.without(now) == markers.without(data.decode())
    for verdict in checker.check(lesson, lesson.work, before):
        assert verdict.state == PASSED, verdict.message


def todos(copy: Snapshot) -> set[tuple[str, str]]:
    return {(path, task) for path in copy.files for task in markers.tasks(copy.text(path) or "")}


def test_carry_from_another_structure(here: Course) -> None:
    """A file that is elsewhere in the student's does not come back: it might hide the other."""
    before, lesson = here.lesson(4), here.lesson(5)
    shutil.copytree(Path(__file__).parent / "answers" / before.folder, before.work)
    shutil.copy(before.solution / "legacy.py", before.work)
    outcome = updates.carry(here, lesson, "4", as_it_is)
    assert (lesson.work / "App" / "models.py").is_file()
    assert not (lesson.work / "App" / "models" / "__init__.py").exists()
    [todo] = [each for each in outcome.conflicts if each.file == "App/models/todo.py"]
    assert re.search(
        r"starter of lesson 5 has the TODO of 5\.\d.* yours has no such file", todo.why
    )


def test_carry_replaces_no_work(lesson: Lesson) -> None:
    """A copy that was worked on stays, however it was begun, until it is reset."""
    course = load(lesson.root)
    copies.make(course.lesson(0), as_it_is)
    change(course.lesson(0).work / "app.py", "It runs.", "It runs for me.")
    for _ in range(2):
        old = all_of(lesson.work)
        with pytest.raises(CourseError, match=r"make lesson-1 goes on with it.* make reset-1 "):
            updates.carry(course, lesson, "0", as_it_is)
        assert all_of(lesson.work) == old
        copies.reset(lesson, as_it_is)
        assert not copies.worked_on(lesson)
        updates.carry(course, lesson, "0", prepared)
        assert not copies.worked_on(lesson)
        updates.carry(course, lesson, "0", prepared)
        put_above(lesson.work / "app.py", "# Mine.")


def test_a_copy_of_which_nothing_is_known_may_have_been_worked_on(lesson: Lesson) -> None:
    copies.reset(lesson, as_it_is)
    (lesson.work / "instance").mkdir()
    (lesson.work / "instance" / "todo.db").write_bytes(b"\0rows")
    assert not copies.worked_on(lesson)
    (lesson.work / STARTER).unlink()
    assert copies.worked_on(lesson)


def test_what_was_carried_is_known_after_an_update(here: Course) -> None:
    lesson = here.lesson(1)
    copies.make(here.lesson(0), as_it_is)
    change(here.lesson(0).work / "app.py", "It runs.", "It runs for me.")
    updates.carry(here, lesson, "0", as_it_is)
    newer_starter(here)
    assert updates.update(lesson)
    begun = copies.begun(lesson)
    assert begun
    assert "# A newer line." in (begun.text("app.py") or "")
    assert "It runs for me." in (begun.text("app.py") or "")
    assert not copies.worked_on(lesson)


def test_what_was_carried_is_no_attempt(here: Course, checker: NestedChecker) -> None:
    """What differs from the starter by work of the lesson before is no work of this one's."""
    before, lesson = here.lesson(3), here.lesson(4)
    shutil.copytree(before.solution, before.work)
    change(before.work / "App" / "ext.py", "busy_timeout = 10000", "busy_timeout = 9000")
    change(before.work / "manage.py", '"""Make the tables that', '"""Make all tables that')
    updates.carry(here, lesson, "3", as_it_is)
    copy = take(lesson.work)

    def states() -> dict[str, str]:
        verdicts = checker.check_copy(lesson, copy, begun=copies.begun(lesson))
        return {verdict.id: verdict.state for verdict in verdicts}

    untouched = dict.fromkeys([task.id for task in lesson.tasks], NOT_ATTEMPTED)
    assert states() == untouched
    copy = copy.replacing("manage.py", "def create_db():\n", "def create_db():\n    print()\n")
    assert states() == untouched | {"4.3": FAILED}


def test_carry_keeps_the_copy_that_is_there(lesson: Lesson) -> None:
    course = load(lesson.root)
    copies.reset(lesson, as_it_is)
    (lesson.work / "instance").mkdir()
    (lesson.work / "instance" / "todo.db").write_bytes(b"\0rows")
    old = all_of(lesson.work)
    copies.make(course.lesson(0), as_it_is)
    outcome = updates.carry(course, lesson, "0", prepared)
    assert outcome.kept
    assert all_of(outcome.kept) == old
    assert (lesson.work / "instance" / "todo.db").read_bytes() == b"\0new"
    back = copies.way_back(lesson.work, outcome.kept)
    subprocess.run(back, shell=True, cwd=lesson.root, check=True)
    assert all_of(lesson.work) == old
    assert copies.base(lesson) == take(lesson.starter)


def test_carry_from_a_folder(here: Course, tmp_path: Path) -> None:
    lesson = here.lesson(2)
    theirs = tmp_path / "someone's"
    shutil.copytree(here.lesson(1).solution, theirs)
    (theirs / "mine.py").write_text("# mine\n")
    old = here.lesson(0).work.with_name("00_request.2026-01-01T10-00-00")
    shutil.copytree(here.lesson(0).solution, old)
    updates.carry(here, lesson, str(theirs), as_it_is)
    assert take(lesson.work).files == take(lesson.starter).files | {"mine.py": b"# mine\n"}
    updates.carry(here, lesson, str(old), as_it_is)
    assert take(lesson.work) == take(lesson.starter)


def test_carry_from_a_copy_with_both_sides_of_a_merge(here: Course) -> None:
    before, lesson = here.lesson(1), here.lesson(2)
    copies.make(before, as_it_is)
    put_above(before.work / "app.py", "<<<<<<< yours")
    with pytest.raises(CourseError, match=r"01_script/app\.py, line 1, still has both sides"):
        updates.carry(here, lesson, "1", as_it_is)
    assert not lesson.work.exists()


def test_carry_from_a_folder_whose_name_is_a_number(home: Path, here: Course) -> None:
    shutil.copytree(here.lesson(1).solution, home / "2026112811")
    port = free_port()
    with serving(home, "lesson", "2", "--from", "2026112811", port=port):
        get(port)
    assert "(new, from yours and the starter)" in said(home)


@pytest.mark.parametrize(
    ("number", "given", "says"),
    [
        (0, "0", "No lesson comes before lesson 0"),
        (1, "1", "of lesson 1"),
        (1, "2", "and 2 is of lesson 2"),
        (1, "7", "and 7 is of lesson 7"),  # of which there is no copy either
        (1, "99", "There is no lesson 99"),
        (2, "0", "You have no copy of lesson 0"),
        (2, "nowhere", "There is no folder nowhere"),
        (2, "docs", "docs holds no file of lesson 1: name another"),
        (2, "work/02_blueprint", "of lesson 2"),
    ],
)
def test_carry_from_what_cannot_be(
    here: Course, number: int, given: str, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(here.root)
    for begun in (1, 2):
        copies.make(here.lesson(begun), as_it_is)
    with pytest.raises(CourseError, match=says):
        updates.carry(here, here.lesson(number), given, as_it_is)
    assert not here.lesson(0).work.exists()


def test_lesson_from_an_earlier_one(home: Path, here: Course) -> None:
    before, lesson = here.lesson(0), here.lesson(1)
    for each in (before, lesson):
        copies.make(each, as_it_is)
    finish(home, 0)
    change(before.work / "app.py", "It runs.", "It runs for me.")
    (before.work / "legacy.py").write_text("# Mine, of the same name.\n")
    port = free_port()
    with serving(home, "lesson", "1", "--from", "0", port=port):
        assert "It runs for me." in get(port)
    text = said(home)
    assert "work/01_script goes on with your own work" in text
    assert "No check has seen task 0.1 pass: what it lacks is missed here too." in text
    assert "look at work/01_script/legacy.py, line 1: both sides have changed" in text
    assert "(new, from yours and the starter)" in text
    legacy = (lesson.work / "legacy.py").read_text()
    assert legacy.startswith("<<<<<<< yours, from lesson 0\n# Mine, of the same name.\n=======\n")
    assert legacy.endswith(">>>>>>> starter of lesson 1\n")
    [old] = kept(lesson)
    assert f"What you had is kept in work/{old.name}." in text
    assert all_of(old) == take(lesson.starter)
    run(home, "check", "0")
    with serving(home, "lesson", "1", "--from", "0", port=port):
        get(port)
    assert "has not passed" not in said(home)


def test_lesson_from_an_earlier_one_with_its_database(home: Path, here: Course) -> None:
    """The student's own way to make the database is used; where it fails, that is said."""
    shutil.copytree(here.lesson(3).solution, here.lesson(3).work)
    port = free_port()
    with serving(home, "lesson", "4", "--from", "3", port=port):
        get(port)
    assert "The database was made with: python manage.py create_db" in said(home)
    assert list(here.lesson(4).work.rglob("*.db"))
    (here.lesson(3).work / "manage.py").write_text("raise SystemExit('not today')\n")
    with serving(home, "lesson", "4", "--from", "3", port=port):
        until(lambda: "No database was made, for `python manage.py db upgrade`" in said(home))


# update


def test_update_merges_the_new_starter_and_leaves_all_else(lesson: Lesson) -> None:
    old = all_of(lesson.work)
    assert updates.update(lesson) is None
    assert kept(lesson) == []
    newer_starter(load(lesson.root))
    (lesson.starter / "given.py").write_text("# Given.\n")
    (lesson.starter / "static" / "style.css").unlink()
    commit(lesson.root)
    outcome = updates.update(lesson)
    assert outcome
    assert outcome.conflicts == ()
    assert outcome.changed == ("app.py", "given.py", "static/style.css")
    new = all_of(lesson.work).files
    app = new["app.py"].decode()
    assert "# A newer line." in app
    assert "It runs for me." in app
    left = {path: data for path, data in old.files.items() if path not in outcome.changed}
    assert new == left | {"app.py": new["app.py"], "given.py": b"# Given.\n"}
    assert (lesson.work / "link").is_symlink()
    assert os.access(lesson.work / "manage.py", os.X_OK)
    assert outcome.kept
    assert all_of(outcome.kept) == old
    assert updates.update(lesson) is None
    subprocess.run(
        copies.way_back(lesson.work, outcome.kept), shell=True, cwd=lesson.root, check=True
    )
    again = updates.update(lesson)  # the old copy goes back to the old starter
    assert again
    assert again.changed == outcome.changed


def test_update_copies_nothing_that_python_keeps_for_itself(lesson: Lesson) -> None:
    (lesson.work / "__pycache__").mkdir()
    (lesson.work / "__pycache__" / "app.cpython-311.pyc").touch()
    newer_starter(load(lesson.root))
    outcome = updates.update(lesson)
    assert outcome
    assert outcome.kept
    assert (outcome.kept / "__pycache__").is_dir()
    assert not (lesson.work / "__pycache__").exists()


def test_update_with_a_conflict(lesson: Lesson) -> None:
    change(lesson.starter / "app.py", "It runs.", "It works.")
    commit(lesson.root)
    text = run(lesson.root, "update", "1")
    app = (lesson.work / "app.py").read_text("utf-8").splitlines()
    line = app.index("<<<<<<< yours") + 1
    assert f"look at work/01_script/app.py, line {line}: both sides have changed the same" in text
    end = app.index(">>>>>>> new starter of lesson 1")
    both = "\n".join(app[line:end])
    assert "It runs for me." in both
    assert "It works." in both
    [old] = kept(lesson)
    assert f"kept in work/{old.name}. To have it back:" in text
    newer_starter(load(lesson.root))
    assert f"app.py, line {line}, still has both sides" in run(lesson.root, "update", "1", code=2)


def test_update_that_the_copy_has_already(lesson: Lesson) -> None:
    change(lesson.starter / "app.py", "It runs.", "It runs for me.")
    commit(lesson.root)
    assert updates.update(lesson) == updates.Outcome((), (), None)
    assert copies.base(lesson) == take(lesson.starter)
    assert kept(lesson) == []
    assert updates.update(lesson) is None


@pytest.mark.parametrize("data", [None, b"", b"PK\x05\x06" + 18 * b"\0", b"no zip", b"PK" * 99])
def test_update_of_a_copy_of_which_nobody_knows_the_starter(
    lesson: Lesson, data: bytes | None
) -> None:
    before = all_of(lesson.work)
    if data is None:
        (lesson.work / STARTER).unlink()
    else:
        (lesson.work / STARTER).write_bytes(data)
    newer_starter(load(lesson.root))
    with pytest.raises(CourseError, match=r"not known which starter.*make reset-1"):
        updates.update(lesson)
    assert all_of(lesson.work) == before


def test_update_where_the_starter_was_edited_by_mistake(lesson: Lesson) -> None:
    written_by_mistake(load(lesson.root))
    with pytest.raises(CourseError, match=r"not as it came.*make rescue-1"):
        updates.update(lesson)


def test_update_writes_through_no_link(lesson: Lesson, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere.py"
    shutil.move(lesson.work / "legacy.py", elsewhere)
    (lesson.work / "legacy.py").symlink_to(elsewhere)
    before = elsewhere.read_text()
    put_above(lesson.starter / "legacy.py", "# Newer.")
    commit(lesson.root)
    with pytest.raises(CourseError, match="is a link"):
        updates.update(lesson)
    assert elsewhere.read_text() == before
    assert (lesson.work / "legacy.py").is_symlink()


def test_update_says_that_there_is_nothing_to_do(lesson: Lesson) -> None:
    assert run(lesson.root, "update", "1") == (
        "work/01_script has the newest starter of lesson 1: nothing to do.\n"
    )


# The merge itself.


def merged(base: str | bytes, ours: str | bytes, theirs: str | bytes) -> Merge:
    texts = (text.encode() if isinstance(text, str) else text for text in (base, ours, theirs))
    return merge(*(Snapshot({"a.py": text}) for text in texts), SIDES)


def test_a_todo_is_no_conflict() -> None:
    base = "one\ntwo\nthree\n"
    theirs = "one\n# TODO 3.1: begin here,\n# and go on.\ntwo\n# TODO 3.2: end.\nthree\n"
    found = merged(base, "one\n2\nthree\n", theirs)
    assert found.conflicts == ()
    assert found.result.text("a.py") == (
        "one\n# TODO 3.1: begin here,\n# and go on.\n# TODO 3.2: end.\n2\nthree\n"
    )


def test_a_todo_that_is_done_does_not_come_back() -> None:
    base = "one\n# TODO 3.1: begin.\nthree\n"
    found = merged(base, "one\n2\nthree\n", base.replace("begin", "begin here"))
    assert found == Merge(Snapshot({"a.py": b"one\n2\nthree\n"}), ())


def test_a_todo_that_is_half_done_is_a_conflict() -> None:
    base = "one\n# TODO 3.1: begin.\nthree\n"
    ours = base.replace("begin.", "begin.\n2")
    found = merged(base, ours, base.replace("begin", "begin here"))
    [conflict] = found.conflicts
    assert conflict.lines == (2,)


def test_a_todo_with_another_change_is_a_conflict() -> None:
    found = merged("one\ntwo\n", "one\n2\n", "one\n# TODO 3.1: begin.\ntwo!\n")
    assert found.result.text("a.py") == (
        "one\n<<<<<<< yours\n2\n=======\n# TODO 3.1: begin.\ntwo!\n>>>>>>> new starter\n"
    )


@pytest.mark.parametrize("last", ["", "\n"])
def test_texts_that_do_not_end_a_line(last: str) -> None:
    found = merged(f"a\nb{last}", "a\nmine", f"a\ntheirs{last}")
    assert found.result.text("a.py") == (
        "a\n<<<<<<< yours\nmine\n=======\ntheirs\n>>>>>>> new starter\n"
    )


def test_marks_in_a_text_are_left_alone() -> None:
    title = "Title\n=======\n<<<<<<< HEAD\n|||||||\n>>>>>>> x\n"
    found = merged(f"{title}one\n", f"{title}mine\n", f"{title}theirs\n")
    assert (found.result.text("a.py") or "").startswith(title)
    assert found.conflicts[0].lines == (6,)


def test_line_ends_as_on_windows() -> None:
    base = "one\ntwo\nthree\nfour\nfive\n"
    ours = base.replace("one", "mine").replace("\n", "\r\n")
    found = merged(base, ours, base.replace("five", "5"))
    assert found == Merge(Snapshot({"a.py": b"mine\r\ntwo\r\nthree\r\nfour\r\n5\r\n"}), ())
    assert merged(base, base.replace("\n", "\r\n"), base.replace("five", "5")).result == Snapshot(
        {"a.py": b"one\r\ntwo\r\nthree\r\nfour\r\n5\r\n"}
    )
    untouched = ours.encode()
    assert merged(base, untouched, base).result.files["a.py"] == untouched


def test_lines_end_as_most_of_them_do() -> None:
    base = "one\ntwo\nthree\nfour\nfive\n"
    found = merged(base, base.replace("one\n", "mine\r\n"), base.replace("five", "5"))
    assert found.result.files["a.py"] == b"mine\ntwo\nthree\nfour\n5\n"


def test_what_is_no_text_is_not_mixed() -> None:
    found = merged(b"\0\r\n1", b"\0\r\n2", b"\0\r\n3")
    assert found.result.files == {"a.py": b"\0\r\n2"}
    assert found.conflicts[0].lines == ()
    assert merged(b"\0\n1", b"\0\n1", b"\0\r\n1").result.files == {"a.py": b"\0\r\n1"}


def test_bytes_that_are_no_utf_8_are_kept() -> None:
    found = merged(b"one\n2\n3\n4\n", b"on\xe9\n2\n3\n4\n", b"one\n2\n3\nfou\xff\n")
    assert found == Merge(Snapshot({"a.py": b"on\xe9\n2\n3\nfou\xff\n"}), ())


def test_a_file_that_one_side_lacks() -> None:
    one, two, none = Snapshot({"a": b"1"}), Snapshot({"a": b"2"}), Snapshot({})
    assert merge(one, none, one, SIDES) == Merge(none, ())
    assert merge(one, one, none, SIDES) == Merge(none, ())
    assert merge(none, one, none, SIDES) == Merge(one, ())
    assert merge(none, none, one, SIDES) == Merge(one, ())
    for ours, theirs in ((none, two), (two, none)):
        found = merge(one, ours, theirs, SIDES)
        assert found.result == two
        assert "Delete it if you do not need it" in found.conflicts[0].why
    empty = Snapshot({"a": b""})
    assert merge(one, empty, none, SIDES).result == empty


# rescue


def test_rescue_into_the_copy(lesson: Lesson) -> None:
    written_by_mistake(load(lesson.root))
    (lesson.starter / ".editor").write_text("a tool's\n")
    staged = subprocess.run([*GIT, "diff", "--cached"], cwd=lesson.root, capture_output=True)
    text = run(lesson.root, "rescue", "1")
    assert "lessons/01_script is as it came again." in text
    assert "Changed: manage.py, new.py" in text
    assert "# By mistake." in (lesson.work / "manage.py").read_text()
    assert (lesson.work / "new.py").read_text() == "# New by mistake.\n"
    assert "It runs for me." in (lesson.work / "app.py").read_text()
    assert not (lesson.work / ".editor").exists()
    assert (lesson.work / "instance" / "todo.db").read_bytes() == b"\0rows"
    status = subprocess.run(
        [*GIT, "status", "--porcelain"], cwd=lesson.root, capture_output=True, text=True
    )
    assert status.stdout == "?? lessons/01_script/.editor\n"
    now = subprocess.run([*GIT, "diff", "--cached"], cwd=lesson.root, capture_output=True)
    assert now.stdout == staged.stdout
    [wrote] = by_mistake(lesson)
    assert "# By mistake." in (wrote / "manage.py").read_text()
    assert "nothing to do" in run(lesson.root, "rescue", "1")
    assert updates.update(lesson) is None  # it goes back to the starter as it came


def test_rescue_where_there_is_no_copy(here: Course) -> None:
    lesson = here.lesson(1)
    came = take(lesson.starter)
    written_by_mistake(here)
    updates.rescue(lesson, prepared)
    assert take(lesson.starter) == came
    assert "# By mistake." in (lesson.work / "manage.py").read_text()
    assert (lesson.work / "instance" / "todo.db").read_bytes() == b"\0new"
    assert copies.base(lesson) == came


def test_rescue_with_a_conflict(lesson: Lesson) -> None:
    change(lesson.starter / "app.py", "It runs.", "It was here.")
    text = run(lesson.root, "rescue", "1")
    assert "look at work/01_script/app.py, line" in text
    app = (lesson.work / "app.py").read_text("utf-8")
    assert re.search(
        r"<<<<<<< yours, in work\n.*for me.*\n=======\n.*was here.*\n>>>>>>> yours, in lessons", app
    )
    change(lesson.starter / "app.py", "It runs.", "It was here again.")
    assert "still has both sides" in run(lesson.root, "rescue", "1", code=2)
    assert "again" in (lesson.starter / "app.py").read_text("utf-8")
    assert len(by_mistake(lesson)) == 1  # the one of the first time


def test_rescue_of_what_was_deleted(lesson: Lesson) -> None:
    before, came = all_of(lesson.work), take(lesson.starter)
    (lesson.starter / "legacy.py").unlink()
    assert updates.rescue(lesson, as_it_is) == updates.Outcome((), (), None)
    shutil.rmtree(lesson.starter)
    assert updates.rescue(lesson, as_it_is) == updates.Outcome((), (), None)
    assert take(lesson.starter) == came
    assert all_of(lesson.work) == before


def test_rescue_where_a_file_is_saved_meanwhile(
    lesson: Lesson, monkeypatch: pytest.MonkeyPatch
) -> None:
    written_by_mistake(load(lesson.root))
    put = copies._put

    def saving(*args: object) -> Path | None:
        (lesson.starter / "new.py").write_text("# Saved later.\n")
        return put(*args)

    monkeypatch.setattr(copies, "_put", saving)
    with pytest.raises(CourseError, match="saved just now"):
        updates.rescue(lesson, as_it_is)
    assert (lesson.starter / "new.py").read_text() == "# Saved later.\n"


@pytest.fixture
def not_root(monkeypatch: pytest.MonkeyPatch) -> None:
    """To root, no file is read-only: have it be so."""
    write = Path.write_bytes

    def write_bytes(self: Path, data: bytes) -> int:
        if self.exists() and not self.stat().st_mode & stat.S_IWUSR:
            raise PermissionError(errno.EACCES, "Permission denied", str(self))
        return write(self, data)

    monkeypatch.setattr(Path, "write_bytes", write_bytes)


@pytest.mark.usefixtures("not_root")
def test_a_file_that_is_read_only_is_written_over(lesson: Lesson) -> None:
    (lesson.work / "manage.py").chmod(0o555)
    written_by_mistake(load(lesson.root))
    updates.rescue(lesson, as_it_is)
    assert "# By mistake." in (lesson.work / "manage.py").read_text()
    assert stat.S_IMODE((lesson.work / "manage.py").stat().st_mode) == 0o555


def test_rescue_that_fails_leaves_nothing(lesson: Lesson, monkeypatch: pytest.MonkeyPatch) -> None:
    written_by_mistake(load(lesson.root))
    write = Snapshot.write

    def refused(self: Snapshot, folder: Path) -> None:
        if ".new-" in str(folder):
            raise PermissionError(errno.EACCES, "Permission denied", str(folder / "new.py"))
        write(self, folder)

    monkeypatch.setattr(Snapshot, "write", refused)
    with pytest.raises(CourseError, match=r"^new\.py in .*01_script cannot be written: Perm"):
        updates.rescue(lesson, as_it_is)
    assert [path.name for path in lesson.work.parent.iterdir()] == [lesson.folder]
    assert set(release.edited(lesson)) == {"manage.py", "new.py"}


def test_rescue_without_a_clone(lesson: Lesson) -> None:
    shutil.rmtree(lesson.root / ".git")
    written_by_mistake(load(lesson.root))
    assert release.edited(lesson) == {}
    with pytest.raises(CourseError, match="no git clone"):
        updates.rescue(lesson, as_it_is)


def test_rescue_without_git(
    lesson: Lesson, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(CourseError, match="git is needed for this, and it is not installed"):
        updates.rescue(lesson, as_it_is)


def test_edits_in_lessons_are_noticed(lesson: Lesson) -> None:
    finish(lesson.root, 1)
    (lesson.work / "manage.py").unlink()
    shutil.copy(lesson.solution / "manage.py", lesson.work)
    written_by_mistake(load(lesson.root))
    sentence = (
        "lessons/01_script is not as it came (manage.py, new.py). "
        "Your copy is work/01_script: python -m course rescue 1 moves there what you wrote."
    )
    for args in (("check", "1"), ("progress",), ("check",)):
        done = command(lesson.root, *args)
        assert done.returncode == 0
        assert done.stderr.splitlines() == [sentence]
    assert command(lesson.root, "check", "1", "--path", str(lesson.work)).stderr == ""
    port = free_port()
    with serving(lesson.root, "lesson", "1", port=port):
        get(port)
    assert said(lesson.root).splitlines()[0] == sentence
    shutil.rmtree(lesson.root / ".git")
    assert command(lesson.root, "progress").stderr == ""


def command(home: Path, *args: str) -> subprocess.CompletedProcess[str]:
    code = "from course.cli import main; main()"
    return subprocess.run(
        [sys.executable, "-c", code, *args], cwd=home, capture_output=True, text=True
    )


def test_line_ends_are_no_edit(lesson: Lesson) -> None:
    app = lesson.starter / "app.py"
    app.write_bytes(app.read_bytes().replace(b"\n", b"\r\n"))
    assert release.edited(lesson) == {}


def test_a_course_within_another_repository(lesson: Lesson) -> None:
    """It was unpacked there, and never committed: nobody knows how it came."""
    shutil.rmtree(lesson.root / ".git")
    subprocess.run([*GIT, "init", "-q"], cwd=lesson.root.parent, check=True)
    written_by_mistake(load(lesson.root))
    assert release.released(lesson) is None
    commit(lesson.root.parent)
    assert release.edited(lesson) == {}
    (lesson.starter / "new.py").write_text("# Once more.\n")
    assert release.edited(lesson) == {"new.py": b"# Once more.\n"}


# A lesson that has another name, or another number, in a newer release.


def renamed(lesson: Lesson, folder: str) -> Course:
    """Give lesson 1 another folder in the course, and its starter that name."""
    lesson.starter.rename(lesson.starter.with_name(folder))
    change(
        lesson.root / "lessons" / "course.toml",
        f'folder = "{lesson.folder}"',
        f'folder = "{folder}"',
    )
    return load(lesson.root)


def test_the_copy_of_a_renamed_lesson_moves(lesson: Lesson) -> None:
    before = all_of(lesson.work)
    course = renamed(lesson, "01_commands")
    assert copies.settle(course) == [
        "Lesson 1 has a new name: your copy of it is work/01_commands now."
    ]
    assert all_of(course.lesson(1).work) == before
    assert copies.base(course.lesson(1)) == take(course.lesson(1).starter)
    assert copies.settle(course) == []


def test_a_lesson_may_have_a_new_name_twice(lesson: Lesson) -> None:
    before = all_of(lesson.work)
    for folder in ("01_commands", "01_terminal"):
        course = renamed(lesson, folder)
        lesson = course.lesson(1)
        (said,) = copies.settle(course)
        assert said.endswith(f"your copy of it is work/{folder} now.")
        assert all_of(lesson.work) == before


def test_a_name_without_a_starter_moves_no_copy(lesson: Lesson) -> None:
    course = renamed(lesson, "01_commands")
    course.lesson(1).starter.rename(lesson.starter)
    assert copies.settle(course) == []
    assert lesson.work.is_dir()


def test_a_copy_that_a_student_renamed_stays(lesson: Lesson) -> None:
    course = load(lesson.root)
    aside = lesson.work.rename(lesson.work.with_name("01_mine"))
    assert copies.settle(course) == []
    assert aside.is_dir()


def test_a_lesson_that_has_another_number(lesson: Lesson) -> None:
    work = lesson.work.parent
    lesson.work.rename(work / "09_script")
    shutil.rmtree(work / "09_script")
    other = load(lesson.root).lesson(2)
    old = other.work.with_name("01_blueprint")
    shutil.copytree(other.starter, old)
    copies.remember(Lesson(**{**vars(other), "folder": "01_blueprint"}), old, take(other.starter))
    assert copies.settle(load(lesson.root)) == [
        "Lesson 2 has a new name: your copy of it is work/02_blueprint now."
    ]


def test_progress_after_a_lesson_was_renamed(lesson: Lesson) -> None:
    finish(lesson.root, 1)
    (lesson.root / "solutions" / lesson.folder).rename(lesson.root / "solutions" / "01_commands")
    checks = lesson.root / "checks"
    (checks / "test_01_script.py").rename(checks / "test_01_commands.py")
    renamed(lesson, "01_commands")
    done = command(lesson.root, "progress")
    assert "your copy of it is work/01_commands now" in done.stderr
    assert done.stdout.splitlines()[1].endswith("6 of 6")


# A copy that another command serves.


def test_reset_says_that_the_copy_is_served(lesson: Lesson) -> None:
    sentence = "What another terminal serves or watches is the old copy: stop it, then"
    finish(lesson.root, 1)
    port = free_port()
    assert not copies.is_used(lesson)
    with serving(lesson.root, "lesson", "1", port=port):
        get(port)
        assert copies.is_used(lesson)
        assert sentence in run(lesson.root, "reset", "1")
        assert not copies.is_used(lesson)
    assert sentence not in run(lesson.root, "reset", "1")


# What is remembered.


def verdicts(lesson: Lesson, state: str = PASSED) -> list[Verdict]:
    return [Verdict(task.id, task.title, state, "", 0.1) for task in lesson.tasks]


def test_a_save_during_a_check_is_not_credited(lesson: Lesson) -> None:
    """The check itself saves, here: what it says is of the copy as it was before."""
    finish(lesson.root, 1)
    app = lesson.work / "app.py"
    right = app.read_bytes()
    check = lesson.root / "checks" / "test_01_script.py"
    check.write_text(
        f"{check.read_text()}\nfrom pathlib import Path\n"
        f"Path({str(app)!r}).write_text('raise SystemExit')\n"
    )
    assert "6 of 6 tasks pass." in run(lesson.root, "check", "1")
    course = load(lesson.root)
    assert Progress(course).verdicts(lesson, take(lesson.work)) is None
    app.write_bytes(right)
    assert Progress(course).verdicts(lesson, take(lesson.work))


def test_progress_after_an_update_and_a_reset(lesson: Lesson) -> None:
    course = load(lesson.root)
    progress = Progress(course)
    progress.remember(lesson, take(lesson.work), verdicts(lesson))
    assert progress.next_task(lesson) is None
    newer_starter(course)
    updates.update(lesson)
    assert progress.verdicts(lesson, take(lesson.work)) is None
    copies.reset(lesson, as_it_is)  # cut short here: nothing is forgotten
    assert Progress(course).verdicts(lesson, take(lesson.work)) is None
    assert Progress(course).next_task(lesson) == lesson.tasks[0]


def test_verdicts_are_of_one_starter_and_of_one_set_of_packages(lesson: Lesson) -> None:
    progress, copy = Progress(load(lesson.root)), take(lesson.work)
    pins = [lesson.root / name for name in ("requirements.txt", "constraints.txt")]
    for file in (lesson.starter / "app.py", *pins):
        progress.remember(lesson, copy, verdicts(lesson))
        assert progress.verdicts(lesson, copy)
        put_above(file, "# Newer.")
        assert progress.verdicts(lesson, copy) is None


def test_memory_that_cannot_be_written(lesson: Lesson) -> None:
    (lesson.work.parent / ".progress.json").mkdir()
    assert "Hint 2 of 2" in run(lesson.root, "hint", "1")  # else the second would never come
    assert run(lesson.root, "progress").splitlines()[1].endswith("0 of 6")
    finish(lesson.root, 1)
    assert run(lesson.root, "progress").splitlines()[1].endswith("6 of 6")
    assert not list(lesson.work.parent.glob("*.new"))


def test_verdicts_of_the_wrong_shape_begin_afresh(lesson: Lesson) -> None:
    course = load(lesson.root)
    progress = Progress(course)
    for wrong in (None, 5, ["x"]):
        found = [Verdict(task.id, task.title, PASSED, wrong, 0.1) for task in lesson.tasks]
        progress.remember(lesson, take(lesson.work), found)
        assert Progress(course).verdicts(lesson, take(lesson.work)) is None


# Line ends


def test_diff_of_a_copy_with_line_ends_as_on_windows(lesson: Lesson) -> None:
    for path, data in take(lesson.solution).files.items():
        (lesson.work / path).write_bytes(data.replace(b"\n", b"\r\n"))
    (lesson.work / "notes.txt").unlink()
    assert diffs.yours(lesson, take(lesson.work)) == ""
    change(lesson.work / "app.py", "It runs.", "It runs for me.")
    text = diffs.yours(lesson, take(lesson.work))
    assert len(re.findall(r"^@@ ", text, re.M)) == 1
    assert "\r" not in text


def test_names_count_for_the_size_of_a_copy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A program can make many of them, and long ones, of files that are empty."""
    monkeypatch.setattr(snapshot, "SIZE_LIMIT", 1000)
    for number in range(6):
        assert len(take(tmp_path).files) == number
        (tmp_path / f"{number}{199 * 'a'}").touch()
    with pytest.raises(CourseError, match="which no lesson needs"):
        take(tmp_path)


def test_the_starter_beside_a_copy_is_not_the_students() -> None:
    assert is_made(Path(STARTER))
    assert not is_made(Path("starter.zip"))
