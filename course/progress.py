"""What is remembered between two commands: the last verdicts, and which hints were shown."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from course.catalog import Course, Lesson, Task
from course.snapshot import take
from course.verdicts import PASSED, STATES, Verdict


class Progress:
    """The memory, in a file in work/. What cannot be read of it is begun afresh."""

    def __init__(self, course: Course) -> None:
        self.course = course
        data = _read(self._path)
        self._hints = {id_: n for id_, n in _items(data, "hints") if isinstance(n, int) and n > 0}
        self._verdicts = {}
        for folder, entry in _items(data, "verdicts"):
            with contextlib.suppress(TypeError, KeyError):
                found = tuple(Verdict(**verdict) for verdict in entry["tasks"])
                if all(verdict.state in STATES for verdict in found):
                    self._verdicts[folder] = (str(entry["of"]), found)

    @property
    def _path(self) -> Path:
        return self.course.root / "work" / ".progress.json"

    def remember(self, lesson: Lesson, verdicts: Sequence[Verdict]) -> None:
        """Keep the verdicts on the student's copy as it stands now."""
        self._verdicts[lesson.folder] = (self._state(lesson), tuple(verdicts))
        self._save()

    def verdicts(self, lesson: Lesson) -> tuple[Verdict, ...] | None:
        """Return the last verdicts, or None where the copy or its checks have changed since."""
        of, found = self._verdicts.get(lesson.folder, ("", ()))
        return found if found and of == self._state(lesson) else None

    def next_task(self, lesson: Lesson) -> Task | None:
        """Return the first task that had not passed when it was last checked."""
        _, found = self._verdicts.get(lesson.folder, ("", ()))
        passed = {verdict.id for verdict in found if verdict.state == PASSED}
        return next((task for task in lesson.tasks if task.id not in passed), None)

    def forget(self, lesson: Lesson) -> None:
        """Forget the verdicts on a copy that was begun anew, and which hints were shown for it."""
        self._verdicts.pop(lesson.folder, None)
        for task in lesson.tasks:
            self._hints.pop(task.id, None)
        self._save()

    def next_hint(self, task: Task) -> int:
        """Return how many hints for `task` to show now: one more than the last time."""
        shown = min(self._hints.get(task.id, 0) + 1, len(task.hints))
        self._hints[task.id] = shown
        self._save()
        return shown

    def _state(self, lesson: Lesson) -> str:
        """Return a name for all that the verdicts depend on."""
        sources = [lesson.checks, self.course.root / "lessons" / "course.toml"]
        texts = [hashlib.sha256(path.read_bytes()).hexdigest() for path in sources]
        return " ".join([take(lesson.work).digest, take(lesson.starter).digest, *texts])

    def _save(self) -> None:
        verdicts = {
            folder: {"of": of, "tasks": [asdict(verdict) for verdict in found]}
            for folder, (of, found) in self._verdicts.items()
        }
        text = json.dumps({"verdicts": verdicts, "hints": self._hints}, indent=1)
        new = self._path.with_suffix(f".{os.getpid()}.new")  # another command may be saving too
        with contextlib.suppress(OSError):  # what cannot be remembered is only asked for again
            new.write_text(text, "utf-8")
            os.replace(new, self._path)


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}


def _items(data: Any, name: str) -> list[tuple[str, Any]]:
    """Return what a part of the memory holds; nothing where it is not of the right shape."""
    part = data.get(name) if isinstance(data, dict) else None
    return list(part.items()) if isinstance(part, dict) else []
