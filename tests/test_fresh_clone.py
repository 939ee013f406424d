"""The course on a machine that has seen nothing of it: the README's commands, and nothing else."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import pytest
from conftest import until

from course.catalog import load
from course.site import free_port

PYTHON = getattr(sys, "_base_executable", sys.executable)


def clean_environment() -> dict[str, str]:
    """Return this environment without what the tests' own .venv has put into it."""
    left_out = {"VIRTUAL_ENV", "PYTHONUTF8", "COURSE_VENV"}
    env = {name: value for name, value in os.environ.items() if name not in left_out}
    here = str(Path(sys.executable).parent)
    env["PATH"] = os.pathsep.join(p for p in env["PATH"].split(os.pathsep) if p != here)
    return env


@pytest.fixture(scope="module", autouse=True)
def index(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Skip where no packages can be fetched; never in CI, where a skipped test proves nothing."""
    folder = str(tmp_path_factory.mktemp("index"))
    pip = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--retries", "1"]
    done = subprocess.run([*pip, "-d", folder, "itsdangerous==2.2.0"], capture_output=True)
    if done.returncode and not os.environ.get("CI"):
        pytest.skip("no connection to a package index, from which the course installs itself")


@pytest.fixture(scope="module")
def clone(pristine: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new copy, in a folder with a space and Chinese characters."""
    folder = tmp_path_factory.mktemp("clone") / "Flask 课程"
    shutil.copytree(pristine, folder)
    return folder


def make(clone: Path, *args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["make", *args, f"PYTHON={PYTHON}"], cwd=clone, env=clean_environment(),
        capture_output=True, text=True, timeout=300,
    )  # fmt: skip


def serve(clone: Path, port: int) -> tuple[str, float]:
    """Run make lesson-1 until the first page has come, then Ctrl-C; return the output and time."""
    began = time.monotonic()
    with (clone / "output.txt").open("w+") as log:
        process = subprocess.Popen(
            ["make", "lesson-1", f"PORT={port}", f"PYTHON={PYTHON}"], cwd=clone, stdout=log,
            stderr=subprocess.STDOUT, env=clean_environment(), start_new_session=True,
        )  # fmt: skip

        def page() -> str:
            assert process.poll() is None, (clone / "output.txt").read_text()
            try:
                return urlopen(f"http://127.0.0.1:{port}/").read().decode()
            except URLError:
                return ""

        try:
            assert "It runs." in until(page, seconds=240)
            took = time.monotonic() - began
        finally:
            os.killpg(process.pid, signal.SIGINT)
            process.wait(timeout=10)
    return (clone / "output.txt").read_text("utf-8"), took


def test_the_readmes_commands(clone: Path) -> None:
    listed = make(clone)
    assert listed.returncode == 0
    assert "make lesson-N" in listed.stdout
    assert not (clone / ".venv").exists()

    port = free_port()
    first, _ = serve(clone, port)
    assert "work/01_script/manage.py" in first
    assert "Traceback" not in first
    installed = {path: path.stat().st_mtime_ns for path in (clone / ".venv").glob("*")}

    second, took = serve(clone, port)
    assert len(second.partition(" * Serving")[0].splitlines()) <= 8
    assert took < 10, "the second start takes about a second, on a machine that does nothing else"
    assert {path: path.stat().st_mtime_ns for path in (clone / ".venv").glob("*")} == installed

    checked = make(clone, "check-1")
    assert "0 of 6 tasks pass." in checked.stdout
    assert "make hint-1" in checked.stdout
    assert checked.returncode == 2  # make's own code for a command that failed
    assert "Hint 1 of 2" in make(clone, "hint-1").stdout
    refused = make(clone, "lesson-99")
    numbers = ", ".join(str(lesson.number) for lesson in load(clone).lessons)
    said = refused.stderr.splitlines()[0]
    assert said == f"There is no lesson 99. The lessons are {numbers}."


def test_pip_alone_is_enough(clone: Path, tmp_path: Path) -> None:
    """After `pip install -r requirements.txt` in any venv, a lesson and its checks run."""
    venv = tmp_path / "mine"
    subprocess.run([PYTHON, "-m", "venv", str(venv)], check=True)
    python = str(venv / "bin" / "python")
    install = [python, "-m", "pip", "install", "-q", "-r", str(clone / "requirements.txt")]
    subprocess.run(install, check=True, cwd=tmp_path)
    code = "from course.cli import main; main()"
    done = subprocess.run(
        [python, "-c", code, "check", "1", "--path", "solutions/01_script"],
        cwd=clone, env=clean_environment(), capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "6 of 6 tasks pass." in done.stdout
