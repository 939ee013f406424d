"""Run git."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from course.errors import CourseError


class GitFailed(CourseError):
    """What git was asked to do, it could not do."""


def as_set_up() -> dict[str, str]:
    """Return the environment of a git that finds its repository from the folder it runs in.

    Where git itself calls us, as a hook does, GIT_DIR and its like name another place.
    """
    env = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    return env | {"LC_ALL": "C"}


def as_nobody() -> dict[str, str]:
    """Return the environment of a git that reads nobody's configuration either.

    Nor does it fetch what a repository lacks from where that says.
    """
    nothing = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
    return as_set_up() | nothing | {"GIT_ATTR_NOSYSTEM": "1", "GIT_NO_LAZY_FETCH": "1"}


def first(size: int, *args: str, cwd: Path, env: dict[str, str]) -> bytes:
    """Run git in `cwd`, and return what it prints, or the first `size` bytes and end it there.

    Raises `GitFailed` where it fails.
    """
    nothing = subprocess.DEVNULL
    with subprocess.Popen(
        ["git", *args], cwd=cwd, env=env, stdin=nothing, stdout=subprocess.PIPE, stderr=nothing
    ) as process:
        assert process.stdout
        printed = process.stdout.read(size)
        if len(printed) == size:
            process.kill()
            return printed
    if process.returncode:
        raise GitFailed(f"git {args[0]} does not work in {cwd}.")
    return printed


def run(
    *args: str,
    cwd: Path,
    env: dict[str, str],
    data: bytes = b"",
    allowed: tuple[int, ...] = (0,),
) -> bytes:
    """Run git in `cwd`, give it `data`, and return what it prints.

    Raises `CourseError` where git is not there, `GitFailed` where its exit code is not `allowed`.
    """
    try:
        done = subprocess.run(["git", *args], cwd=cwd, env=env, input=data, capture_output=True)
    except FileNotFoundError:
        raise CourseError("git is needed for this, and it is not installed.") from None
    if done.returncode not in allowed:
        reason = " ".join(os.fsdecode(done.stderr).split())
        raise GitFailed(f"git does not work in {cwd}: {reason}")
    return done.stdout
