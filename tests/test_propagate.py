"""A maintainer's change in one solution, carried down a chain of four small lessons."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from itertools import pairwise
from pathlib import Path

import pytest

from course.catalog import Course, load
from course.errors import CourseError
from course.propagate import Merged, propagate

FOLDERS = ("00_one", "01_two", "02_three", "03_four")
LATER = tuple(f"{part}/{name}" for name in FOLDERS[1:] for part in ("lessons", "solutions"))

# The file with the views, in each of these: it moves in lesson 2, and so a starter later.
VIEWS = (
    "lessons/01_two/app.py",
    "solutions/01_two/app.py",
    "lessons/02_three/app.py",
    "solutions/02_three/App/views.py",
    "lessons/03_four/App/views.py",
    "solutions/03_four/App/views.py",
)

APP = """\
from flask import Flask

app = Flask(__name__)
todos = []


@app.get("/")
def home():
    return "home"


@app.get("/about")
def about():
    return "about"


def run():
    app.run(port=5000)
"""
PORT = ("port=5000", "port=8000")
ABOUT = ('return "about"', 'return "about us"')
ICON = bytes(range(256))

# What each lesson does to the solution before it; 02_three also moves its files into a package.
LESSON = {
    "01_two": ("todos = []", "todos = [1]"),
    "02_three": ("todos = [1]", "todos = [1, 2]"),
    "03_four": ("todos = [1, 2]", "todos = [1, 2, 3]"),
}


def git(root: Path, *args: str) -> str:
    """Run git as a maintainer without any settings does."""
    env = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    env |= {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
    who = ("-c", "user.name=M", "-c", "user.email=m@example.invalid")
    done = subprocess.run(
        ["git", *who, *args], cwd=root, env=env, check=True, capture_output=True, encoding="utf-8"
    )
    return done.stdout


def put(path: Path, content: str | bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)


def edit(path: Path, change: tuple[str, str]) -> None:
    """Replace the one text by the other, which has to be there, once."""
    text = path.read_bytes().decode()
    assert text.count(change[0]) == 1, (path, change)
    path.write_bytes(text.replace(*change).encode())


def toml(names: tuple[str, ...]) -> str:
    """A course of these lessons, which have no tasks: nothing here asks for one."""
    entry = """\
[[lesson]]
number = {number}
folder = "{folder}"
title = "T"
adds = "A"
pain = "P"
taught = "T"
edit = "app.py"
serve = "python app.py"
imports = ["flask"]
task = []

"""
    return "".join(entry.format(number=number, folder=name) for number, name in enumerate(names))


def build(root: Path) -> None:
    """Write the chain: a script, a line more, the package that it moves to, a line more."""
    put(root / "lessons/course.toml", toml(FOLDERS))
    put(root / ".gitignore", "__pycache__/\n")
    first = root / "solutions" / FOLDERS[0]
    put(first / "app.py", APP)
    put(first / "templates/base.html", "<main></main>\n")
    put(first / "templates/home.html", "<h1>Todos</h1>\n<p>None yet.</p>\n")
    put(first / "README.md", "How to run it\n")
    put(first / "icon.bin", ICON)
    shutil.copytree(first, root / "lessons" / FOLDERS[0])
    for before, name in pairwise(FOLDERS):
        source, solution = root / "solutions" / before, root / "solutions" / name
        starter = root / "lessons" / name
        shutil.copytree(source, starter)
        edit(
            starter / ("App/views.py" if name == "03_four" else "app.py"),
            (LESSON[name][0] + "\n", LESSON[name][0] + "\n\n# TODO\n"),
        )
        shutil.copytree(source, solution)
        if name == "02_three":
            (solution / "App").mkdir()
            (solution / "app.py").rename(solution / "App/views.py")
            (solution / "templates").rename(solution / "App/templates")
        edit(solution / ("app.py" if name == "01_two" else "App/views.py"), LESSON[name])
    git(root, "init", "-q", "-b", "main")
    commit(root)


def commit(root: Path, *, add: bool = True) -> None:
    if add:
        git(root, "add", "--all")
    git(root, "commit", "-q", "-m", "A commit")


@pytest.fixture(scope="session")
def pattern(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("pattern")
    build(root)
    return root


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home without settings, so that the tests find the same git everywhere."""
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    return home


@pytest.fixture
def course(pattern: Path, tmp_path: Path) -> Course:
    shutil.copytree(pattern, tmp_path / "course")
    return load(tmp_path / "course")


def texts(course: Course) -> dict[str, bytes]:
    """Every file below lessons/ and solutions/."""
    found = {
        path.relative_to(course.root).as_posix(): path.read_bytes()
        for part in ("lessons", "solutions")
        for path in (course.root / part).rglob("*")
        if path.is_file()
    }
    assert len(found) > 30
    return found


def changed(before: dict[str, bytes], after: dict[str, bytes]) -> set[str]:
    return {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}


def reported(results: list[Merged]) -> set[str]:
    return {file for merged in results for file in merged.files}


def conflicts(results: list[Merged]) -> list[str]:
    return [conflict.file for merged in results for conflict in merged.conflicts]


def refused(course: Course, number: int, message: str, since: str = "HEAD") -> None:
    """Propagating is refused with `message`, and no file is other than it was."""
    before = texts(course)
    with pytest.raises(CourseError, match=message):
        propagate(course, number, since)
    assert texts(course) == before


# A change that merges


def test_a_mended_line_reaches_every_later_folder_and_nothing_else(course: Course) -> None:
    edit(course.root / "solutions/00_one/app.py", PORT)
    before = texts(course)
    results = propagate(course, 0)
    after = texts(course)
    assert changed(before, after) == set(VIEWS)
    for name in VIEWS:  # the one line, and not another byte
        assert after[name] == before[name].replace(PORT[0].encode(), PORT[1].encode())
    assert [merged.folder for merged in results] == list(LATER)
    assert reported(results) == set(VIEWS)
    assert conflicts(results) == []
    assert {merged.then for merged in results} == {""}


def test_a_change_starts_where_it_was_made(course: Course) -> None:
    edit(course.root / "solutions/02_three/App/views.py", PORT)
    before = texts(course)
    results = propagate(course, 2)
    assert [merged.folder for merged in results] == ["lessons/03_four", "solutions/03_four"]
    assert changed(before, texts(course)) == set(VIEWS[-2:])


def test_the_last_lesson_has_nobody_to_pass_it_on_to(course: Course) -> None:
    edit(course.root / "solutions/03_four/App/views.py", PORT)
    before = texts(course)
    assert propagate(course, 3) == []
    assert texts(course) == before


def test_a_committed_change_is_found_since_an_earlier_commit(course: Course) -> None:
    edit(course.root / "solutions/00_one/app.py", PORT)
    commit(course.root)
    refused(course, 0, "Nothing has changed in solutions/00_one .* --since HEAD~1")
    propagate(course, 0, "HEAD~1")
    assert PORT[1] in (course.root / VIEWS[-1]).read_text()


def test_a_second_run_changes_nothing(course: Course) -> None:
    one = course.root / "solutions/00_one"
    edit(one / "app.py", PORT)
    put(one / "templates/new.html", "<p>new</p>\n")
    (one / "README.md").unlink()
    put(one / "icon.bin", ICON + b"\n\0")
    assert len(reported(propagate(course, 0))) == 4 * len(LATER)
    before = texts(course)
    again = propagate(course, 0)
    assert texts(course) == before
    assert [merged.folder for merged in again] == list(LATER)
    assert reported(again) == set()
    assert conflicts(again) == []


def test_a_change_made_by_hand_on_the_way_does_not_stop_there(course: Course) -> None:
    for name in ("00_one", "01_two"):
        edit(course.root / "solutions" / name / "app.py", PORT)
    propagate(course, 0)
    for name in VIEWS:
        assert PORT[1] in (course.root / name).read_text(), name


def test_a_new_file_goes_along_and_into_the_folder_that_moved(course: Course) -> None:
    one = course.root / "solutions/00_one"
    put(one / "templates/new.html", "<p>new</p>\n")
    put(one / "tool.sh", "#!/bin/sh\n")
    (one / "tool.sh").chmod(0o755)
    before = texts(course)
    results = propagate(course, 0)
    assert conflicts(results) == []
    moved = {"solutions/02_three", "lessons/03_four", "solutions/03_four"}
    expected = {f"{f}/{'App/' if f in moved else ''}templates/new.html" for f in LATER}
    tools = {f"{folder}/tool.sh" for folder in LATER}
    assert changed(before, texts(course)) == expected | tools
    assert all(os.access(course.root / tool, os.X_OK) for tool in tools)
    assert not any(os.access(course.root / name, os.X_OK) for name in expected)


def give(course: Course, number: int, *files: str) -> Course:
    """Let a lesson give these files, which its starter and its solution have."""
    path = course.root / "lessons/course.toml"
    given = "".join(f'"{file}", ' for file in files)
    edit(path, (f"number = {number}\n", f"number = {number}\ngiven = [{given}]\n"))
    return load(course.root)


def test_a_file_that_a_lesson_gives_goes_to_its_starter_too(course: Course) -> None:
    course = give(course, 1, "app.py", "README.md")  # the starter has a TODO in app.py
    two = course.root / "solutions/01_two"
    for file, text in (("README.md", "How to run it today\n"), ("icon.bin", "1"), ("new.py", "")):
        put(two / file, text)
    edit(two / "app.py", PORT)
    before = texts(course)
    first, *others = propagate(course, 1)
    assert (first.folder, first.files) == ("lessons/01_two", ("lessons/01_two/README.md",))
    assert [merged.folder for merged in others] == list(LATER[2:])
    assert {file for file in changed(before, texts(course)) if "01_two" in file} == {*first.files}
    assert (course.root / first.files[0]).read_text() == "How to run it today\n"

    before = texts(course)
    again = propagate(course, 1)
    assert (again[0].folder, reported(again)) == ("lessons/01_two", set())
    assert texts(course) == before


def test_a_given_file_that_the_starter_has_otherwise_stays(course: Course) -> None:
    course = give(course, 1, "README.md")
    put(course.root / "lessons/01_two/README.md", "How to begin\n")
    put(course.root / "solutions/01_two/README.md", "How to run it today\n")
    assert [merged.folder for merged in propagate(course, 1)] == list(LATER[2:])
    assert (course.root / "lessons/01_two/README.md").read_text() == "How to begin\n"


def test_a_file_that_only_becomes_executable_does_so_everywhere(course: Course) -> None:
    (course.root / "solutions/00_one/app.py").chmod(0o755)
    propagate(course, 0)
    assert os.access(course.root / "solutions/03_four/App/views.py", os.X_OK)
    assert os.access(course.root / "lessons/01_two/app.py", os.X_OK)


def test_a_deleted_file_goes_and_its_empty_folder_too(course: Course) -> None:
    shutil.rmtree(course.root / "solutions/02_three/App/templates")
    before = texts(course)
    results = propagate(course, 2)
    assert conflicts(results) == []
    assert changed(before, texts(course)) == {
        f"{part}/03_four/App/templates/{name}.html"
        for part in ("lessons", "solutions")
        for name in ("base", "home")
    }
    for folder in LATER[-2:]:
        assert (course.root / folder / "App").is_dir()
        assert not (course.root / folder / "App/templates").exists()


def test_a_binary_file_is_taken_byte_for_byte(course: Course) -> None:
    new = b"\0\xff\r\n<<<<<<\n" + bytes(reversed(range(256)))
    put(course.root / "solutions/00_one/icon.bin", new)
    assert conflicts(propagate(course, 0)) == []
    for folder in LATER:
        assert (course.root / folder / "icon.bin").read_bytes() == new


def test_line_ends_stay_as_they_are(course: Course) -> None:
    put(course.root / "solutions/00_one/dos.csv", "a,b\r\nc,d\r\n")
    put(course.root / "solutions/00_one/.gitattributes", "* text eol=crlf\n*.py merge=union\n")
    edit(course.root / "solutions/00_one/app.py", PORT)
    propagate(course, 0)
    for folder in LATER:
        assert (course.root / folder / "dos.csv").read_bytes() == b"a,b\r\nc,d\r\n"
    assert b"\r" not in (course.root / VIEWS[-1]).read_bytes()


def test_what_git_ignores_is_left_out(course: Course, home: Path) -> None:
    put(home / ".gitconfig", f"[core]\n\texcludesFile = {home}/mine\n")
    put(home / "mine", "*.swp\n")
    one = course.root / "solutions/00_one"
    edit(one / "app.py", PORT)
    put(one / "__pycache__/app.pyc", b"\0")
    put(one / ".app.py.swp", b"\0")
    results = propagate(course, 0)
    assert len(reported(results)) == len(LATER)
    assert not any("pyc" in file or "swp" in file for file in texts(course) if file[:14] in LATER)


def test_spaces_and_chinese_names(pattern: Path, tmp_path: Path) -> None:
    root = tmp_path / "课程 one"
    shutil.copytree(pattern, root)
    names = ("00_one", "01_two", "02 第三", "03_four")
    put(root / "lessons/course.toml", toml(names))
    for part in ("lessons", "solutions"):
        (root / part / "02_three").rename(root / part / "02 第三")
        for name in names:
            put(root / part / name / "备 注.md", "一\n二\n三\n")
    put(root / "solutions/03_four/备 注.md", "一\n貳\n三\n")
    commit(root)
    put(root / "solutions/00_one/备 注.md", "一\n两\n三\n")
    results = propagate(load(root), 0)
    assert (root / "solutions/02 第三/备 注.md").read_text("utf-8") == "一\n两\n三\n"
    assert results[3].files == ("solutions/02 第三/备 注.md",)
    assert conflicts(results) == ["solutions/03_four/备 注.md"]
    conflicted = (root / "solutions/03_four/备 注.md").read_text("utf-8")
    assert "\n>>>>>>> the-change-from/solutions/02_第三\n" in conflicted


@pytest.mark.parametrize("gone", ["lessons/02_three", "solutions/02_three"])
def test_a_folder_that_is_not_written_yet_is_not_made_up(course: Course, gone: str) -> None:
    shutil.rmtree(course.root / gone)
    edit(course.root / "solutions/00_one/app.py", PORT)
    results = propagate(course, 0)
    assert not (course.root / gone).exists()
    # What grew out of a solution that is not there cannot be told; out of a starter, nothing did.
    rest = LATER if gone == "lessons/02_three" else LATER[:4]
    assert [merged.folder for merged in results] == [name for name in rest if name != gone]


def test_a_lesson_that_no_commit_has_yet_is_part_of_the_chain(course: Course) -> None:
    git(course.root, "rm", "-rq", "--cached", "lessons/02_three", "solutions/02_three")
    commit(course.root, add=False)
    edit(course.root / "solutions/00_one/app.py", PORT)
    results = propagate(course, 0)
    assert [merged.folder for merged in results] == list(LATER)
    assert conflicts(results) == []
    assert PORT[1] in (course.root / VIEWS[-1]).read_text()


# A change that a person must look at


def mend(path: Path, line: str) -> None:
    """Do what a person does: put one line where the conflict stands."""
    text, count = re.subn(r"<{7} .*>{7} [^\n]*", line, path.read_text(), flags=re.DOTALL)
    assert count == 1
    path.write_text(text)


def make_conflict(course: Course, *files: str) -> None:
    """Let these files have a line of their own where the first solution then changes it."""
    for file in files:
        edit(course.root / file, (PORT[0], "port=PORT"))
    commit(course.root)
    edit(course.root / "solutions/00_one/app.py", PORT)
    edit(course.root / "solutions/00_one/app.py", ABOUT)


def test_a_conflict_in_a_solution_stops_the_chain_and_names_the_way_on(course: Course) -> None:
    make_conflict(course, *VIEWS[1:])
    put(course.root / "solutions/00_one/README.md", "How to run it today\n")
    start = git(course.root, "rev-parse", "--short", "HEAD").strip()
    before = texts(course)

    starter, solution = propagate(course, 0)

    assert changed(before, texts(course)) == {
        f"{part}/01_two/{file}"
        for part in ("lessons", "solutions")
        for file in ("app.py", "README.md")
    }
    assert starter.conflicts == ()
    assert PORT[1] in (course.root / "lessons/01_two/app.py").read_text()
    (conflict,) = solution.conflicts
    assert conflict.file == "solutions/01_two/app.py"
    assert conflict.why == "CONFLICT (content): Merge conflict in app.py"
    assert solution.then.endswith(f": python -m course propagate 1 --since {start}")
    path = course.root / conflict.file
    assert path.read_text().endswith(
        "def run():\n"
        "<<<<<<< solutions/01_two/as-it-stands\n"
        "    app.run(port=PORT)\n"
        "=======\n"
        "    app.run(port=8000)\n"
        ">>>>>>> the-change-from/solutions/00_one\n"
    )
    assert ABOUT[1] in path.read_text()  # what merged, merged
    assert (course.root / "solutions/01_two/README.md").read_text() == "How to run it today\n"

    # Until it is mended nothing goes on, from wherever one tries.
    refused(course, 0, "conflicts that still stand in solutions/01_two/app.py first")
    refused(course, 1, "conflicts that still stand in solutions/01_two/app.py first")

    mend(path, "    app.run(port=PORT or 8000)")
    commit(course.root)  # or not: the way on names the commit
    before = texts(course)
    results = propagate(course, 1, start)
    assert [merged.folder for merged in results] == list(LATER[2:])
    assert conflicts(results) == []
    for file in VIEWS[1:]:
        assert "port=PORT or 8000" in (course.root / file).read_text()
        assert ABOUT[1] in (course.root / file).read_text()
    assert not [file for file in changed(before, texts(course)) if "01_two" in file]


def test_a_conflict_that_keeps_what_stood_there_leaves_nothing_to_carry_on(course: Course) -> None:
    edit(course.root / VIEWS[1], (PORT[0], "port=PORT"))
    commit(course.root)
    edit(course.root / "solutions/00_one/app.py", PORT)
    way_on = propagate(course, 0)[-1].then
    found = re.search(r"propagate (\d) --since (\w+)$", way_on)
    assert found
    refused(course, int(found[1]), "conflicts that still stand", found[2])
    mend(course.root / VIEWS[1], "    app.run(port=PORT)")
    before = texts(course)
    assert propagate(course, int(found[1]), found[2]) == []
    assert texts(course) == before


def test_a_conflict_in_starter_and_solution_merges_neither_twice(course: Course) -> None:
    make_conflict(course, *VIEWS)
    results = propagate(course, 0)
    assert conflicts(results) == list(VIEWS[:2])
    assert [merged.folder for merged in results] == list(LATER[:2])
    for name in VIEWS[:2]:
        refused(course, 1, f"conflicts that still stand in .*{name}")
        mend(course.root / name, "    app.run(port=9)")
    before = texts(course)
    results = propagate(course, 1)
    assert conflicts(results) == []
    assert changed(before, texts(course)) == reported(results) == set(VIEWS[2:])
    for name in VIEWS:
        assert "\n    app.run(port=9)\n" in (course.root / name).read_text()


def test_a_conflict_in_a_starter_alone_stops_nothing(course: Course) -> None:
    make_conflict(course, "lessons/02_three/app.py")
    results = propagate(course, 0)
    assert [merged.folder for merged in results] == list(LATER)
    assert conflicts(results) == ["lessons/02_three/app.py"]
    assert {merged.folder for merged in results if merged.then} == {"lessons/02_three"}
    assert "no other folder waits" in results[2].then
    starter = (course.root / "lessons/02_three/app.py").read_text()
    assert "\n>>>>>>> the-change-from/solutions/01_two\n" in starter
    assert PORT[1] in (course.root / VIEWS[-1]).read_text()
    refused(course, 0, "conflicts that still stand in lessons/02_three/app.py first")


def test_a_conflict_in_the_last_solution_leaves_nothing_to_go_on_with(course: Course) -> None:
    make_conflict(course, "solutions/03_four/App/views.py")
    results = propagate(course, 0)
    assert conflicts(results) == ["solutions/03_four/App/views.py"]
    assert "this was the last lesson" in results[-1].then
    assert "python -m course" not in results[-1].then


def test_a_file_that_a_later_lesson_deleted_and_the_change_edits(course: Course) -> None:
    (course.root / "solutions/01_two/README.md").unlink()
    commit(course.root)
    put(course.root / "solutions/00_one/README.md", "How to run it today\n")
    _, solution = propagate(course, 0)
    (conflict,) = solution.conflicts
    assert conflict.file == "solutions/01_two/README.md"
    assert conflict.why.startswith("CONFLICT (modify/delete): README.md deleted in ")
    assert (course.root / conflict.file).read_text() == "How to run it today\n"
    assert "propagate 1" in solution.then


def test_a_file_that_the_change_deletes_and_a_later_lesson_edits(course: Course) -> None:
    put(course.root / "solutions/01_two/README.md", "How to run both\n")
    commit(course.root)
    (course.root / "solutions/00_one/README.md").unlink()
    starter, solution = propagate(course, 0)
    assert starter.conflicts == ()
    assert not (course.root / "lessons/01_two/README.md").exists()
    (conflict,) = solution.conflicts
    assert "CONFLICT (modify/delete): README.md deleted in the-change-from" in conflict.why
    assert (course.root / conflict.file).read_text() == "How to run both\n"


def test_a_file_that_the_change_deletes_and_a_later_lesson_moved(course: Course) -> None:
    (course.root / "solutions/00_one/templates/home.html").unlink()
    results = propagate(course, 0)
    (conflict,) = results[-1].conflicts
    assert results[-1].folder == "solutions/02_three"
    assert conflict.file == "solutions/02_three/App/templates/home.html"
    assert conflict.why.startswith("CONFLICT (rename/delete): templates/home.html renamed to ")
    for folder in LATER[:3]:
        assert not (course.root / folder / "templates/home.html").exists()
    (course.root / conflict.file).unlink()
    assert conflicts(propagate(course, 2)) == []
    assert not (course.root / "solutions/03_four/App/templates/home.html").exists()


def test_two_binary_files_cannot_be_merged_and_the_folder_keeps_its_own(course: Course) -> None:
    put(course.root / "solutions/01_two/icon.bin", ICON + b"two")
    commit(course.root)
    put(course.root / "solutions/00_one/icon.bin", ICON + b"one")
    _, solution = propagate(course, 0)
    (conflict,) = solution.conflicts
    assert conflict.file == "solutions/01_two/icon.bin"
    assert "Cannot merge binary files" in conflict.why
    assert (course.root / conflict.file).read_bytes() == ICON + b"two"


# What is refused, with nothing written


def test_nothing_changed(course: Course) -> None:
    edit(course.root / "solutions/01_two/app.py", PORT)  # and not in the one that is asked for
    message = "Nothing has changed in solutions/00_one since [0-9a-f]{7,}: .*0 --since HEAD~1"
    refused(course, 0, message)


@pytest.mark.parametrize("since", ["nowhere", "HEAD~7", "--all", "", "HEAD:solutions"])
def test_a_revision_that_is_no_commit(course: Course, since: str) -> None:
    edit(course.root / "solutions/00_one/app.py", PORT)
    refused(course, 0, "is not a commit here", since)


def test_a_revision_that_is_a_tree(course: Course) -> None:
    edit(course.root / "solutions/00_one/app.py", PORT)
    refused(course, 0, "is not a commit here", git(course.root, "rev-parse", "HEAD:").strip())


def test_a_lesson_that_does_not_exist(course: Course) -> None:
    refused(course, 9, "There is no lesson 9")


def test_a_solution_that_the_commit_does_not_have(course: Course) -> None:
    git(course.root, "rm", "-rq", "--cached", "solutions/01_two")
    commit(course.root, add=False)
    refused(course, 1, "There is no solutions/01_two in commit [0-9a-f]{7,}, so")


def test_a_solution_that_is_gone(course: Course) -> None:
    shutil.rmtree(course.root / "solutions/01_two")
    refused(course, 1, "There is no solutions/01_two on disk, so")


def test_a_folder_that_is_no_checkout(course: Course) -> None:
    shutil.rmtree(course.root / ".git")
    refused(course, 0, "not a git repository")


def test_no_git(course: Course, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    edit(course.root / "solutions/00_one/app.py", PORT)
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    refused(course, 0, r"needs git, 2\.38 or newer, and there is none")


@pytest.mark.parametrize("version", ["2.37.9", "1.99.1", "of our own"])
def test_an_old_git(
    course: Course, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, version: str
) -> None:
    edit(course.root / "solutions/00_one/app.py", PORT)
    put(tmp_path / "bin/git", f"#!/bin/sh\necho git version {version}\n")
    (tmp_path / "bin/git").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    refused(course, 0, rf"needs git 2\.38 or newer; there is git version {version}")


def test_an_ignored_file_in_the_way_is_not_overwritten(course: Course) -> None:
    put(course.root / ".gitignore", "__pycache__/\n/solutions/03_four/notes.txt\n")
    commit(course.root)
    put(course.root / "solutions/03_four/notes.txt", "mine\n")
    put(course.root / "solutions/00_one/notes.txt", "theirs\n")
    # It is in the way in the last folder, and yet the folders before it are not written either.
    refused(course, 0, "notes.txt.* would be overwritten")


# What is never touched


def test_the_maintainers_index_commits_and_refs_are_as_they_were(course: Course) -> None:
    root = course.root
    put(root / "solutions/00_one/staged.py", "STAGED = 1\n")
    git(root, "add", "solutions/00_one/staged.py")
    put(root / "lessons/00_one/app.py", "# stashed\n")
    git(root, "stash", "push", "-q", "lessons/00_one/app.py")
    edit(root / "solutions/00_one/app.py", PORT)

    def state() -> dict[str, bytes]:
        return {
            path.relative_to(root).as_posix(): path.read_bytes()
            for path in (root / ".git").rglob("*")
            if path.is_file()
        }

    before = state()
    assert {".git/index", ".git/HEAD", ".git/refs/stash", ".git/refs/heads/main"} <= before.keys()
    propagate(course, 0)
    assert state() == before  # not an object more, either

    merged = {f" M {name}" for name in VIEWS}
    new = {f"?? {folder}/staged.py" for folder in LATER}
    mine = {" M solutions/00_one/app.py", "A  solutions/00_one/staged.py"}
    status = set(git(root, "status", "--porcelain").splitlines())
    assert status == merged | new | mine


def test_the_users_configuration_does_not_matter(
    course: Course, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_conflict(course, "solutions/03_four/App/views.py")
    plain = course.root.with_name("plain")
    shutil.copytree(course.root, plain)
    expected = propagate(load(plain), 0)
    assert "<<<<<<<" in (plain / "solutions/03_four/App/views.py").read_text()

    put(
        home / ".gitconfig",
        "[core]\n\tautocrlf = true\n\teol = crlf\n\tquotepath = true\n\tfileMode = false\n"
        "[merge]\n\tconflictStyle = diff3\n\trenames = false\n\tdirectoryRenames = false\n"
        "[diff]\n\texternal = /bin/false\n\trenames = false\n\tnoprefix = true\n"
        "[init]\n\ttemplateDir = /nowhere\n\tdefaultBranch = x..y\n"
        "[user]\n\tuseConfigOnly = true\n[commit]\n\tgpgSign = true\n[color]\n\tui = always\n",
    )
    put(home / ".config/git/attributes", "*.py merge=union conflict-marker-size=20 eol=crlf\n")
    git(course.root, "config", "merge.conflictStyle", "diff3")
    git(course.root, "config", "merge.renames", "false")
    for name in ("GIT_DIR", "GIT_INDEX_FILE", "GIT_WORK_TREE", "GIT_OBJECT_DIRECTORY"):
        monkeypatch.setenv(name, str(home / "elsewhere"))  # as in a hook of another repository
    monkeypatch.setenv("GIT_EXTERNAL_DIFF", "/bin/false")
    results = propagate(course, 0)
    assert results == expected
    assert texts(course) == texts(load(plain))


def test_a_course_below_the_top_of_a_repository(pattern: Path, tmp_path: Path) -> None:
    root = tmp_path / "all/of it/course"
    shutil.copytree(pattern, root)
    shutil.rmtree(root / ".git")
    git(tmp_path / "all", "init", "-q")
    commit(tmp_path / "all")
    edit(root / "solutions/00_one/app.py", PORT)
    assert len(reported(propagate(load(root), 0))) == len(LATER)
    assert PORT[1] in (root / "solutions/03_four/App/views.py").read_text()


def test_a_course_named_from_where_one_stands(
    course: Course, monkeypatch: pytest.MonkeyPatch
) -> None:
    edit(course.root / "solutions/00_one/app.py", PORT)
    monkeypatch.chdir(course.root.parent)
    assert reported(propagate(load(Path(course.root.name)), 0)) == set(VIEWS)


def test_a_linked_worktree(course: Course) -> None:
    linked = course.root.with_name("linked")
    git(course.root, "worktree", "add", "-q", "-b", "side", str(linked))
    edit(linked / "solutions/00_one/app.py", PORT)
    before = texts(course)
    propagate(load(linked), 0)
    assert PORT[1] in (linked / "solutions/03_four/App/views.py").read_text()
    assert texts(course) == before
