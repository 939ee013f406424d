"""How long `watch` takes from a save to its verdict, beside the run of the checks alone."""

from __future__ import annotations

import os
import pty
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from timing import medians, report

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from course.catalog import load  # noqa: E402
from course.checker import Checker  # noqa: E402
from course.processes import ForkServers  # noqa: E402

SAVES = 20
TASK, LESSON = "Checking the other tasks", "Checked at"
"""What stands on the screen once the verdict on the task at hand, or on every task, is known."""


class Watch:
    """A `watch` at a terminal of its own."""

    def __init__(self, home: Path, number: int) -> None:
        self._ours, theirs = pty.openpty()
        self._process = subprocess.Popen(
            [sys.executable, "-c", "from course.cli import main; main()", "watch", str(number)],
            cwd=home, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True,
            env=os.environ | {"TERM": "xterm", "PYTHONUTF8": "1"},
        )  # fmt: skip
        os.close(theirs)
        self._data = b""

    def wait_for(self, words: str) -> float:
        """Wait until `words` come, behind those that were waited for before; return the time."""
        while words.encode() not in self._data:
            self._data += os.read(self._ours, 65536)
        self._data = self._data.partition(words.encode())[2]
        return time.perf_counter()

    def close(self) -> None:
        os.write(self._ours, b"q")
        self._process.wait()
        os.close(self._ours)


def measure(home: Path, number: int) -> None:
    """Print how long a lesson's verdicts take after a save, beside its checks alone."""
    course = load(home)
    lesson = course.lesson(number)
    shutil.copytree(lesson.solution, lesson.work)
    task: list[float] = []
    watch = Watch(home, number)
    watch.wait_for(LESSON)
    with ForkServers() as servers:
        checker = Checker(course, servers)

        def save() -> None:
            began = time.perf_counter()
            with (lesson.work / "notes.txt").open("a") as file:
                file.write("saved\n")
            task.append(watch.wait_for(TASK) - began)
            watch.wait_for(LESSON)

        def checks() -> None:
            checker.check(lesson, lesson.work)

        found = medians(SAVES, checks=checks, save=save)
    watch.close()
    of = f"its checks alone ({found['checks']:.3f} s)"
    first = sorted(task[1:])[SAVES // 2]
    report(f"lesson {number}: save to the task's verdict", first, found["checks"], of)
    report(f"lesson {number}: save to all verdicts", found["save"], found["checks"], of)


def main() -> None:
    with tempfile.TemporaryDirectory() as scratch:
        home = Path(scratch, "course")
        for name in ("course", "lessons", "solutions", "checks"):
            shutil.copytree(ROOT / name, home / name)
        for number in (0, 5):
            measure(home, number)


if __name__ == "__main__":
    main()
