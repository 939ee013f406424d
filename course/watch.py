"""Check a student's copy whenever a file in it is saved, and say how the task at hand stands.

The files themselves are looked at, many times a second: where they stand on a drive that tells
nobody of a change, a save is seen just as well.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any, Self

from course import console, copies, diffs, screen, serving
from course.catalog import Course, Lesson, Task
from course.errors import CourseError
from course.progress import Progress
from course.screen import View
from course.snapshot import Snapshot, take
from course.terminal import END, ENTER, Terminal
from course.verdicts import FAILED, NOT_ATTEMPTED, PASSED, Verdict
from course.worker import Began, Ended, Message, Worker, beside

TICK = 0.05
"""Seconds between two looks at the files."""

LOOKING = 0.05
"""The share of the time that looking may take: on a slow drive, looks are further apart."""


def watch(course: Course, lesson: Lesson, port: int | None, note: str) -> None:
    """Check the copy of `lesson` at each save, until `q` or Ctrl-C; serve it too, on a `port`.

    `note` is a sentence for the first screen. Raises `CourseError` where no checks can be run any
    more, and `SystemExit` where a signal asks for the end.
    """
    with contextlib.closing(Worker(course, lesson)) as worker, contextlib.ExitStack() as stack:
        terminal = stack.enter_context(Terminal())
        served = stack.enter_context(Served(course, lesson, port, worker)) if port else None
        with contextlib.suppress(KeyboardInterrupt):
            Watch(course, lesson, worker, terminal, served).run(note)


class Served:
    """The app, served beside the checks. What it prints is in a file."""

    def __init__(self, course: Course, lesson: Lesson, port: int, worker: Worker) -> None:
        self._course, self._lesson, self._port, self._worker = course, lesson, port, worker
        self.log = lesson.work.with_name(f"serving-{lesson.number}.log")
        self.says = (
            f"Page: http://127.0.0.1:{port}  (it prints to {self.log.relative_to(lesson.root)})"
        )

    def __enter__(self) -> Self:
        try:
            self._pid = beside(self._serve, self.log)
        except OSError as error:
            raise CourseError(f"{self.log} cannot be written: {error.strerror}.") from error
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):  # it has ended
            try:
                os.killpg(self._pid, signal.SIGINT)  # as Ctrl-C at a terminal of its own
            except ProcessLookupError:  # it has not come as far as its own group
                os.kill(self._pid, signal.SIGINT)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self._pid, 0)

    def again(self) -> None:
        """Serve what stands in the folder now, another one than before."""
        self.__exit__()
        self.__enter__()

    def _serve(self) -> None:
        folder = self._lesson.work
        self._worker.let_go()
        os.environ["PYTHONUNBUFFERED"] = "1"  # a line is in the file when it is printed
        with contextlib.suppress(KeyboardInterrupt):
            while True:
                try:
                    serving.serve(self._course, self._lesson, folder, self._port, console.say)
                except (CourseError, FileNotFoundError) as error:
                    console.say(str(error))  # it is gone, and may come back
                time.sleep(TICK)
                while not folder.is_dir():
                    time.sleep(TICK)


class Watch:
    """Brings together what is saved, what the checks say of it, and what keys ask for."""

    def __init__(
        self,
        course: Course,
        lesson: Lesson,
        worker: Worker,
        terminal: Terminal,
        served: Served | None,
    ) -> None:
        self._course, self._lesson = course, lesson
        self._worker, self._terminal, self._served = worker, terminal, served
        task = Progress(course).next_task(lesson) or lesson.tasks[-1]
        self._view = View(course, lesson, task, served=served.says if served else "")
        self._at_home = False  # until the first verdicts say which task comes first
        self._passed: set[str] = set()
        self._copy: Snapshot | None = None  # as it was at the last look
        self._trouble = "It was not looked at yet."
        self._folder: tuple[int, int] | None = None
        self._mark = contextlib.ExitStack()  # says to other commands that the folder is in use
        self._checked = ""  # the digest of what the worker checks, or has checked
        self._next_look = 0.0
        self._stale = True  # what is on the screen
        self._over = False
        self._keys: dict[str, Callable[[], None]] = {
            "h": self._hint,
            "d": self._diff,
            "l": self._list,
            "s": self._choose,
            "n": self._go_on,
            ENTER: self._go_on,
            "r": self._again,
            "o": self._open,
            "q": self._quit,
            END: self._quit,
        }

    def run(self, note: str) -> None:
        """Watch until `q` or the end of input."""
        if self._terminal.live:
            console.make_room()
        else:
            console.say("Type a letter and Enter.")
        with self._mark:
            self._look()
            self._show_soon(note=note)
            while not self._over:
                self._step()

    def _step(self) -> None:
        """Take what there is: a look at the files, a verdict, a key; then show what is new."""
        if time.monotonic() >= self._next_look:
            self._look()
        self._show()
        if self._terminal.signalled:
            sys.exit(128 + self._terminal.signalled)
        sources: list[Worker | Terminal] = [self._worker]
        if not self._terminal.ended:
            sources.append(self._terminal)
        elif not self._view.checking:
            self._over = True
            return
        ready = select.select(sources, [], [], TICK)[0]
        if self._worker in ready:
            self._hear(self._worker.hear())
        if self._terminal in ready:
            for key in self._terminal.typed():
                self._press(key)

    def _show(self) -> None:
        """Show what is new. Where lines are only printed, that waits for the end of a run."""
        live = self._terminal.live
        if self._terminal.changed() or (self._stale and (live or not self._view.checking)):
            with console.at_once(live):
                screen.show(self._view)
            self._stale = False

    # The files, and what the checks say of them

    def _look(self) -> None:
        """Look at the files, and have them checked where they are others than before."""
        began = time.monotonic()
        copy, trouble = self._take()
        ended = time.monotonic()
        self._next_look = ended + max(TICK, (ended - began) / LOOKING)
        another = self._is_another_folder()
        note = self._begin_anew() if another else ""
        if not another and (copy, trouble) == (self._copy, self._trouble):
            return
        self._copy, self._trouble = copy, trouble
        if copy is None:
            self._checked = ""
            self._view.fresh.clear()
            self._show_soon(trouble=trouble, checking=False)
        elif another or copy.digest != self._checked:
            self._ask(note)

    def _take(self) -> tuple[Snapshot | None, str]:
        """Return the student's copy; where it cannot be read, None and the reason."""
        folder = self._lesson.work
        try:
            return take(folder), ""
        except CourseError as error:
            if folder.is_dir():
                return None, str(error)
        again = console.command("lesson", self._lesson.number)
        name = folder.relative_to(self._lesson.root)
        return None, f"{name} is gone. Put it back, or have a new one from {again}."

    def _is_another_folder(self) -> bool:
        """Tell whether another folder stands where the copy was at the last look."""
        try:
            found = os.stat(self._lesson.work)
            now = (found.st_dev, found.st_ino)
            if now != self._folder:
                self._mark.close()
                self._mark.enter_context(copies.used(self._lesson))
        except OSError:  # there is none at the moment
            return False
        before, self._folder = self._folder, now
        return before not in (None, now)

    def _begin_anew(self) -> str:
        """Forget what was found in the folder that stood there before; return what to say of it."""
        self._passed.clear()
        self._view.found.clear()
        self._view.lost.clear()
        self._go_to(self._lesson.tasks[0])
        self._at_home = False
        if self._served:
            self._served.again()
        name = self._lesson.work.relative_to(self._lesson.root)
        return f"{name} is another folder now. What stands in it is checked."

    def _ask(self, note: str = "") -> None:
        """Have the files checked as they are now, whatever is being checked, and say `note`."""
        self._checked = ""
        self._view.fresh.clear()
        self._show_soon(trouble="", note=note, diff="", checking=True)
        self._worker.ask(self._view.task)

    def _hear(self, message: Message) -> None:
        """Take what the worker says, if it is of the files as they are."""
        if isinstance(message, Began):
            self._checked = message.digest
            if not self._is_of_now():
                self._look()
        if isinstance(message, Ended):
            self._look()
        if not self._is_of_now():
            if isinstance(message, Began) and self._checked and self._copy:
                self._ask()  # they have changed, and changed back
        elif isinstance(message, Verdict):
            self._take_verdict(message)
        elif isinstance(message, Ended):
            self._end(message.trouble)

    def _is_of_now(self) -> bool:
        return self._copy is not None and self._copy.digest == self._checked

    def _take_verdict(self, verdict: Verdict) -> None:
        self._view.found[verdict.id] = verdict
        self._view.fresh.add(verdict.id)
        if verdict.state == PASSED:
            self._passed.add(verdict.id)
        self._view.lost = {id_ for id_ in self._passed if self._view.found[id_].state != PASSED}
        self._show_soon()

    def _end(self, trouble: str) -> None:
        """Take the end of a run: every verdict is known now, or there are none."""
        self._show_soon(trouble=trouble, checking=False, at=time.strftime("%H:%M:%S"))
        if trouble:
            return
        found = [self._view.found[task.id] for task in self._lesson.tasks]
        assert self._copy
        Progress(self._course).remember(self._lesson, self._copy, found)
        if not self._at_home:
            self._at_home = True
            self._view.task = self._lesson.tasks[-1]  # the first to come after it is the first
            self._view.task = self._view.next_open() or self._view.task

    def _show_soon(self, **changes: Any) -> None:
        """Change the view."""
        for name, value in changes.items():
            setattr(self._view, name, value)
        self._stale = True

    # Keys

    def _press(self, key: str) -> None:
        """Do what a key asks for. One that asks for nothing does nothing."""
        self._show_soon(note="", diff="", listing=False)
        if self._view.choosing:
            self._choose_by(key)
        elif key in self._keys:
            self._keys[key]()

    def _hint(self) -> None:
        """Show the next hint for the task, as `hint` does."""
        task = self._view.task
        verdict = self._view.found.get(task.id)
        if verdict is None:
            self._show_soon(note="It is still being checked: ask again in a moment.")
        elif verdict.state == PASSED:
            self._show_soon(note=f"{task.id} passes: there is nothing left to hint at.")
        elif verdict.state not in (FAILED, NOT_ATTEMPTED):
            self._show_soon(note="Before any hint: mend what is said above.")
        else:
            self._show_soon(hints=Progress(self._course).next_hint(task))

    def _diff(self) -> None:
        """Show how the files of the task differ from the solution."""
        try:
            found = diffs.of_task(self._lesson, self._view.task, self._terminal.live)
        except CourseError as error:
            self._show_soon(note=str(error))
            return
        which = f"The files that {self._view.task.id} is marked in"
        how = "stand above, beside the solution's: scroll up" if found else "are the solution's"
        note = f"{which} {how}. All files: {console.command('diff', self._lesson.number)}."
        self._show_soon(diff=found.rstrip("\n"), note=note)

    def _list(self) -> None:
        self._show_soon(listing=True)

    def _choose(self) -> None:
        self._show_soon(choosing=True, listing=True)

    def _choose_by(self, key: str) -> None:
        """Go to the task with this number, or, with Enter, to the next that does not pass."""
        self._show_soon(choosing=False)
        number = key.removeprefix(f"{self._lesson.number}.")
        named = [task for task in self._lesson.tasks if task.id.partition(".")[2] == number]
        following = self._view.next_open() if key in (ENTER, "s") else None
        if task := next(iter(named), following):
            self._go_to(task)
        elif key in (END, "q"):
            self._quit()

    def _go_on(self) -> None:
        """Go to the next task that does not pass, from one that does."""
        if following := self._view.goes_on():
            self._go_to(following)
        elif not self._view.passes(self._view.task):
            left = f"{self._view.task.id} does not pass yet. Press s to leave it for now."
            self._show_soon(note=left)

    def _go_to(self, task: Task) -> None:
        self._at_home = True
        self._show_soon(task=task, hints=0)

    def _again(self) -> None:
        if self._copy:  # else the screen says why nothing can be checked, and goes on doing so
            self._ask()

    def _open(self) -> None:
        """Open the lesson's page at the task, where there is a browser."""
        anchor = self._lesson.anchor(self._view.task)
        if not _has_browser():
            self._show_soon(note=f"There is no browser here. The page is {anchor}.")
            return
        url = f"{self._lesson.page.as_uri()}#{anchor.partition('#')[2]}"
        subprocess.Popen(  # in a process of its own: some browsers print, and some take their time
            [sys.executable, "-m", "webbrowser", url],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        self._show_soon(note=f"Your browser opens {anchor}.")

    def _quit(self) -> None:
        self._over = True


def _has_browser() -> bool:
    """Tell whether a browser can show itself elsewhere than in this terminal."""
    names = ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER")
    return sys.platform == "darwin" or any(os.environ.get(name) for name in names)
