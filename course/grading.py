"""Grade a class: each submission in a process of its own, and its programs in a sandbox."""

from __future__ import annotations

import hashlib
import json
import os
import re
import resource
import select
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

from course import diffs, files, processes, release, submissions
from course.answers import exit_words
from course.catalog import Course, Lesson
from course.checker import CORES, LESSON_SECONDS, Checker, warm_up
from course.errors import CourseError
from course.job import die_with_parent
from course.processes import ForkServers, ScratchFolder, fork, noting_stops
from course.rules import Rules
from course.snapshot import Snapshot, take
from course.submissions import Submission
from course.supervisor import adopt_orphans, children, kill_orphans
from course.verdicts import CRASHED, NOT_ATTEMPTED, PASSED, TIMED_OUT, Verdict

GRADED = "graded"
TAMPERED = "tampered"
UNREADABLE = "unreadable"

EARLIER_SECONDS = 2 * LESSON_SECONDS
"""How long the checks of all earlier lessons may take: those that have not begun then time out."""

STEP_SECONDS = EARLIER_SECONDS + 60
"""How long a submission's process may be silent: longer than the checks of a lesson can take."""

MEMORY_LIMIT = 4 * 1024 * 1024 * 1024
"""Bytes of address space for the process that reads a submission and what its pages say."""

DIFF_LIMIT = 200_000
"""Characters of a diff that a report shows."""

FILE_LIMIT = 50_000
"""Characters that it shows of one file's part."""

MESSAGE_LIMIT = 2_000
"""Characters that it shows of a message or a note."""

NOTES_LIMIT = 20
"""Notes that it shows of a submission."""


@dataclass
class LessonGrade:
    """How one lesson of a submission stands. The last task may be that the earlier ones pass."""

    number: int
    tasks: list[Verdict]
    diff: str = ""


@dataclass
class Grade:
    """How one submission stands."""

    name: str
    state: str = GRADED
    notes: list[str] = field(default_factory=list)
    lessons: list[LessonGrade] = field(default_factory=list)
    key: str = ""
    """A name for all that the verdicts depend on."""
    seconds: float = 0

    def add(self, more: LessonGrade) -> None:
        """Add what was found in a lesson. A task that has its verdict already keeps it."""
        for lesson in self.lessons:
            if lesson.number == more.number:
                known = {task.id for task in lesson.tasks}
                lesson.tasks += [task for task in more.tasks if task.id not in known]
                return
        self.lessons.append(more)

    def task(self, id_: str) -> Verdict | None:
        """Return the verdict on a task, or None where it was not looked at."""
        found = (task for lesson in self.lessons for task in lesson.tasks if task.id == id_)
        return next(found, None)


def from_json(data: dict[str, Any]) -> Grade:
    """Return the grade that `asdict` has made into what JSON can hold."""
    lessons = [
        LessonGrade(each["number"], [Verdict(**task) for task in each["tasks"]], each["diff"])
        for each in data["lessons"]
    ]
    return Grade(**data | {"lessons": lessons})


@dataclass
class Grader:
    """Grades submissions, as many at a time as there are cores, and keeps each grade in a file.

    What is in `kept` already, of the same submission under the same rules, is not done again.
    """

    course: Course
    rules: Rules
    kept: Path
    sandboxed: bool

    def __post_init__(self) -> None:
        self._release = _release(self.course, self.rules, self.sandboxed)
        warm_up(self.course)

    def grade(self, found: tuple[Submission, ...]) -> Iterator[Grade]:
        """Yield the grade of each submission when it is there.

        Raises `CourseError` where `kept` cannot be written, and `KeyboardInterrupt`, of what is
        told to stop, only here: what was begun is undone.
        """
        try:
            self.kept.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise CourseError(f"{self.kept} cannot be written: {error.strerror}.") from error
        waiting = list(reversed(found))
        running: list[_Running] = []
        adopt_orphans()  # what bubblewrap leaves where it is killed while it starts
        others = children()
        with noting_stops() as stopped, ScratchFolder() as scratch:
            try:
                while waiting or running:
                    if stopped:
                        raise KeyboardInterrupt
                    while waiting and len(running) < CORES:
                        core = min(set(range(CORES)) - {each.core for each in running})
                        alone = len(found) == 1  # it may have them all
                        running.append(_Running(self, waiting.pop(), Path(scratch), core, alone))
                    for each in _ready(running):
                        if each.over():
                            running.remove(each)
                            kill_orphans(others | {other.pid for other in running})
                            if not each.was_kept:
                                self._keep(each.grade)
                            yield each.grade
                            files.remove(each.scratch)
            finally:
                for each in running:
                    each.kill()
                    each.put_away()
                kill_orphans(others)
                files.remove(Path(scratch))

    def stored(self, name: str) -> Grade | None:
        """Return the grade that is kept of a submission, or None where none can be read."""
        try:
            grade = from_json(json.loads(self._file(name).read_text("utf-8")))
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            return None
        return grade if grade.name == name else None

    def one(self, submission: Submission, tell: Callable[[dict[str, Any]], None]) -> None:
        """Grade one submission, and tell each thing as soon as it is known."""
        try:
            work = submissions.read(submission, self.course)
        except CourseError as error:
            tell({"state": UNREADABLE, "notes": _few([str(error)])})
            return
        key = hashlib.sha256(f"{self._release} {work.digest}".encode()).hexdigest()
        stored = self.stored(submission.name)
        if stored and stored.key == key:
            tell(asdict(stored))
            return
        numbers = self.rules.lessons or tuple(work.copies)
        lessons = [self.course.lesson(number) for number in numbers if number in work.copies]
        state = TAMPERED if work.tampered else GRADED
        notes = _few([*work.tampered, *work.left_out])
        tell({"state": state, "notes": notes, "due": [lesson.number for lesson in lessons]})
        sound = True
        for lesson in lessons:
            sound = self._lesson(lesson, work.copies[lesson.number], tell) and sound
        if sound:  # else it is not taken from what is kept, but graded again
            tell({"key": key})

    def _lesson(
        self, lesson: Lesson, handed_in: Snapshot, tell: Callable[[dict[str, Any]], None]
    ) -> bool:
        """Lay a student's files over the starter, and tell what comes of it, as soon as it comes.

        Return whether that was possible, whatever was found.
        """
        starter = take(lesson.starter)
        copy, sound = handed_in.over(starter), True
        try:
            diff = _shown(diffs.changes(starter, copy), starter)
        except (CourseError, OSError) as error:  # such as a disk that is full
            diff, sound = f"There is no diff: {error}", False

        def found(tasks: list[Verdict]) -> None:
            short = [replace(task, message=_short(task.message)) for task in tasks]
            tell({"lesson": asdict(LessonGrade(lesson.number, short, diff))})

        try:
            with ForkServers(self.sandboxed) as servers:
                checker = Checker(self.course, servers)
                own = list(checker.check_copy(lesson, copy))
                found(own)
                if self.rules.checks_earlier(self.course, lesson):
                    found([self._earlier(checker, lesson, copy, own)])
        except (CourseError, OSError, MemoryError) as error:
            found(self.all_tasks(lesson, CRASHED, f"It could not be checked: {error}"))
            sound = False
        return sound

    def _earlier(
        self, checker: Checker, lesson: Lesson, copy: Snapshot, own: list[Verdict]
    ) -> Verdict:
        """Say whether the tasks of the lessons before still pass in the copy of a later one."""
        began = time.perf_counter()
        id_, title = self.rules.tasks(self.course, lesson)[-1]
        if all(verdict.state != PASSED for verdict in own):  # all that passes was given
            return Verdict(id_, title, NOT_ATTEMPTED, "No task of the lesson itself passes yet.", 0)
        until = time.monotonic() + EARLIER_SECONDS
        before = self.course.before(lesson)
        found = [
            each for one in before for each in checker.check_copy(lesson, copy, one, until=until)
        ]
        lost = [each for each in found if each.state != PASSED]
        seconds = time.perf_counter() - began
        if not lost:
            return Verdict(id_, title, PASSED, "", seconds)
        said = "\n".join(f"{each.id} {each.title}: {each.message}" for each in lost)
        return Verdict(id_, title, lost[0].state, said, seconds)

    def all_tasks(self, lesson: Lesson, state: str, message: str) -> list[Verdict]:
        """Return one verdict for each task of a lesson."""
        tasks = self.rules.tasks(self.course, lesson)
        return [Verdict(id_, title, state, message, 0) for id_, title in tasks]

    def _keep(self, grade: Grade) -> None:
        file = self._file(grade.name)
        try:
            files.replace(file, json.dumps(asdict(grade)).encode())
        except OSError as error:
            raise CourseError(f"{file} cannot be written: {error.strerror}.") from error

    def _file(self, name: str) -> Path:
        return self.kept / f"{file_name(name)}.json"


def file_name(name: str) -> str:
    """Return a name for files about a submission, of which no two have the same."""
    safe = quote(name, safe=" ", errors="surrogateescape")
    if len(safe) <= 100:
        return safe
    digest = hashlib.sha256(name.encode("utf-8", "surrogateescape")).hexdigest()
    return f"{safe[:80]}+{digest[:16]}"  # quote leaves no +: no other name is this one as it is


def _shown(diff: str, starter: Snapshot) -> str:
    """Return what a report shows of a diff: of each file a part, and those of the lesson first."""
    parts = [part for part in re.split(r"^(?=diff --git )", diff, flags=re.MULTILINE) if part]
    ours = {f"diff --git before/{path} after/{path}" for path in starter.files}
    parts.sort(key=lambda part: part.partition("\n")[0] not in ours)
    shown = ""
    for number, part in enumerate(parts):
        if len(shown) + min(len(part), FILE_LIMIT) > DIFF_LIMIT:
            return f"{shown}… {len(parts) - number} files more are not shown.\n"
        left = len(part) - FILE_LIMIT
        shown += f"{part[:FILE_LIMIT]}\n… {left} characters more.\n" if left > 0 else part
    return shown


def _short(text: str) -> str:
    """Return what a report shows of a sentence in which a student's program has a say."""
    return text if len(text) <= MESSAGE_LIMIT else f"{text[:MESSAGE_LIMIT]}…"


def _few(notes: list[str]) -> list[str]:
    """Return what a report shows of the notes on a submission."""
    more = [f"And {len(notes) - NOTES_LIMIT} more."] if len(notes) > NOTES_LIMIT else []
    return [_short(note) for note in notes[:NOTES_LIMIT]] + more


class _Running:
    """A process that grades a submission, and what it has told so far."""

    def __init__(
        self, grader: Grader, submission: Submission, scratch: Path, core: int, alone: bool
    ) -> None:
        self.grade = Grade(submission.name)
        self.core = core
        self.was_kept = False
        self._grader = grader
        self._due: list[int] = []
        self._told = b""
        self._began = self._heard = time.monotonic()
        self.scratch = Path(tempfile.mkdtemp(dir=scratch))
        self.pipe, write = os.pipe()
        self.pid = fork()
        if self.pid == 0:
            os.close(self.pipe)
            _be_child(grader, submission, self.scratch, write, None if alone else core)
        os.close(write)

    @property
    def late(self) -> bool:
        """Whether it has said nothing for longer than anything takes."""
        return time.monotonic() - self._heard > STEP_SECONDS

    def over(self) -> bool:
        """Take what the process has told; tell whether it has ended, and has been put away."""
        told = select.select([self.pipe], [], [], 0)[0]
        chunk = os.read(self.pipe, 1 << 20) if told else b""
        if chunk:
            self._heard = time.monotonic()
        *lines, self._told = (self._told + chunk).split(b"\n")
        for line in lines:
            self._take(json.loads(line))
        if chunk:
            return False
        late = not told
        if late:
            self.kill()
        ended = self.put_away()
        state, said = CRASHED, f"What checks it has ended ({exit_words(ended)})."
        if late:
            state, said = TIMED_OUT, f"Nothing came for {STEP_SECONDS:g} seconds."
        for number in self._due:
            lesson = self._grader.course.lesson(number)
            self.grade.add(LessonGrade(number, self._grader.all_tasks(lesson, state, said)))
        if not self.grade.key and not self.grade.notes and not self.grade.lessons:
            self.grade.state, self.grade.notes = UNREADABLE, ["It could not be read in time."]
        if not self.was_kept:
            self.grade.seconds = time.monotonic() - self._began
        return True

    def kill(self) -> None:
        """End the process, and with it all that it has started."""
        with suppress(ProcessLookupError):  # it leads no group yet
            os.killpg(self.pid, signal.SIGKILL)
        os.kill(self.pid, signal.SIGKILL)

    def put_away(self) -> int:
        """Wait for the process's end; return its exit code."""
        os.close(self.pipe)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])

    def _take(self, told: dict[str, Any]) -> None:
        if "lesson" in told:
            self.grade.add(from_json({"name": "", "lessons": [told["lesson"]]}).lessons[0])
        elif "name" in told:  # what was kept
            self.grade, self.was_kept = from_json(told), True
        else:
            self._due = told.pop("due", self._due)
            for name, value in told.items():
                setattr(self.grade, name, value)


def _ready(running: list[_Running]) -> list[_Running]:
    """Wait a moment at most; return those who have told something, or nothing for too long."""
    readable = select.select([each.pipe for each in running], [], [], 0.2)[0]
    return [each for each in running if each.pipe in readable or each.late]


def _be_child(
    grader: Grader, submission: Submission, scratch: Path, write: int, core: int | None
) -> None:
    """Grade the submission in this process, and end it. Nothing of it is left in the first one.

    All of it runs on one core, if any: whatever it starts takes no time from another submission. A
    sandbox forbids to choose another core.
    """
    code = 1
    try:
        if core is not None and hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(0, {sorted(os.sched_getaffinity(0))[core]})
        os.setsid()  # Ctrl-C at the terminal is for the first process
        die_with_parent()
        with open(os.devnull, "r+b") as nothing:  # whatever it prints is not for the terminal
            for fd in (0, 1, 2):
                os.dup2(nothing.fileno(), fd)
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_LIMIT, MEMORY_LIMIT))
        if sys.platform == "linux":  # elsewhere a socket's path would become too long
            tempfile.tempdir = str(scratch)
            processes.scratch_root = scratch
        with open(write, "wb") as pipe:

            def tell(what: dict[str, Any]) -> None:
                pipe.write(json.dumps(what).encode() + b"\n")
                pipe.flush()

            grader.one(submission, tell)
        code = 0
    finally:
        os._exit(code)


def _release(course: Course, rules: Rules, sandboxed: bool) -> str:
    """Return a name for everything but the submission that verdicts depend on."""
    root = course.root
    texts = [f"{sys.version} {rules.lessons} {rules.earlier} {sandboxed}"]
    texts += [hashlib.sha256(path.read_bytes()).hexdigest() for path in release.pins(root)]
    for folder in ("checks", "course", "lessons"):
        for path in sorted((root / folder).rglob("*")):
            if path.suffix in {".py", ".toml", ".ini", ".html", ".txt", ".css", ".csv"}:
                texts.append(
                    f"{path.relative_to(root)} {hashlib.sha256(path.read_bytes()).hexdigest()}"
                )
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()
