"""How long a lesson's verdict takes, beside pytest on one test of an empty Flask app."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from timing import medians, report

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from course.catalog import load  # noqa: E402
from course.checker import Checker  # noqa: E402
from course.processes import ForkServers  # noqa: E402

EMPTY_TEST = """
from flask import Flask

def test_empty():
    assert Flask("empty").test_client().get("/").status_code == 404
"""


def main() -> None:
    course = load()
    with ForkServers() as servers, tempfile.TemporaryDirectory() as scratch:
        checker = Checker(course, servers)
        test = Path(scratch, "test_empty.py")
        test.write_text(EMPTY_TEST)

        def pytest() -> None:
            subprocess.run(
                [sys.executable, "-m", "pytest", "-q", str(test)], check=True, capture_output=True
            )

        everything = 0.0
        for lesson in course.lessons:

            def cold(lesson=lesson) -> None:
                check = ["check", str(lesson.number), "--path", str(lesson.solution)]
                command = [sys.executable, "-m", "course", *check]
                subprocess.run(command, cwd=ROOT, check=True, capture_output=True)

            found = medians(
                7,
                pytest=pytest,
                warm=lambda lesson=lesson: checker.check(lesson, lesson.solution),
                cold=cold,
            )
            everything += found["warm"]
            of = f"pytest on one empty test ({found['pytest']:.3f} s)"
            report(f"lesson {lesson.number}: all checks, warm", found["warm"], found["pytest"], of)
            report(
                f"lesson {lesson.number}: course check, cold", found["cold"], found["pytest"], of
            )
        report("all lessons: all checks, warm", everything, found["pytest"], of)


if __name__ == "__main__":
    main()
