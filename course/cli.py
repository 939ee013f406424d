"""The commands: `python -m course …`, which is what make calls."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import click

from course import console, copies, diffs
from course.catalog import ROOT, Course, Lesson, load
from course.console import command, say
from course.errors import CourseError
from course.processes import ForkServers, scratch_folder
from course.progress import Progress
from course.snapshot import Snapshot, take
from course.verdicts import FAILED, NOT_ATTEMPTED, PASSED, Verdict


class Commands(click.Group):
    """Says what went wrong in one sentence, with exit code 2."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except CourseError as error:
            console.complain(str(error))
            ctx.exit(2)
        except KeyboardInterrupt:
            console.complain("Stopped.")
            ctx.exit(130)


@click.group(cls=Commands)
def main() -> None:
    """Flask, one extension at a time."""


number = click.argument("number", type=click.IntRange(min=0), metavar="LESSON")
port = click.option("--port", type=click.IntRange(1, 65535), default=5000, show_default=True)
stat = click.option("--stat", is_flag=True, help="A line for each file.")


@main.command()
@number
@port
def lesson(number: int, port: int) -> None:
    """Make your copy of a lesson, once, and serve it."""
    from course import serving

    course = load()
    lesson = course.lesson(number)
    serving.needs_free(port, console.command("lesson", number, port=_another(port)))
    new = copies.make(lesson, partial(_prepared, course, lesson))
    task = Progress(course).next_task(lesson)
    console.welcome(lesson, task, new, f"http://127.0.0.1:{port}")
    _serve(course, lesson, lesson.work, port)


@main.command()
@number
@port
def solution(number: int, port: int) -> None:
    """Serve a lesson's solution, and say where it is."""
    from course import serving

    course = load()
    lesson = course.lesson(number)
    serving.needs_free(port, console.command("solution", number, port=_another(port)))
    say(f"The solution of lesson {number} is in {lesson.solution.relative_to(ROOT)}.")
    say(f"Yours beside it: {command('diff', number)}")
    copy = _prepared(course, lesson, take(lesson.solution))
    say(f"A copy of it runs at http://127.0.0.1:{port}  (Ctrl-C stops it)")
    with scratch_folder() as scratch:
        folder = Path(scratch, lesson.folder)
        copy.write(folder)
        _serve(course, lesson, folder, port)


@main.command()
@click.argument("number", type=click.IntRange(min=0), metavar="[LESSON]", required=False)
@click.option("--path", type=click.Path(path_type=Path), help="Check this folder, not your copy.")
@click.option("--json", "json_file", type=click.Path(path_type=Path), help="Write verdicts here.")
def check(number: int | None, path: Path | None, json_file: Path | None) -> None:
    """Say how the tasks of a lesson stand; without LESSON, of all lessons so far.

    The exit code is 0 where all tasks pass, 1 where not, 2 where the checks could not be run.
    """
    course = load()
    if number is None:
        if path or json_file:
            raise CourseError("--path and --json go with the number of a lesson.")
        _check_all(course)
        return
    lesson = course.lesson(number)
    folder = path or copies.existing(lesson)
    found = _check(course, lesson, folder)
    if json_file:
        _write_json(json_file, lesson, found)
    if path is None:
        Progress(course).remember(lesson, found)
    console.verdicts(lesson, found, str(path or folder.relative_to(ROOT)))
    passed = all(verdict.state == PASSED for verdict in found)
    if path is None:
        _say_next(course, lesson, found)
    sys.exit(0 if passed else 1)


def _check(course: Course, lesson: Lesson, folder: Path) -> tuple[Verdict, ...]:
    """Check a copy of a lesson: its own tasks."""
    with ForkServers() as servers:
        servers.get(course.imports(lesson))  # imports while we do: what follows takes its time
        from course.checker import Checker

        return Checker(course, servers).check(lesson, folder)


def _check_all(course: Course) -> None:
    """Check every copy in work/: its own tasks, and those of the lessons before it."""
    from course.checker import Checker

    begun = [lesson for lesson in course.lessons if lesson.work.is_dir()]
    if not begun:
        raise CourseError(f"You have not begun a lesson yet. Begin with {command('lesson', 0)}.")
    passed = True
    with ForkServers() as servers:
        checker = Checker(course, servers)
        for lesson in begun:
            found = checker.check(lesson, lesson.work)
            Progress(course).remember(lesson, found)
            console.verdicts(lesson, found, str(lesson.work.relative_to(ROOT)))
            earlier = course.up_to(lesson.number)[:-1]
            lost = [
                verdict
                for each in earlier
                for verdict in checker.check(lesson, lesson.work, each)
                if verdict.state != PASSED
            ]
            console.earlier(earlier, lost)
            passed = passed and not lost and all(verdict.state == PASSED for verdict in found)
    sys.exit(0 if passed else 1)


def _write_json(file: Path, lesson: Lesson, found: Sequence[Verdict]) -> None:
    report = {
        "lesson": lesson.number,
        "tasks": [asdict(verdict) for verdict in found],
        "passed": sum(verdict.state == PASSED for verdict in found),
        "total": len(found),
    }
    try:
        file.write_text(json.dumps(report, ensure_ascii=False, indent=2) + "\n", "utf-8")
    except OSError as error:
        raise CourseError(f"{file} cannot be written: {error.strerror}.") from error


def _say_next(course: Course, lesson: Lesson, found: Sequence[Verdict]) -> None:
    first = next((verdict for verdict in found if verdict.state != PASSED), None)
    if first and first.state not in (FAILED, NOT_ATTEMPTED):
        say(f"Next: mend that, then {command('check', lesson.number)}.")
        return
    if first:
        task = next(task for task in lesson.tasks if task.id == first.id)
        say(f"Next: {task.id}. Read {lesson.anchor(task)}, or {command('hint', lesson.number)}.")
        return
    say(lesson.taught)
    say(f"{command('diff', lesson.number)} shows yours beside the solution.")
    if lesson.number > course.lessons[0].number:
        say("Do the earlier lessons' tasks still pass in it? `check` without a number tells.")
    following = [each for each in course.lessons if each.number > lesson.number]
    if following:
        say(f"But: {following[0].pain} Go on with {command('lesson', following[0].number)}.")


@main.command()
@number
def hint(number: int) -> None:
    """Give a hint for the first task that does not pass; the next time, the next one."""
    course = load()
    lesson = course.lesson(number)
    folder = copies.existing(lesson)
    progress = Progress(course)
    found = progress.verdicts(lesson) or _check(course, lesson, folder)
    progress.remember(lesson, found)
    task = progress.next_task(lesson)
    if task is None:
        say(f"Every task of lesson {number} passes. There is nothing left to hint at.")
        return
    verdict = next(verdict for verdict in found if verdict.id == task.id)
    if verdict.state not in (FAILED, NOT_ATTEMPTED):
        say(f"Before any hint: {verdict.message}")
        return
    shown = progress.next_hint(task)
    say(f"{task.id} {task.title}")
    for i, text in enumerate(task.hints[:shown], 1):
        say(f"Hint {i} of {len(task.hints)}: {text}")
    if shown < len(task.hints):
        say(f"More: {command('hint', number)} again.")
    else:
        say(f"The page says more: {lesson.anchor(task)}. The solution: {command('diff', number)}.")


@main.command()
@number
@click.option("--in", "folder", type=click.Path(path_type=Path), help="Not your copy: this folder.")
@stat
def diff(number: int, folder: Path | None, stat: bool) -> None:
    """Compare your copy of a lesson with the solution."""
    lesson = load().lesson(number)
    folder = folder or copies.existing(lesson)
    text = diffs.yours(lesson, folder, stat, sys.stdout.isatty())
    say(text.rstrip("\n") or "There is no difference.")


@main.command()
@number
@stat
def step(number: int, stat: bool) -> None:
    """Show what a lesson adds to the one before it."""
    course = load()
    say(diffs.step(course, course.lesson(number), stat, sys.stdout.isatty()).rstrip("\n"))


@main.command()
@number
def reset(number: int) -> None:
    """Begin a lesson anew. Your copy is kept beside it."""
    course = load()
    lesson = course.lesson(number)
    kept = str(copies.reset(lesson, partial(_prepared, course, lesson)).relative_to(ROOT))
    new = str(lesson.work.relative_to(ROOT))
    say(f"{new} is the starter again. What you had is kept in {kept}.")
    Progress(course).forget(lesson)
    say("To have it back:")
    new, old = shlex.quote(new), shlex.quote(kept)
    say(f"  mv {new} {new}.new && mv {old} {new}")


@main.command()
def progress() -> None:
    """Show how all lessons stand: lessons by tasks."""
    course = load()
    memory = Progress(course)
    found: dict[int, Sequence[Verdict]] = {}
    for lesson in course.lessons:
        if lesson.work.is_dir():
            verdicts = memory.verdicts(lesson) or _check(course, lesson, lesson.work)
            memory.remember(lesson, verdicts)
            found[lesson.number] = verdicts
    console.table(course, found)


@main.command()
@number
@click.option("--since", default="HEAD", show_default=True, help="The revision before the change.")
def propagate(number: int, since: str) -> None:
    """For maintainers: carry a change in a solution to every later lesson.

    The exit code is 1 where a person must look at a conflict.
    """
    from course.propagate import propagate as merge_down

    course = load()
    course.lesson(number)
    merged = merge_down(course, number, since)
    console.merged(merged)
    sys.exit(1 if any(each.conflicts for each in merged) else 0)


@main.command(context_settings={"ignore_unknown_options": True})
@click.argument("args", nargs=-1)
def test(args: tuple[str, ...]) -> None:
    """Run the tests of the course itself. ARGS are pytest's."""
    sys.exit(
        subprocess.run([sys.executable, "-m", "pytest", "-n", "auto", *args], cwd=ROOT).returncode
    )


@main.command()
def bench() -> None:
    """Measure the course: medians, and ratios to a baseline of the same run."""
    for script in sorted((ROOT / "bench").glob("bench_*.py")):
        done = subprocess.run([sys.executable, str(script)], cwd=ROOT)
        if done.returncode:
            raise CourseError(f"{script.relative_to(ROOT)} failed.")


def _prepared(course: Course, lesson: Lesson, copy: Snapshot) -> Snapshot:
    """Return a new copy of a lesson with the database that it begins with, and say how it is made.

    Nobody's own environment has a say in that: the database is one in the copy.
    """
    ways = course.ways_to_prepare(lesson)
    if not ways:
        return copy
    from course.preparing import prepare

    with ForkServers() as servers:
        prepared = prepare(servers.get(course.imports(lesson)), copy, ways)
    if prepared.command:
        say(f"The database was made with: {prepared.command}")
    return prepared.copy


def _another(port: int) -> int:
    return port + 1 if port < 65535 else port - 1


def _serve(course: Course, lesson: Lesson, folder: Path, port: int) -> None:
    from course.serving import serve

    try:
        serve(course, lesson, folder, port, say)
    except KeyboardInterrupt:
        say("\nStopped.")
