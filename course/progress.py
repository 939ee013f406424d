"""What is remembered between two commands: the last verdicts, and which hints were shown."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from course.catalog import Course, Lesson, Task
from course.snapshot import take
from course.verdicts import PASSED, Verdict


@dataclass
class Progress:
    """The memory, in a file in work/. A file that cannot be read is begun afresh."""

    course: Course
    _data: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        try:
            self._data = json.loads(self._path.read_text("utf-8"))
            assert isinstance(self._data["verdicts"], dict)
            assert isinstance(self._data["hints"], dict)
        except (OSError, ValueError, KeyError, TypeError, AssertionError):
            self._data = {"verdicts": {}, "hints": {}}

    @property
    def _path(self) -> Path:
        return self.course.root / "work" / ".progress.json"

    def remember(self, lesson: Lesson, verdicts: Sequence[Verdict]) -> None:
        """Keep the verdicts on the student's copy as it stands now."""
        entry = {"of": self._state(lesson), "tasks": [asdict(verdict) for verdict in verdicts]}
        self._data["verdicts"][lesson.folder] = entry
        self._save()

    def verdicts(self, lesson: Lesson) -> tuple[Verdict, ...] | None:
        """Return the last verdicts, or None where the copy or its checks have changed since."""
        entry = self._data["verdicts"].get(lesson.folder, {})
        return self._last(lesson) if entry and entry.get("of") == self._state(lesson) else None

    def next_task(self, lesson: Lesson) -> Task | None:
        """Return the first task that had not passed when it was last checked."""
        passed = {verdict.id for verdict in self._last(lesson) or () if verdict.state == PASSED}
        return next((task for task in lesson.tasks if task.id not in passed), None)

    def next_hint(self, task: Task) -> int:
        """Return how many hints for `task` to show now: one more than the last time."""
        shown = self._data["hints"].get(task.id, 0)
        shown = min((shown if isinstance(shown, int) else 0) + 1, len(task.hints))
        self._data["hints"][task.id] = shown
        self._save()
        return shown

    def _last(self, lesson: Lesson) -> tuple[Verdict, ...] | None:
        try:
            entry = self._data["verdicts"][lesson.folder]
            return tuple(Verdict(**verdict) for verdict in entry["tasks"])
        except (KeyError, TypeError):
            return None

    def _state(self, lesson: Lesson) -> str:
        """Return a name for all that the verdicts depend on."""
        sources = [lesson.checks, self.course.root / "lessons" / "course.toml"]
        texts = [hashlib.sha256(path.read_bytes()).hexdigest() for path in sources]
        return " ".join([take(lesson.work).digest, take(lesson.starter).digest, *texts])

    def _save(self) -> None:
        new = self._path.with_suffix(".new")
        new.write_text(json.dumps(self._data, indent=1), "utf-8")
        os.replace(new, self._path)
