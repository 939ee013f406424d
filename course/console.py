"""The one place that prints."""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import click

from course import copies
from course.catalog import Course, Lesson, Task
from course.verdicts import CRASHED, FAILED, IMPORT_ERROR, NOT_ATTEMPTED, PASSED, TIMED_OUT, Verdict

if TYPE_CHECKING:
    from course.grading import Grade
    from course.own_tests import Tried
    from course.propagate import Merged
    from course.updates import Outcome

MARKS = {
    PASSED: ("✓", "green"),
    FAILED: ("✗", "red"),
    NOT_ATTEMPTED: ("·", "bright_black"),
    IMPORT_ERROR: ("!", "red"),
    CRASHED: ("!", "red"),
    TIMED_OUT: ("…", "red"),
}


_held: list[str] | None = None
"""What is said inside `at_once`."""


def say(text: str = "") -> None:
    """Print a line."""
    if _held is None:
        click.echo(text, color=_colour())
    else:
        _held.append(text)


@contextmanager
def at_once(live: bool) -> Iterator[None]:
    """Print all that is said in the block at its end, in the place of what is on a `live` screen.

    In one piece, so that nobody sees half of it.
    """
    global _held
    _held = []
    try:
        yield
        text = "\n".join(_held)
    finally:
        _held = None
    if live:
        text = text if _colour() is None else click.unstyle(text)
        sys.stdout.write(f"\x1b[H\x1b[J{text}\n")
        sys.stdout.flush()
    else:
        say(text)


def make_room() -> None:
    """Move what is on the screen up, so that what will stand there overwrites nothing."""
    say("\n" * shutil.get_terminal_size().lines)


def _colour() -> bool | None:
    """Return False where no colours are wanted; else None: a terminal has them, a file has not."""
    plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    return False if plain else None


def complain(text: str) -> None:
    """Print a sentence on standard error: why the program could not do what it was asked."""
    click.echo(click.style(text, fg="red") if is_terminal(sys.stderr) else text, err=True)


def notice(text: str) -> None:
    """Print a sentence on standard error: what is good to know, beside what was asked for."""
    click.echo(click.style(text, fg="yellow") if is_terminal(sys.stderr) else text, err=True)


def is_terminal(stream: TextIO | None) -> bool:
    """Tell whether a stream is a terminal. There is no stream where the shell has closed it."""
    return stream is not None and stream.isatty()


def command(
    name: str, number: int | None = None, port: int | None = None, serve: bool = False
) -> str:
    """Return how to give a command: with make where make was used, else without it."""
    made = "MAKELEVEL" in os.environ
    of = "" if number is None else f"-{number}" if made else f" {number}"
    if made:
        options = (" SERVE=1" if serve else "") + (f" PORT={port}" if port else "")
        return f"make {name}{of}{options}"
    options = (" --serve" if serve else "") + (f" --port {port}" if port else "")
    return f"python -m course {name}{of}{options}"


def title(lesson: Lesson) -> str:
    """Return a lesson's number and title."""
    return click.style(f"Lesson {lesson.number} · {lesson.title}", bold=True)


def welcome(lesson: Lesson, task: Task | None, new: str, url: str) -> None:
    """Say where to edit, which task is next and where to look, in a few lines.

    `new` says what a new copy was made from.
    """
    copy = lesson.work.relative_to(lesson.root)
    say(title(lesson))
    say(f"Your copy  {copy}" + (f" (new, from {new})" if new else ""))
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
        state(verdict)
        wanted = verdict is first or verdict.state != NOT_ATTEMPTED
        if wanted and verdict.message not in said:  # one mistake can fail every task
            message(verdict)
        said.add(verdict.message)
    passed = sum(verdict.state == PASSED for verdict in found)
    say(f"{passed} of {len(found)} tasks pass.")


def own_tests(found: Sequence[Tried], where: str) -> None:
    """Print how each test that the student wrote stands, and which broken apps it notices."""
    say(f"{click.style('Your own tests', bold=True)}  {click.style(where, fg='bright_black')}")
    said = {""}
    for each in found:
        state(each.verdict)
        if each.verdict.message not in said:  # one mistake can stop every test
            message(each.verdict)
        said.add(each.verdict.message)
        for broken, noticed in each.noticed:
            text = f"✓ fails on an app that {broken.does}"
            if not noticed:
                text = f"✗ passes on an app that {broken.does}. {broken.ask}"
            paragraph(text, "      ")
    done = sum(each.verdict.state == PASSED for each in found)
    say(f"{done} of {len(found)} tests pass on the right app and fail on every broken one.")


def state(verdict: Verdict, before: str = " ") -> None:
    """Print a line that says how a task stands."""
    mark, colour = MARKS[verdict.state]
    note = "" if verdict.state == PASSED else f"  ({verdict.state})"
    line = f"{mark} {verdict.id} {verdict.title}"
    say(f"{before} {click.style(line, fg=colour)}{click.style(note, fg='bright_black')}")


def message(verdict: Verdict) -> None:
    """Print what a verdict says, wrapped to the terminal, with the student's frames below."""
    said, _, trace = verdict.message.partition("\n")
    paragraph(said, "      ")
    for line in trace.splitlines():
        say(click.style(f"      {line}", fg="yellow"))


def paragraph(text: str, indent: str = "") -> None:
    """Print a text, wrapped to the terminal."""
    text = re.sub(r"make (\w+-\d)", "make\u00a0\\1", text)  # a command stays on one line
    text = click.wrap_text(text, _width(), initial_indent=indent, subsequent_indent=indent)
    say(text.replace("\u00a0", " "))


def hints(task: Task, shown: int, indent: str = "") -> None:
    """Print the first hints for a task, as many as are to be shown."""
    for i, text in enumerate(task.hints[:shown], 1):
        paragraph(f"Hint {i} of {len(task.hints)}: {text}", indent)


def finished(course: Course, lesson: Lesson) -> None:
    """Say of a lesson whose tasks all pass what it taught, where its solution is, what is next."""
    paragraph(lesson.taught)
    solution, diff = lesson.solution.relative_to(lesson.root), command("diff", lesson.number)
    paragraph(f"The solution is in {solution}. {diff} shows yours beside it.")
    if before := course.before(lesson):
        earlier = f"lesson {before[0].number}"
        if len(before) > 1:
            earlier = f"lessons {before[0].number} to {before[-1].number}"
        paragraph(f"Before you go on: {command('check')} tries the tasks of {earlier} in it too.")
    following = [each for each in course.lessons if each.number > lesson.number]
    if following:
        go_on = command("lesson", following[0].number)
        paragraph(f"But: {following[0].pain} Go on with {go_on}.")
    else:
        go_on = f" Go on with {course.after}." if course.after else ""
        paragraph(f"That was the last lesson.{go_on}")


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


_FOLLOWING = re.compile(r" (Hint: make hint|Mend that, then make check)-\d+\b\.?")
"""What comes next where a task is checked in its own lesson's copy."""


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
        # Which task it is of is a lesson back: that lesson's hints and copy are not what is meant.
        message(replace(verdict, message=_FOLLOWING.sub("", verdict.message, count=1)))
    anchors = {task.id: each.anchor(task) for each in lessons for task in each.tasks}
    say(f"  Mend that in this copy, then {command('check')}. The first: {anchors[lost[0].id]}")


def kept(lesson: Lesson, folder: Path | None, in_use: bool) -> None:
    """Say where the copy that was replaced is kept, if there was one, and how to have it back."""
    if folder is None:
        return
    if in_use:
        again = command("lesson", lesson.number)
        say(f"What another terminal serves or watches is the old copy: stop it, then {again}.")
    say(f"What you had is kept in {folder.relative_to(lesson.root)}. To have it back:")
    say(f"  {copies.way_back(lesson.work, folder)}")


def outcome(lesson: Lesson, found: Outcome, in_use: bool) -> None:
    """Say what a merge changed in the student's copy, and where the student must choose."""
    copy = lesson.work.relative_to(lesson.root)
    if found.changed:
        say(f"Changed: {', '.join(found.changed)}")
    for conflict in found.conflicts:
        lines = ", ".join(map(str, conflict.lines))
        where = f"{copy / conflict.file}{f', line {lines}' if lines else ''}"
        say(click.style(f"  look at {where}: {conflict.why}", fg="red"))
    if any(conflict.lines for conflict in found.conflicts):
        say("From <<<<<<< to ======= stands yours, and from there to >>>>>>> the other. Keep what")
        say(f"is right of both, delete the three marks, then {command('check', lesson.number)}.")
    kept(lesson, found.kept, in_use)


def counted(found: Iterable[Grade], number: int) -> Iterator[Grade]:
    """Pass on what is found, of so many, while a bar on standard error shows how far it is.

    Where that is no terminal, it is a line for each tenth.
    """
    if not is_terminal(sys.stderr):
        for done, each in enumerate(found, 1):
            yield each
            if done * 10 // number > (done - 1) * 10 // number:
                notice(f"Graded {done} of {number}.")
        return
    with click.progressbar(
        found, length=number, label="Grading", show_pos=True, file=sys.stderr, width=0
    ) as bar:
        yield from bar


def some(names: Sequence[str]) -> str:
    """Return ten of the names at most, and how many more there are, in what a terminal can show."""
    shown = ["".join(c if c.isprintable() else "?" for c in name) for name in names[:10]]
    more = f" and {len(names) - 10} more" if len(names) > 10 else ""
    return ", ".join(shown) + more


def graded(grades: Sequence[Grade], doubts: Sequence[str], files: Sequence[Path]) -> None:
    """Say how many submissions are in which state, which are to be looked at, where the report is.

    `doubts` are sentences on what else is to be looked at.
    """
    from course.grading import GRADED

    states = Counter(grade.state for grade in grades)
    many = f"{len(grades)} submission{'s' * (len(grades) != 1)}"
    say(f"{many}: " + ", ".join(f"{n} {s}" for s, n in states.most_common()))
    for state in states:
        if state != GRADED:
            say(f"{state}: {some([grade.name for grade in grades if grade.state == state])}")
    for sentence in doubts:
        say(sentence)
    for file in files:
        say(f"  {file}")


def merged(found: Sequence[Merged]) -> None:
    """Print what a change did to each folder of the chain, and where a person must look."""
    for each in found:
        files = ", ".join(each.files) or "has the change already"
        say(f"{each.folder}: {files}")
        for conflict in each.conflicts:
            say(click.style(f"  look at {conflict.file}: {conflict.why}", fg="red"))
        if each.then:
            say(f"  {each.then}")
