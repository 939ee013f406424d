"""What is remembered between two commands: the last verdicts, and which hints were shown."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from course import files, release
from course.catalog import Course, Lesson, Task
from course.snapshot import Snapshot, take
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
                if all(map(_is_whole, found)):
                    self._verdicts[folder] = (str(entry["of"]), found)

    @property
    def _path(self) -> Path:
        return self.course.root / "work" / ".progress.json"

    def remember(self, lesson: Lesson, copy: Snapshot, verdicts: Sequence[Verdict]) -> None:
        """Keep the verdicts on `copy`: the student's, as it was when it was checked."""
        self._verdicts[lesson.folder] = (self._state(lesson, copy), tuple(verdicts))
        self._save()

    def verdicts(self, lesson: Lesson, copy: Snapshot) -> tuple[Verdict, ...] | None:
        """Return the last verdicts, one a task.

        None where they are not on `copy`, or its checks have changed, or one is missing.
        """
        of, found = self._verdicts.get(lesson.folder, ("", ()))
        whole = [verdict.id for verdict in found] == [task.id for task in lesson.tasks]
        return found if whole and of == self._state(lesson, copy) else None

    def next_task(self, lesson: Lesson) -> Task | None:
        """Return the first task that had not passed when it was last checked.

        A copy that is the starter is new, whatever is remembered of the one before it.
        """
        if take(lesson.work) == take(lesson.starter):
            return lesson.tasks[0]
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
        """Return how many hints for `task` to show now: one more than the last time.

        They are all shown where that cannot be remembered: the second would never come.
        """
        shown = min(self._hints.get(task.id, 0) + 1, len(task.hints))
        self._hints[task.id] = shown
        return shown if self._save() else len(task.hints)

    def _state(self, lesson: Lesson, copy: Snapshot) -> str:
        """Return a name for what the verdicts depend on, but for the program that checks."""
        root = self.course.root
        sources = [*sorted(lesson.checks.parent.glob("*.py")), root / "lessons" / "course.toml"]
        sources += release.pins(root)
        texts = [hashlib.sha256(path.read_bytes()).hexdigest() for path in sources]
        return " ".join([copy.digest, take(lesson.starter).digest, *texts])

    def _save(self) -> bool:
        """Write the memory down; tell whether that was possible."""
        verdicts = {
            folder: {"of": of, "tasks": [asdict(verdict) for verdict in found]}
            for folder, (of, found) in self._verdicts.items()
        }
        text = json.dumps({"verdicts": verdicts, "hints": self._hints}, indent=1)
        try:
            files.replace(self._path, text.encode())
        except OSError:  # what cannot be remembered is only asked for again
            return False
        return True


def _is_whole(verdict: Verdict) -> bool:
    texts = (verdict.id, verdict.title, verdict.message)
    return verdict.state in STATES and all(isinstance(text, str) for text in texts)


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}


def _items(data: Any, name: str) -> list[tuple[str, Any]]:
    """Return what a part of the memory holds; nothing where it is not of the right shape."""
    part = data.get(name) if isinstance(data, dict) else None
    return list(part.items()) if isinstance(part, dict) else []
