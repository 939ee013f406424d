"""How long grading takes: beside the checks alone, for few and many, and beside check50."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Callable
from pathlib import Path

from timing import medians, report

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from course import sandbox  # noqa: E402
from course.catalog import Lesson, load  # noqa: E402
from course.checker import Checker  # noqa: E402
from course.grading import Grader  # noqa: E402
from course.processes import ForkServers  # noqa: E402
from course.rules import Rules  # noqa: E402
from course.snapshot import take  # noqa: E402
from course.submissions import find  # noqa: E402
from course.verdicts import PASSED  # noqa: E402

COURSE = load()
FIRST, LAST = COURSE.lessons[0], COURSE.lessons[-1]
CHECK50 = "check50==3.5.0"
CHECKS = """
import check50
import check50.flask

@check50.check()
def lists():
    check50.flask.app("app.py").get("/todos").status(200).content("Todos")
"""


def main() -> None:
    if why_not := sandbox.missing():
        sys.exit(f"Grading can be measured only where it is isolated: {why_not}.")
    with tempfile.TemporaryDirectory() as scratch:
        beside_check50(Path(scratch, "check50"))
        whole_classes(Path(scratch))
        growing(Path(scratch))


def whole_classes(scratch: Path) -> None:
    """Time a submission of the last lesson, in a class that keeps all cores busy."""
    number = 4 * len(os.sched_getaffinity(0))
    with ForkServers() as servers:
        checker = Checker(COURSE, servers)
        warm = medians(3, warm=lambda: checker.check(LAST, LAST.solution))["warm"]
    for name, earlier in (("its own checks", False), ("all lessons' checks", True)):
        folder = hand_in(scratch / f"class {earlier}", LAST, number)
        seconds = timed(lambda f=folder, e=earlier: grade(f, e)) / number
        of = f"its own checks, warm, on all cores ({warm:.3f} s)"
        report(f"lesson {LAST.number}, {name}: a submission", seconds, warm, of)


def growing(scratch: Path) -> None:
    """Time a submission, and see how much memory the first process has, for few and many."""
    found = {}
    for number in (10, 1000):
        folder = hand_in(scratch / f"class of {number}", FIRST, number)
        seconds = timed(lambda f=folder: grade(f, False)) / number
        found[number] = seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    few, many = found[10], found[1000]
    report("a submission of lesson 0, of 1000", many[0], few[0], f"one of 10 ({few[0]:.3f} s)")
    print(f"memory of the grader, after 1000: {many[1]:.0f} MiB, {many[1] / few[1]:.2f} × after 10")


def beside_check50(scratch: Path) -> None:
    """Time one check of one submission, ours in a sandbox of its own and check50's."""
    venv.create(scratch / "venv", with_pip=True)
    pip = [scratch / "venv/bin/pip", "install", "-q", CHECK50, "flask==3.1.3"]
    subprocess.run(pip, check=True, capture_output=True)
    checks, work = scratch / "checks", scratch / "work"
    checks.mkdir()
    (checks / "__init__.py").write_text(CHECKS)
    (checks / ".cs50.yml").write_text("check50: true\n")
    shutil.copytree(FIRST.solution, work)
    command = [scratch / "venv/bin/check50", "--dev", "-o", "json", "--", str(checks)]

    def theirs() -> None:
        path = f"{scratch / 'venv/bin'}{os.pathsep}{os.environ['PATH']}"
        done = subprocess.run(
            command, cwd=work, env=os.environ | {"PATH": path}, capture_output=True, check=True
        )
        assert b'"passed": true' in done.stdout, done.stdout

    def ours() -> None:
        with ForkServers(sandboxed=True) as servers:
            wanted = frozenset({"test_list"})
            copy = take(FIRST.solution)
            found = Checker(COURSE, servers).results(FIRST, copy, FIRST.checks, wanted)
        assert found["test_list"].state == PASSED

    found = medians(7, theirs=theirs, ours=ours)
    of = f"check50 with one such check ({found['theirs']:.3f} s)"
    report("one check, isolated", found["ours"], found["theirs"], of)


def hand_in(folder: Path, lesson: Lesson, number: int) -> Path:
    """Make a class of so many, who have all handed in the solution."""
    for n in range(number):
        shutil.copytree(lesson.solution, folder / f"student {n}" / lesson.folder)
    return folder


def grade(folder: Path, earlier: bool) -> None:
    """Grade a class, of which everything passes."""
    kept = folder.with_name(f"{folder.name}.kept")
    grader = Grader(COURSE, Rules(earlier=earlier), kept, sandboxed=True)
    for each in grader.grade(find(folder, COURSE)):
        assert all(task.state == PASSED for lesson in each.lessons for task in lesson.tasks), each


def timed(do: Callable[[], None]) -> float:
    """Return how long it takes, in seconds."""
    began = time.perf_counter()
    do()
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
