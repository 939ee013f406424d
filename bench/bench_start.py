"""How long `make lesson-1` takes until the first reply, beside a bare `flask run`."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from timing import medians, report

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from course.catalog import load  # noqa: E402
from course.site import free_port  # noqa: E402


def until_first_reply(command: list[str], cwd: Path, port: int) -> None:
    process = subprocess.Popen(
        command, cwd=cwd, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        start_new_session=True,
    )  # fmt: skip
    try:
        while True:
            try:
                urlopen(f"http://127.0.0.1:{port}/").close()
                return
            except URLError:
                time.sleep(0.002)
    finally:
        os.killpg(process.pid, signal.SIGINT)
        process.wait()


def main() -> None:
    with tempfile.TemporaryDirectory() as scratch:
        clone = Path(scratch, "course")
        subprocess.run(["git", "clone", "-q", str(ROOT), str(clone)], check=True)
        lesson = load(clone).lesson(1)
        shutil.copytree(lesson.solution, lesson.work)
        subprocess.run(["make", "progress"], cwd=clone, check=True, stdout=subprocess.DEVNULL)

        def make() -> None:
            port = free_port()
            until_first_reply(["make", "lesson-1", f"PORT={port}"], clone, port)

        def flask() -> None:
            port = free_port()
            command = [sys.executable, "-m", "flask", "--app", "app", "run", "-p", str(port)]
            until_first_reply(command, lesson.work, port)

        found = medians(7, flask=flask, make=make)
        of = f"flask run ({found['flask']:.3f} s)"
        report("make lesson-1, second start, first reply", found["make"], found["flask"], of)


if __name__ == "__main__":
    main()
