"""The one place that prints."""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from course.catalog import Course, Lesson, Task
from course.verdicts import CRASHED, FAILED, IMPORT_ERROR, NOT_ATTEMPTED, PASSED, TIMED_OUT, Verdict

if TYPE_CHECKING:
    from course.propagate import Merged

MARKS = {
    PASSED: ("✓", "green"),
    FAILED: ("✗", "red"),
    NOT_ATTEMPTED: ("·", "bright_black"),
    IMPORT_ERROR: ("!", "red"),
    CRASHED: ("!", "red"),
    TIMED_OUT: ("⧖", "red"),
}


def say(text: str = "") -> None:
    """Print a line."""
    click.echo(text)


def complain(text: str) -> None:
    """Print a sentence on standard error: why the program could not do what it was asked."""
    click.echo(click.style(text, fg="red") if sys.stderr.isatty() else text, err=True)


def command(name: str, number: int, port: int | None = None) -> str:
    """Return how to give a command: with make where make was used, else without it."""
    if "MAKELEVEL" in os.environ:
        return f"make {name}-{number}" + (f" PORT={port}" if port else "")
    return f"python -m course {name} {number}" + (f" --port {port}" if port else "")


def title(lesson: Lesson) -> str:
    """Return a lesson's number and title."""
    return click.style(f"Lesson {lesson.number} · {lesson.title}", bold=True)


def welcome(lesson: Lesson, task: Task | None, new: bool, url: str) -> None:
    """Say where to edit, which task is next and where to look, in a few lines."""
    copy = lesson.work.relative_to(lesson.root)
    say(title(lesson))
    say(f"Your copy  {copy}" + (" (new, from the starter)" if new else ""))
    say(f"Edit       {copy / lesson.edit}")
    if task:
        say(f"Next task  {task.id} {task.title}")
        say(f"Read       {lesson.anchor(task)}")
        say(f"Check      {command('check', lesson.number)}, in another terminal")
    else:
        say(f"Done       {lesson.taught}")
    say(f"Page       {click.style(url, fg='cyan')}  (Ctrl-C stops it)")


def verdicts(lesson: Lesson, found: Sequence[Verdict], where: str) -> None:
    """Print how each task stands, and what is next."""
    say(f"{title(lesson)}  {click.style(where, fg='bright_black')}")
    first = next((verdict for verdict in found if verdict.state != PASSED), None)
    said = {""}
    for verdict in found:
        mark, colour = MARKS[verdict.state]
        state = "" if verdict.state == PASSED else f"  ({verdict.state})"
        line = f"{mark} {verdict.id} {verdict.title}"
        say(f"  {click.style(line, fg=colour)}{click.style(state, fg='bright_black')}")
        wanted = verdict is first or verdict.state != NOT_ATTEMPTED
        if wanted and verdict.message not in said:  # one mistake can fail every task
            message(verdict)
        said.add(verdict.message)
    passed = sum(verdict.state == PASSED for verdict in found)
    say(f"{passed} of {len(found)} tasks pass.")


def message(verdict: Verdict) -> None:
    """Print what a verdict says, wrapped to the terminal, with the student's frames below."""
    said, _, trace = verdict.message.partition("\n")
    said = re.sub(r"make (\w+-\d)", "make\u00a0\\1", said)  # a command stays on one line
    text = click.wrap_text(said, _width(), initial_indent="      ", subsequent_indent="      ")
    say(text.replace("\u00a0", " "))
    for line in trace.splitlines():
        say(click.style(f"      {line}", fg="yellow"))


def _width() -> int:
    return min(shutil.get_terminal_size((100, 24)).columns, 100)


def table(course: Course, found: dict[int, Sequence[Verdict]]) -> None:
    """Print how all lessons stand: a row a lesson, a mark a task."""
    widest = max(len(lesson.title) for lesson in course.lessons)
    most = max(len(lesson.tasks) for lesson in course.lessons)
    for lesson in course.lessons:
        verdicts_ = {verdict.id: verdict for verdict in found.get(lesson.number, ())}
        marks = []
        for task in lesson.tasks:
            state = verdicts_[task.id].state if task.id in verdicts_ else NOT_ATTEMPTED
            mark, colour = MARKS[state]
            marks.append(click.style(mark, fg=colour))
        marks += " " * (most - len(marks))
        passed = sum(verdict.state == PASSED for verdict in verdicts_.values())
        note = f"{passed} of {len(lesson.tasks)}" if verdicts_ else "not begun"
        say(f"{lesson.number}  {lesson.title:<{widest}}  {'  '.join(marks)}   {note}")


def earlier(lessons: Sequence[Lesson], lost: Sequence[Verdict]) -> None:
    """Say whether the tasks of the earlier lessons still pass in a later copy."""
    if not lessons:
        return
    total = sum(len(lesson.tasks) for lesson in lessons)
    if not lost:
        say(f"  The {total} tasks of the earlier lessons still pass here.")
        return
    say("  These tasks of earlier lessons do not pass here:")
    for verdict in lost:
        say(click.style(f"  ✗ {verdict.id} {verdict.title}  ({verdict.state})", fg="red"))
        message(verdict)


def merged(found: Sequence[Merged]) -> None:
    """Print what a change did to each folder of the chain, and where a person must look."""
    for each in found:
        files = ", ".join(each.files) or "has the change already"
        say(f"{each.folder}: {files}")
        for conflict in each.conflicts:
            say(click.style(f"  look at {conflict.file}: {conflict.why}", fg="red"))
        if each.then:
            say(f"  {each.then}")
