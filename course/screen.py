"""What `watch` shows of a lesson: the task that the student is at, and how all of them stand."""

from __future__ import annotations

from dataclasses import dataclass, field

import click

from course import console
from course.catalog import Course, Lesson, Task
from course.console import say
from course.verdicts import PASSED, Verdict

BAR = 30
"""How long the progress bar is."""

KEYS = {
    "h": "hint",
    "d": "diff",
    "l": "list",
    "s": "skip",
    "r": "run again",
    "o": "open the page",
    "q": "quit",
}


@dataclass
class View:
    """What there is to see."""

    course: Course
    lesson: Lesson
    task: Task
    """The one that the student is at."""
    served: str = ""
    """Where the app is served."""
    found: dict[str, Verdict] = field(default_factory=dict)
    """The last verdict on each task, by its id."""
    fresh: set[str] = field(default_factory=set)
    """The tasks whose verdicts are on the files as they are now."""
    lost: set[str] = field(default_factory=set)
    """The tasks that have passed while they were watched, and do not now."""
    hints: int = 0
    """How many hints for the task are shown."""
    diff: str = ""
    """How the task's files become the solution's, where that was asked for."""
    listing: bool = False
    """Whether all tasks are shown."""
    choosing: bool = False
    """Whether the next key is the number of a task."""
    note: str = ""
    """What has just happened."""
    trouble: str = ""
    """Why nothing can be checked."""
    checking: bool = False
    at: str = ""
    """When the files were last checked."""

    def passes(self, task: Task) -> bool:
        """Tell whether a task passes."""
        return task.id in self.found and self.found[task.id].state == PASSED

    def finished(self) -> bool:
        """Tell whether every task passes."""
        return all(map(self.passes, self.lesson.tasks))

    def next_open(self) -> Task | None:
        """Return the next task that does not pass; after the last one, the first is next."""
        tasks = self.lesson.tasks
        here = tasks.index(self.task)
        around = (*tasks[here + 1 :], *tasks[:here])
        return next((task for task in around if not self.passes(task)), None)

    def goes_on(self) -> Task | None:
        """Return the task to go on with once the one that the student is at passes."""
        return self.next_open() if self.passes(self.task) and not self.checking else None


def show(view: View) -> None:
    """Print the view. What there is to do stands at its end, which is seen on any screen."""
    if view.diff:
        say(f"{view.diff}\n")
    say(console.title(view.lesson))
    say(_bar(sum(map(view.passes, view.lesson.tasks)), len(view.lesson.tasks)))
    if view.served:
        say(view.served)
    say()
    if view.listing:
        _list(view)
    elif view.finished():
        console.finished(view.course, view.lesson)
    else:
        _task(view)
    say()
    lost = sorted(view.lost - {view.task.id})
    sentences = [f"No longer passing: {', '.join(lost)}. Press s to go there."] if lost else []
    for sentence in (*sentences, view.note, view.trouble or _status(view)):
        if sentence:
            console.paragraph(sentence)
    if not view.choosing:
        show_keys(({"n": "next task"} if view.goes_on() else {}) | KEYS)


def show_keys(keys: dict[str, str]) -> None:
    """Print which keys there are, and what each is for."""
    console.paragraph(
        " · ".join(f"{key} {what}".replace(" ", "\u00a0") for key, what in keys.items())
    )


def _bar(passed: int, total: int) -> str:
    done = BAR * passed // total
    return (
        f"{click.style('█' * done, fg='green')}{'░' * (BAR - done)} {passed} of {total} tasks pass"
    )


def _list(view: View) -> None:
    for task in view.lesson.tasks:
        here = "→" if task == view.task else " "
        if task.id in view.found:
            console.state(view.found[task.id], here)
        else:
            say(f"{here} … {task.id} {task.title}")


def _task(view: View) -> None:
    task = view.task
    verdict = view.found.get(task.id)
    if verdict is None:
        say(f"  … {task.id} {task.title}")
        return
    console.state(verdict)
    if (following := view.goes_on()) is not None:
        say(f"  Next: {following.id} {following.title}. Press n to go there.")
    if verdict.state != PASSED:
        console.message(verdict)
        say(f"  Read {view.lesson.anchor(task)}")
        if view.hints:
            say()
        console.hints(task, view.hints, "  ")


def _status(view: View) -> str:
    if view.choosing:
        following = view.next_open()
        enter = f"Enter: {following.id}, the next that does not pass. " if following else ""
        return f"Which task? 1 to {len(view.lesson.tasks)}. {enter}Esc: stay here."
    if not view.checking:
        folder = view.lesson.work.relative_to(view.lesson.root)
        return f"Checked at {view.at}. Save a file in {folder}, and it is checked again."
    if not view.found:
        return "Checking…"
    if view.task.id in view.fresh:
        return f"{view.task.id} is checked. Checking the other tasks…"
    return "Checking again. Until then you see how it was before…"
