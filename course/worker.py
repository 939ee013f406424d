"""A process that checks a student's copy whenever it is asked, with all that checks need warm."""

from __future__ import annotations

import contextlib
import os
import signal
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING

from course import copies
from course.catalog import Course, Lesson, Task
from course.errors import CourseError
from course.job import die_with_parent
from course.processes import ForkServers, fork
from course.snapshot import take
from course.verdicts import Verdict

if TYPE_CHECKING:
    from course.checker import Checker


@dataclass(frozen=True)
class Began:
    """A run of checks has begun, on the files that have this digest."""

    digest: str


@dataclass(frozen=True)
class Ended:
    """The run has ended: each task has its verdict, or, with `trouble`, there are no more."""

    trouble: str = ""


Message = Began | Verdict | Ended
"""What a run sends: its beginning, a verdict for each task as soon as it is known, and its end."""


class Worker:
    """The process. It is asked with `ask`, and what it says is taken with `hear`."""

    def __init__(self, course: Course, lesson: Lesson) -> None:
        self._pipe, theirs = Pipe()

        def work() -> None:
            self._pipe.close()  # so that the end of the other process is seen
            _work(course, lesson, theirs)

        self._pid = beside(work, Path(os.devnull))
        theirs.close()

    def fileno(self) -> int:
        """Return the descriptor that can be read when there is something to hear."""
        return self._pipe.fileno()

    def ask(self, first: Task) -> None:
        """Have the copy checked as it stands, beginning with the task `first`.

        A run that is not at its end is given up, and says nothing more.
        """
        with contextlib.suppress(OSError):  # it has ended, which `hear` tells
            self._pipe.send(first)

    def hear(self) -> Message:
        """Return what it says next. Raises `CourseError` where the process has ended."""
        try:
            message: Message = self._pipe.recv()
        except (EOFError, OSError):
            raise CourseError("The process that runs the checks has ended. Begin again.") from None
        return message

    def let_go(self) -> None:
        """Close our end of the pipe in a process that has it by a fork alone.

        Else the worker would not see that the one it works for has ended.
        """
        self._pipe.close()

    def close(self) -> None:
        """End the process, and with it every program that it runs."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._pid, signal.SIGINT)
        self._pipe.close()
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self._pid, 0)


def beside(work: Callable[[], None], log: Path) -> int:
    """Do `work` in a process with a session of its own, so that no key at the terminal reaches it.

    What it prints goes into the file `log`. Return the id of the process, which leads its group.
    Where this process is killed, that one is stopped as by Ctrl-C (Linux). Raises `OSError` where
    `log` cannot be written.
    """
    with open(log, "wb") as file:
        if pid := fork():
            return pid
        try:
            os.setsid()
            die_with_parent(signal.SIGINT)  # by which it ends what it has started, too
            with open(os.devnull, "rb") as nothing:
                for source, target in ((nothing, 0), (file, 1), (file, 2)):
                    os.dup2(source.fileno(), target)
            work()
        except Exception:
            traceback.print_exc()
        finally:
            os._exit(0)


def _work(course: Course, lesson: Lesson, pipe: Connection) -> None:
    with ForkServers() as servers, contextlib.suppress(KeyboardInterrupt, EOFError):
        servers.get(course.imports(lesson))  # imports while we do: what follows takes its time
        from course.checker import Checker

        checker = Checker(course, servers)
        while True:
            first: Task = pipe.recv()
            while pipe.poll():
                first = pipe.recv()
            _check(checker, lesson, first, pipe)


def _check(checker: Checker, lesson: Lesson, first: Task, pipe: Connection) -> None:
    from course.checker import Follower, Unwanted

    try:
        copy = take(lesson.work)
        pipe.send(Began(copy.digest))
        follower = Follower(first, pipe.send, pipe)
        checker.check_copy(lesson, copy, follower=follower, begun=copies.begun(lesson))
        pipe.send(Ended())
    except Unwanted:
        pass
    except CourseError as error:
        pipe.send(Ended(str(error)))
