"""Start the programs of one check after another, and keep in between what makes that quick."""

from __future__ import annotations

import contextlib
import os
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from course.processes import (
    COMMAND_SECONDS,
    SOCKET,
    START_SECONDS,
    STDIN,
    Finished,
    ForkServer,
    Job,
    Program,
)
from course.verdicts import TimedOut
from course.written import Changes, Written

ZYGOTE_SECONDS = 300.0
"""How long a zygote may live: longer than all checks of a lesson need."""


@dataclass
class _Zygote:
    """A program that waits to be forked, and what its start has changed in the folder."""

    program: Program
    changes: Changes
    forked: Program | None = None
    """What was forked off it last. While that runs, its supervisor takes no other job."""

    def free(self) -> bool:
        """Tell whether it can be forked now."""
        return self.forked is None or self.forked.ended()


class Runner:
    """Starts programs. All must be of the same copy, in the same folder, one check after another.

    Where the folder is as the copy was written, a program need not be started: it is forked off
    one that was, in that folder and with those files, and has come as far as depends on nothing
    else (see `course.job`). So the copy's own code has run, as it always does.

    `hidden` are modules that the copy's own files hide, `templates` is a folder in which to keep
    those that are compiled.
    """

    def __init__(self, forks: ForkServer, hidden: frozenset[str], templates: Path) -> None:
        self.forks = forks
        self.hung: dict[str, TimedOut] = {}
        """Ways to serve that did not start in time once: they are not waited for again."""
        self._hidden = hidden
        self._templates = templates
        self._unfit: set[str] = set()  # scripts of which there is no zygote to be had
        self._zygotes: dict[str, _Zygote] = {}

    def start(self, job: Job, scratch: Path) -> Program:
        """Start `job` as `ForkServer.start` does."""
        return self.forks.start(self._complete(job), scratch)

    def run(self, job: Job, scratch: Path, written: Written) -> Finished:
        """Run `job` to its end."""
        program, _ = self._fork(job, scratch, written, COMMAND_SECONDS)
        if program is None or self._is_lost(program):
            program = self.start(job, scratch)
        return program.wait()

    def serve(
        self, job: Job, scratch: Path, written: Written
    ) -> tuple[Program, dict[str, Any] | None]:
        """Start `job`, which serves an app; return it and what it says of itself, if it serves."""
        program, facts = self._fork(job, scratch, written, START_SECONDS)
        if program is None or (facts is None and self._is_lost(program)):
            program = self.start(job, scratch)
            facts = program.wait_until_serving(START_SECONDS)
        return program, facts

    def _fork(
        self, job: Job, scratch: Path, written: Written, seconds: float
    ) -> tuple[Program | None, dict[str, Any] | None]:
        """Do as `serve` with what is forked off a zygote, which may be started for it.

        Return no program where there is none to be forked.
        """
        job, script = self._complete(job), job.argv[0]
        if not self._may_fork(job, written):
            return None, None
        zygote = self._zygotes.get(script)
        if zygote is None:
            beside = os.listdir(scratch)
            program = self.forks.start(_as_zygote(job), scratch)
            facts = program.wait_until_serving(seconds)
            if not facts or "zygote" not in facts:  # nobody can fork it, so it is what `job` asks
                return program, facts
            changes = written.changes()
            if changes is None or _made_more(scratch, beside):
                self._unfit.add(script)
                program.kill()
                written.restore()
                return None, None
            zygote = self._zygotes[script] = _Zygote(program, changes)
        elif zygote.free():
            written.change(zygote.changes)
        else:
            return None, None
        with contextlib.suppress(OSError):  # it has ended
            zygote.forked = self.forks.start(job, scratch, zygote.program)
            facts = zygote.forked.wait_until_serving(seconds) if job.serve else None
            return zygote.forked, facts
        self._zygotes.pop(script).program.kill()
        return None, None

    def _may_fork(self, job: Job, written: Written) -> bool:
        script = job.argv[0]
        usual = not job.env and not job.hidden and script.endswith(".py")
        adopted = sys.platform == "linux"  # elsewhere nobody adopts orphans
        return usual and adopted and script not in self._unfit and written.changes() == {}

    def _is_lost(self, program: Program) -> bool:
        """Tell whether its end tells nothing of it, because its zygote has ended; wait for it."""
        if program.wait().reason != "lost":
            return False
        for script in [s for s, zygote in self._zygotes.items() if zygote.forked is program]:
            self._zygotes.pop(script).program.kill()
        return True

    def _complete(self, job: Job) -> Job:
        return replace(job, hidden=self._hidden, templates=str(self._templates))


def _as_zygote(job: Job) -> Job:
    return replace(job, zygote=True, seconds=ZYGOTE_SECONDS)


def _made_more(scratch: Path, before: list[str]) -> bool:
    """Tell whether something is beside the lesson's folder that nobody of us has put there."""
    new = set(os.listdir(scratch)) - {*before, STDIN}
    return any(not name.endswith(SOCKET) for name in new)
