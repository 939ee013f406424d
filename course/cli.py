"""The commands: `python -m course …`, which is what make calls."""

from __future__ import annotations

import errno
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

import click

from course import console, copies, diffs, updates
from course.catalog import ROOT, Course, Lesson, load
from course.console import command, say
from course.errors import CourseError
from course.processes import STOPPED_BY, ForkServers, ScratchFolder
from course.progress import Progress
from course.release import edited
from course.snapshot import Snapshot, take
from course.verdicts import FAILED, NOT_ATTEMPTED, PASSED, Verdict


class Commands(click.Group):
    """Says what went wrong in one sentence, with exit code 2."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command. Who is told to end, or whose terminal is closed, ends as by Ctrl-C."""
        for number in STOPPED_BY:
            if signal.getsignal(number) == signal.SIG_DFL:  # nohup has the second ignored
                signal.signal(number, signal.default_int_handler)
        try:
            return super().invoke(ctx)
        except CourseError as error:
            console.complain(str(error))
            ctx.exit(2)
        except OSError as error:
            if error.errno == errno.EPIPE:  # who reads has read enough, as `head` does
                raise
            console.complain(_refused(error))
            ctx.exit(2)
        except KeyboardInterrupt as stopped:
            console.complain(f"Stopped. {stopped}".rstrip())
            ctx.exit(130)


def _refused(error: OSError) -> str:
    """Return what to say where the system refuses something, such as to look at a folder."""
    if error.filename is not None:
        return f"{error.filename} cannot be used: {error.strerror}."
    return f"This cannot go on: {error.strerror or error}."


@click.group(cls=Commands)
def main() -> None:
    """Flask, one extension at a time."""


class Number(click.ParamType[int]):
    """The number of a lesson."""

    name = "number"

    def convert(self, value: Any, *_: Any) -> int:
        """Return it; raise `CourseError` where it is no number."""
        if re.fullmatch("[0-9]{1,9}", str(value)):
            return int(value)
        numbers = ", ".join(str(lesson.number) for lesson in load().lessons)
        raise CourseError(f"{value!r} is no lesson's number. The lessons are {numbers}.")


number = click.argument("number", type=Number(), metavar="LESSON")
port = click.option("--port", type=click.IntRange(1, 65535), default=5000, show_default=True)
path = click.Path(path_type=Path, readable=False)  # what cannot be read has sentences of ours
stat = click.option("--stat", is_flag=True, help="A line for each file.")


@main.command()
@number
@port
@click.option("--from", "source", metavar="M|DIR", help="Go on with your own lesson M, or DIR.")
def lesson(number: int, port: int, source: str | None) -> None:
    """Make your copy of a lesson, once, and serve it."""
    from course import serving

    course = _course()
    lesson = course.lesson(number)
    serving.needs_free(port, console.command("lesson", number, port=_another(port)))
    _say_edited(lesson)
    if source is not None:
        _carry(course, lesson, source)
        new = "yours and the starter"
    else:
        new = "the starter" if _make(course, lesson) else ""
    task = Progress(course).next_task(lesson)
    console.welcome(lesson, task, new, f"http://127.0.0.1:{port}")
    with copies.used(lesson):
        _serve(course, lesson, lesson.work, port)


def _make(course: Course, lesson: Lesson) -> bool:
    """Make the student's copy where there is none, and forget the one before it."""
    made = copies.make(lesson, partial(_prepared, course, lesson))
    if made:
        Progress(course).forget(lesson)
    return made


def _carry(course: Course, lesson: Lesson, source: str) -> None:
    """Make a copy that goes on with the student's own earlier lesson, and say what to do in it."""

    def prepare(copy: Snapshot) -> Snapshot:
        prepared, ways = _prepared(course, lesson, copy), course.ways_to_prepare(lesson)
        if ways and prepared == copy:
            say(f"No database was made, for `{ways[0]}` fails. Run it when all is in order.")
        return prepared

    in_use = copies.is_used(lesson)
    outcome = updates.carry(course, lesson, source, prepare)
    Progress(course).forget(lesson)
    say(f"{_name(lesson.work)} goes on with your own work: the starter is merged into it.")
    console.outcome(lesson, outcome, in_use)
    number = updates.number_in(source)
    if number is not None and (task := Progress(course).next_task(course.lesson(number))):
        say(f"No check has seen task {task.id} pass: what it lacks is missed here too.")


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
    with ScratchFolder() as scratch:
        folder = Path(scratch, lesson.folder)
        copy.write(folder)
        _serve(course, lesson, folder, port)


@main.command()
@click.argument("number", type=Number(), metavar="[LESSON]", required=False)
@click.option("--path", type=path, help="Check this, not your copy.")
@click.option("--json", "json_file", type=path, help="Write verdicts here.")
def check(number: int | None, path: Path | None, json_file: Path | None) -> None:
    """Say how the tasks of a lesson stand; without LESSON, of all lessons so far.

    The exit code is 0 where all tasks pass, 1 where not, 2 where the checks could not be run.
    """
    course = _course()
    if number is None:
        if path or json_file:
            raise CourseError("--path and --json go with the number of a lesson.")
        _check_all(course)
        return
    lesson = course.lesson(number)
    if path is None:
        _say_edited(lesson)
    copy = _copy(course, lesson, path)
    if said := updates.unresolved(copy, path or lesson.work.relative_to(ROOT)):
        console.notice(said)
    found = _check(course, lesson, copy, None if path else copies.begun(lesson))
    if json_file:
        _write_json(json_file, lesson, found)
    if path is None:
        Progress(course).remember(lesson, copy, found)
    console.verdicts(lesson, found, str(path or lesson.work.relative_to(ROOT)))
    passed = all(verdict.state == PASSED for verdict in found)
    if path is None:
        _say_next(course, lesson, found)
    sys.exit(0 if passed else 1)


def _copy(course: Course, lesson: Lesson, path: Path | None) -> Snapshot:
    """Return the student's own copy of a lesson or, where there is a path, what is there."""
    if path is None:
        return take(copies.existing(lesson))
    from course import submissions

    return submissions.copy_in(path, lesson, course)


def _check(
    course: Course, lesson: Lesson, copy: Snapshot, begun: Snapshot | None
) -> tuple[Verdict, ...]:
    """Check a copy of a lesson: its own tasks."""
    with ForkServers() as servers:
        servers.get(course.imports(lesson))  # imports while we do: what follows takes its time
        from course.checker import Checker

        return Checker(course, servers).check_copy(lesson, copy, begun=begun)


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
            _say_edited(lesson)
            copy = take(lesson.work)
            found = checker.check_copy(lesson, copy, begun=copies.begun(lesson))
            Progress(course).remember(lesson, copy, found)
            console.verdicts(lesson, found, str(lesson.work.relative_to(ROOT)))
            earlier = course.before(lesson)
            lost = [
                verdict
                for each in earlier
                for verdict in checker.check_copy(lesson, copy, each)
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
    one_for_all = first and sum(each.message == first.message for each in found) > 1
    raised = first and first.state == FAILED and ", line " in first.message.partition("\n")[2]
    if first and (one_for_all or raised or first.state not in (FAILED, NOT_ATTEMPTED)):
        say(f"Next: mend that, then {command('check', lesson.number)}.")
        return
    if first:
        task = next(task for task in lesson.tasks if task.id == first.id)
        say(f"Next: {task.id}. Read {lesson.anchor(task)}, or {command('hint', lesson.number)}.")
        return
    console.finished(course, lesson)


@main.command()
def check_tests() -> None:
    """Try your own tests of lesson 5 (see docs/testing.md) on a right app and on broken ones.

    The exit code is 0 where each does its work, 1 where not, 2 where they could not be run.
    """
    from course import own_tests

    course = _course()
    exercise = own_tests.load(course)
    folder = copies.existing(exercise.lesson)
    with ForkServers() as servers:
        found = own_tests.try_tests(course, exercise, take(folder), servers)
    console.own_tests(found, _name(folder / own_tests.FOLDER))
    sys.exit(0 if all(each.verdict.state == PASSED for each in found) else 1)


@main.command()
@number
@click.option("--serve", is_flag=True, help="Serve it too.")
@click.option("--port", type=click.IntRange(1, 65535), help="Serve it at this port, not at 5000.")
def watch(number: int, serve: bool, port: int | None) -> None:
    """Make your copy of a lesson, once, and say at each save how you stand. A key gives a hint."""
    from course import serving
    from course.watch import watch as begin

    course = _course()
    lesson = course.lesson(number)
    if port and not serve:
        raise CourseError("A port is for the app, which SERVE=1 (or --serve) asks for.")
    if serve:
        port = port or serving.DEFAULT_PORT
        again = command("watch", number, _another(port), serve=True)
        serving.needs_free(port, again)
    _make(course, lesson)
    begin(course, lesson, port, note=_edited(lesson))


@main.command()
@number
def hint(number: int) -> None:
    """Give a hint for the first task that does not pass; the next time, the next one."""
    course = _course()
    lesson = course.lesson(number)
    copy = take(copies.existing(lesson))
    progress = Progress(course)
    found = progress.verdicts(lesson, copy) or _check(course, lesson, copy, copies.begun(lesson))
    progress.remember(lesson, copy, found)
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
    console.hints(task, shown)
    if shown < len(task.hints):
        say(f"More: {command('hint', number)} again.")
    else:
        say(f"The page says more: {lesson.anchor(task)}. The solution: {command('diff', number)}.")


@main.command()
@number
@click.option("--in", "folder", type=path, help="Not your copy: this folder or archive.")
@stat
def diff(number: int, folder: Path | None, stat: bool) -> None:
    """Compare your copy of a lesson with the solution."""
    course = _course()
    lesson = course.lesson(number)
    text = diffs.yours(lesson, _copy(course, lesson, folder), stat, console.is_terminal(sys.stdout))
    say(text.rstrip("\n") or "There is no difference.")


@main.command()
@number
@stat
def step(number: int, stat: bool) -> None:
    """Show what a lesson adds to the one before it."""
    course = load()
    text = diffs.step(course, course.lesson(number), stat, console.is_terminal(sys.stdout))
    say(text.rstrip("\n"))


@main.command(name="diffs")
def make_diffs() -> None:
    """Make a page for each lesson of what it adds, side by side, to look at in a browser."""
    from course import steps

    pages = steps.write(load(), steps.FOLDER)
    say(f"The pages are in {_name(steps.FOLDER)}:")
    for page in pages:
        say(f"  {_name(page)}")


@main.command()
@click.option("--serve", is_flag=True, help="Serve it, and build it again whenever you save.")
@click.option("--port", type=click.IntRange(1, 65535), help="Serve it at this port, not at 8000.")
@click.option("--update", is_flag=True, help="Renew the listings and outputs of PAGES, or of all.")
@click.argument("named", type=path, nargs=-1, metavar="[PAGES]...")
def docs(serve: bool, port: int | None, update: bool, named: tuple[Path, ...]) -> None:
    """Build the site of the pages in docs/, and say where it is."""
    from course import serving, website

    if update and (serve or port):
        raise CourseError("--update is for the pages alone: serve them afterwards.")
    if update:
        _renew_pages([_page(path) for path in named] or sorted((ROOT / "docs").glob("*.md")))
    if named:
        raise CourseError("Pages are named for --update: the site has all of them.")
    if port and not serve:
        raise CourseError("A port is for serving the site, which --serve asks for.")
    if not serve:
        say(f"The site is in {_name(website.build())}.")
        return
    port = port or website.DEFAULT_PORT
    made, plain = "make docs-serve PORT={}", "python -m course docs --serve --port {}"
    again = made if "MAKELEVEL" in os.environ else plain
    serving.needs_free(port, again.format(_another(port)))
    try:
        website.serve(port)
    except KeyboardInterrupt:
        say("\nStopped.")


def _page(path: Path) -> Path:
    """Return the page of this name; raise `CourseError` where there is none."""
    page = path.resolve()
    if page.parent != ROOT / "docs" or page.suffix != ".md" or not page.is_file():
        raise CourseError(f"There is no page {path}: name one as docs/00_request.md.")
    return page


def _renew_pages(paths: Sequence[Path]) -> NoReturn:
    """Write the pages whose listings or outputs are old anew, and say what is left to a person."""
    from course import listings, pages

    code = 0
    for path in paths:
        page = pages.read(path)
        new, look = listings.update(page)
        if new != page:
            path.write_text(new.text, "utf-8")
            say(f"{_name(path)} is written anew.")
        for place in look:
            say(f"{_name(path)}, {place}")
            code = 1
    sys.exit(code)


@main.command()
@number
def reset(number: int) -> None:
    """Begin a lesson anew. Your copy is kept beside it."""
    course = _course()
    lesson = course.lesson(number)
    in_use = copies.is_used(lesson)
    kept = copies.reset(lesson, partial(_prepared, course, lesson))
    Progress(course).forget(lesson)
    say(f"{_name(lesson.work)} is the starter again.")
    console.kept(lesson, kept, in_use)


@main.command()
@number
def update(number: int) -> None:
    """Merge a newer starter of a lesson into your copy. What you had is kept beside it."""
    lesson = _course().lesson(number)
    in_use = copies.is_used(lesson)
    outcome = updates.update(lesson)
    if outcome is None:
        say(f"{_name(lesson.work)} has the newest starter of lesson {number}: nothing to do.")
        return
    say(f"The new starter of lesson {number} is merged into {_name(lesson.work)}.")
    console.outcome(lesson, outcome, in_use)


@main.command()
@number
def rescue(number: int) -> None:
    """Move what you wrote in lessons/ by mistake into your copy."""
    course = _course()
    lesson = course.lesson(number)
    in_use = copies.is_used(lesson)
    outcome = updates.rescue(lesson, partial(_prepared, course, lesson))
    if outcome is None:
        say(f"{_name(lesson.starter)} is as it came: nothing to do.")
        return
    say(f"{_name(lesson.starter)} is as it came again.")
    if outcome.rescued:
        kept = _name(outcome.rescued)
        say(f"What you wrote there is in {_name(lesson.work)} now, and kept in {kept}.")
    console.outcome(lesson, outcome, in_use)


@main.command()
def progress() -> None:
    """Show how all lessons stand: lessons by tasks."""
    course = _course()
    memory = Progress(course)
    found: dict[int, Sequence[Verdict]] = {}
    for lesson in course.lessons:
        _say_edited(lesson)
        if lesson.work.is_dir():
            copy = take(lesson.work)
            verdicts = memory.verdicts(lesson, copy) or _check(
                course, lesson, copy, copies.begun(lesson)
            )
            memory.remember(lesson, copy, verdicts)
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
    if not merged:
        say("Nothing is left to carry on.")
    sys.exit(1 if any(each.conflicts for each in merged) else 0)


@main.command()
@click.argument("folder", type=path, metavar="SUBMISSIONS", required=False)
@click.option("--rules", "rules_file", type=path, help="A file with rules.")
@click.option("--out", type=path, help="Where grades go; else beside SUBMISSIONS.")
def grade(folder: Path | None, rules_file: Path | None, out: Path | None) -> None:
    """Grade a class: SUBMISSIONS holds a folder or an archive for each student.

    The exit code is 0 where all are graded, whatever they get, and 1 where one could not be checked
    to its end. Stopped, it goes on where it was.
    """
    from course import git, grading, reports, rules, sandbox, submissions

    if folder is None:
        made, plain = "make grade SUBMISSIONS=DIR", "python -m course grade DIR"
        how = made if "MAKELEVEL" in os.environ else plain
        raise CourseError(f"Where are they? {how}: DIR has a folder or an archive a student.")
    course = load()
    git.run("--version", cwd=ROOT, env=git.as_set_up())  # needed at the end, for the diffs
    found = submissions.find(folder, course)
    decided = rules.load(rules_file, course, {each.name for each in found})
    out = out or Path(f"{folder.resolve()}.graded")
    if out.resolve().is_relative_to(folder.resolve()):
        raise CourseError("OUT is inside SUBMISSIONS: name another folder.")
    console.notice(decided.source)
    why_not = sandbox.missing()
    if why_not:
        console.notice(f"The submissions' programs are not isolated: {why_not}.")
    grader = grading.Grader(course, decided, out / "kept", sandboxed=not why_not)
    grades = {}
    try:
        for each in console.counted(grader.grade(found), len(found)):
            grades[each.name] = each
    except KeyboardInterrupt:
        done = f"{len(grades)} of {len(found)} are graded"
        raise KeyboardInterrupt(f"{done}; the same command goes on from there.") from None
    ordered = [grades[each.name] for each in found]
    report = reports.Report(course, decided, ordered, why_not)
    console.graded(ordered, report.doubts(), reports.write(report, out))
    sys.exit(1 if report.unfinished else 0)


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


def _course() -> Course:
    """Read the course, and see first to what an earlier command left in work/."""
    course = load()
    for sentence in copies.settle(course):
        console.notice(sentence)
    return course


def _say_edited(lesson: Lesson) -> None:
    """Say it where the student has written in lessons/: it is work/ that is served and checked."""
    if sentence := _edited(lesson):
        console.notice(sentence)


def _edited(lesson: Lesson) -> str:
    """Return what to say where the student has written in lessons/, else nothing."""
    files = edited(lesson)
    if not files:
        return ""
    rescue = command("rescue", lesson.number)
    return (
        f"{_name(lesson.starter)} is not as it came ({', '.join(files)}). "
        f"Your copy is {_name(lesson.work)}: {rescue} moves there what you wrote."
    )


def _name(path: Path) -> str:
    """Return a path as it is from the course's own folder."""
    return str(path.relative_to(ROOT))


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
