"""What the instructors' page and its workflow say, done on a machine that has nothing yet."""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
import subprocess
import zipfile
from pathlib import Path

import pytest
import yaml
from conftest import ROOT
from test_fresh_clone import PYTHON, clean_environment, index  # noqa: F401  skips without network

LESSON = "01_script"
PAGE = (ROOT / "docs" / "instructors.md").read_text("utf-8")
HEAD = """
import legacy

from flask_script import Manager

from app import app, todos

manager = Manager(app)
"""
OWN = """
@manager.option("words", help="look for this")
@manager.option("--open", "-o", dest="pending", action="store_true")
@manager.option("--limit", "-n", dest="most", type=int, default=5)
def find(words, pending, most):
    shown = 0
    for todo in todos.values():
        title = todo.title.casefold()
        if words.casefold() not in title:
            continue
        if pending and todo.completed:
            continue
        if shown == most:
            break
        shown += 1
        print("{} {}".format(todo.id, todo.title))
"""
RENAMED = {"words": "wanted", "shown": "count", "pending": "only", "title =": "name ="}


@pytest.fixture
def clone(pristine: Path, tmp_path: Path) -> Path:
    """The course, just cloned, and a class that has handed in beside it."""
    folder = tmp_path / "a term 学期" / "course"
    shutil.copytree(pristine, folder)
    copied = OWN
    for old, new in RENAMED.items():
        copied = copied.replace(old, new)
    (folder.parent / "class").mkdir()
    solved = (ROOT / "solutions" / LESSON / "manage.py").read_text("utf-8")
    for name, code in (("ada", HEAD + OWN), ("bob", HEAD + copied), ("陈明", solved)):
        with zipfile.ZipFile(folder.parent / "class" / f"{name}.zip", "w") as archive:
            for file in ("app.py", "legacy.py", "static/style.css"):
                archive.write(ROOT / "solutions" / LESSON / file, f"work/{LESSON}/{file}")
            archive.writestr(f"work/{LESSON}/manage.py", code)
    return folder


def run(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a command of the page's in a shell that finds Python as `python` and `python3`."""
    names = folder.parent / "bin"
    if not names.exists():
        names.mkdir()
        for name in ("python", "python3"):
            (names / name).symlink_to(PYTHON)
    env = clean_environment()
    env["PATH"] = os.pathsep.join([str(names), env["PATH"]])
    return subprocess.run(
        ["bash", "-e", "-c", command], cwd=folder, env=env, capture_output=True, text=True,
        timeout=600,
    )  # fmt: skip


def block(heading: str) -> str:
    """Return the commands that the page shows first below a heading."""
    found = re.search(rf"^## {heading}\n.*?```sh\n(.*?)```", PAGE, re.M | re.S)
    assert found
    return found[1]


def test_the_workflow_and_the_grades(clone: Path) -> None:
    text = (ROOT / "docs" / "examples" / "check.yml").read_text("utf-8")
    (job,) = yaml.safe_load(text)["jobs"].values()
    course, work = [each["with"]["path"] for each in job["steps"][:2]]
    assert (course, work) == ("course", "course/work")
    runs = [each for each in job["steps"] if "run" in each]
    assert runs
    for copy, code in (("solutions", 0), ("lessons", 1)):
        shutil.rmtree(clone.parent / work, ignore_errors=True)
        shutil.copytree(ROOT / copy / LESSON, clone.parent / work / LESSON)
        for each in runs:
            done = run(each["run"], clone.parent / each["working-directory"])
            assert done.returncode == code, done.stdout + done.stderr
    done = run(block("Grade"), clone)
    assert done.returncode == 0, done.stderr
    assert (clone.parent / "grades" / "report.html").is_file()
    with (clone.parent / "grades" / "grades.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = {row["submission"]: row for row in csv.DictReader(file)}
    assert {name: row["late"] for name, row in rows.items()} == {
        "ada": "",
        "bob": "1 day, free",
        "陈明": "-20 %",
    }
    points = float(rows["陈明"]["points"])
    assert points > 0
    assert float(rows["陈明"]["score"]) == pytest.approx(0.8 * points)


def test_similar_submissions_are_found(clone: Path) -> None:
    commands = block("Similar submissions")
    done = run(commands, clone)
    assert done.returncode == 0, done.stdout + done.stderr
    assert pairs(clone.parent / "similar") == {("ada", "bob")}
    again = commands.splitlines()[-1].replace("-d lessons solutions ", "")
    assert again != commands.splitlines()[-1]
    done = run(again.replace("../similar", "../all"), clone)
    assert done.returncode == 0, done.stdout + done.stderr
    assert pairs(clone.parent / "all") == {("ada", "bob"), ("ada", "陈明"), ("bob", "陈明")}


def pairs(folder: Path) -> set[tuple[str, ...]]:
    """Return who is like whom, as compare50's page draws it."""
    graph = re.search(r"var GRAPH = (\{.*\});", (folder / "index.html").read_text("utf-8"))
    assert graph
    links = json.loads(graph[1])["links"]
    return {tuple(sorted(Path(link[end]).name for end in ("source", "target"))) for link in links}
