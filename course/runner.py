"""Start the programs of one check after another, and keep in between what makes that quick."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, replace
from typing import Any

from course.processes import (
    COMMAND_SECONDS,
    START_SECONDS,
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
    served: Written | None = None
    """Where it was served last. An app that is started again there must be another one."""

    def may_be_forked(self, job: Job, written: Written) -> bool:
        """Tell whether it can be forked now, as a program that begins."""
        again = job.serve and self.served is written
        return not again and (self.forked is None or self.forked.ended())


class Runner:
    """Starts programs. All must be of the same copy, in the same folder, one check after another.

    Where the folder is as the copy was written, a program need not be started: it is forked off
    one that was, in that folder and with those files, and has come as far as depends on nothing
    else (see `course.job`). So the copy's own code has run, as it always does. What it keeps from
    its start, such as a random number, is the same in all of them. In a sandbox, where nobody is
    trusted, each is started.

    `hidden` are modules that the copy's own files hide.
    """

    def __init__(self, forks: ForkServer, hidden: frozenset[str]) -> None:
        self.forks = forks
        self.hung: dict[str, TimedOut] = {}
        """Ways to serve that did not start in time as they are: they are not waited for again."""
        self._hidden = hidden
        self._unfit: set[str] = set()  # scripts of which there is no zygote to be had
        self._zygotes: dict[str, _Zygote] = {}

    def start(self, job: Job) -> Program:
        """Start `job` as `ForkServer.start` does."""
        return self.forks.start(replace(job, hidden=self._hidden), job.cwd.parent)

    def run(self, job: Job, written: Written) -> Finished:
        """Run `job` to its end."""
        program, _ = self._fork(job, written, COMMAND_SECONDS)
        if program is None or self._is_lost(program, written):
            program = self.start(job)
        return program.wait()

    def serve(self, job: Job, written: Written) -> tuple[Program, dict[str, Any] | None]:
        """Start `job`, which serves an app; return it and what it says of itself, if it serves."""
        program, facts = self._fork(job, written, START_SECONDS)
        if program is None or (facts is None and self._is_lost(program, written)):
            program = self.start(job)
            facts = program.wait_until_serving(START_SECONDS)
        return program, facts

    def _fork(
        self, job: Job, written: Written, seconds: float
    ) -> tuple[Program | None, dict[str, Any] | None]:
        """Do as `serve` with what is forked off a zygote, which may be started for it.

        Return no program where there is none to be forked.
        """
        script, scratch = job.argv[0], job.cwd.parent
        if not self._may_fork(job, written):
            return None, None
        zygote = self._zygotes.get(script)
        if zygote is None:
            beside = set(os.listdir(scratch))
            program = self.start(replace(job, zygote=True, seconds=ZYGOTE_SECONDS))
            facts = program.wait_until_serving(seconds)
            if not facts or "zygote" not in facts:  # nobody can fork it, so it is what `job` asks
                return program, facts
            changes = written.changes()
            if changes is None or set(os.listdir(scratch)) != beside:
                self._unfit.add(script)
                program.kill()
                written.restore()
                return None, None
            zygote = self._zygotes[script] = _Zygote(program, changes)
        elif zygote.may_be_forked(job, written):
            written.change(zygote.changes)
        else:
            return None, None
        zygote.served = written if job.serve else zygote.served
        try:
            zygote.forked = self.forks.start(job, scratch, zygote.program)
        except OSError:  # it has ended
            self._forget(script, written)
            return None, None
        return zygote.forked, zygote.forked.wait_until_serving(seconds) if job.serve else None

    def _may_fork(self, job: Job, written: Written) -> bool:
        script = job.argv[0]
        usual = not job.env and not job.stdin and not self._hidden and script.endswith(".py")
        adopted = sys.platform == "linux"  # elsewhere nobody adopts orphans
        trusted = adopted and not self.forks.sandboxed
        return usual and trusted and script not in self._unfit and written.changes() == {}

    def _is_lost(self, program: Program, written: Written) -> bool:
        """Tell whether its end tells nothing of it, because its zygote has ended; wait for it."""
        if program.wait().reason != "lost":
            return False
        for script in [s for s, zygote in self._zygotes.items() if zygote.forked is program]:
            self._forget(script, written)
        return True

    def _forget(self, script: str, written: Written) -> None:
        """Forget a zygote that has ended, and what its start has changed in the folder."""
        self._zygotes.pop(script).program.kill()
        written.restore()
