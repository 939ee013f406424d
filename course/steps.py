"""Pages of what each lesson adds: the code before it and after it, side by side, word by word."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import cached_property
from itertools import groupby, zip_longest
from pathlib import Path

from jinja2 import Environment, FileSystemLoader
from markupsafe import Markup

from course.catalog import ROOT, Course, Lesson
from course.errors import CourseError
from course.snapshot import Snapshot, take

FOLDER = ROOT / "docs" / "steps"
"""Where the pages are made. They are not in version control: they follow from what is."""

NEAR = 3
"""How many unchanged lines are shown above and below a change."""

FOLD = 4
"""Fewer unchanged lines than these are not folded: what unfolds them would be as long."""

ALIKE = 0.5
"""How much of two lines must be the same for one to be a change of the other."""

_WORD = re.compile(r"\w+|\s+|.")


@dataclass(frozen=True)
class Part:
    """A piece of a line, and whether the other side's line has another there."""

    text: str
    changed: bool


@dataclass(frozen=True)
class Line:
    """A line of a file. `parts` is the whole of it, in pieces."""

    number: int
    parts: tuple[Part, ...]


@dataclass(frozen=True)
class Row:
    """What stands side by side. A line that only one side has stands beside nothing."""

    before: Line | None
    after: Line | None
    changed: bool


@dataclass(frozen=True)
class Block:
    """Rows that are shown together. Those of a folded one are unchanged."""

    rows: tuple[Row, ...]
    folded: bool


@dataclass(frozen=True)
class File:
    """One file of a step. `was` is its path before, where it had another."""

    path: str
    before: str | None
    after: str | None
    was: str

    @property
    def what(self) -> str:
        """What the lesson does to the file, in a word or two."""
        if self.was:
            return f"moved from {self.was}"
        if self.before is None:
            return "new"
        if self.after is None:
            return "removed"
        return "changed" if self.before != self.after else "as before"

    @cached_property
    def rows(self) -> tuple[Row, ...]:
        """All lines of both sides."""
        return tuple(_rows(_lines(self.before), _lines(self.after)))

    @property
    def added(self) -> int:
        """How many lines are other ones, or new."""
        return sum(row.changed and row.after is not None for row in self.rows)

    @property
    def removed(self) -> int:
        """How many lines are no longer there as they were."""
        return sum(row.changed and row.before is not None for row in self.rows)

    @property
    def blocks(self) -> list[Block]:
        """The rows, of which those far from any change are folded."""
        changed = [i for i, row in enumerate(self.rows) if row.changed]
        near = {i + distance for i in changed for distance in range(-NEAR, NEAR + 1)}
        runs = groupby(enumerate(self.rows), key=lambda pair: pair[0] in near)
        found = [(shown, tuple(row for _, row in pairs)) for shown, pairs in runs]
        return [Block(rows, not shown and len(rows) >= FOLD) for shown, rows in found]


def write(course: Course, folder: Path) -> list[Path]:
    """Write a page for each lesson into `folder`, which is made; return the pages.

    Raises `CourseError` where they cannot be written.
    """
    here = Path(__file__).parent
    environment = Environment(loader=FileSystemLoader(here), autoescape=True, trim_blocks=True)
    template = environment.get_template("steps.html")
    style = Markup((here / "steps.css").read_text("utf-8"))
    paths = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for lesson in course.lessons:
            before, after = _sides(course, lesson)
            text = template.render(
                lesson=lesson,
                lessons=course.lessons,
                before=before,
                files=_files(take(before), take(after)),
                course=course,
                style=style,
            )
            paths.append(folder / f"{lesson.folder}.html")
            paths[-1].write_text(text, "utf-8")
    except OSError as error:
        raise CourseError(f"{folder} cannot be written: {error.strerror}.") from error
    return paths


def _sides(course: Course, lesson: Lesson) -> tuple[Path, Path]:
    """Return the folders that a page compares. No solution is before the first lesson's."""
    earlier = course.before(lesson)
    return (earlier[-1].solution if earlier else lesson.starter), lesson.solution


def _files(before: Snapshot, after: Snapshot) -> list[File]:
    """Return the files of both sides, those first that are not as they were."""
    gone = {data: path for path, data in before.files.items() if path not in after.files}
    new = [path for path in after.files if path not in before.files]
    moved = {path: gone[after.files[path]] for path in new if gone.get(after.files[path])}
    left = (before.files.keys() | after.files.keys()) - set(moved.values())
    files = [
        File(path, _text(before, moved.get(path, path)), _text(after, path), moved.get(path, ""))
        for path in sorted(left)
    ]
    return sorted(files, key=lambda file: file.what == "as before")


def _text(side: Snapshot, path: str) -> str | None:
    data = side.files.get(path)
    return None if data is None else data.decode("utf-8", "replace")


def _lines(text: str | None) -> list[str]:
    return (text or "").splitlines()


# Rows and words


def _rows(before: list[str], after: list[str]) -> Iterator[Row]:
    matcher = SequenceMatcher(None, before, after, autojunk=False)
    for tag, i, i_end, j, j_end in matcher.get_opcodes():
        if tag == "equal":
            for n in range(i_end - i):
                whole = (Part(before[i + n], False),)
                yield Row(Line(i + n + 1, whole), Line(j + n + 1, whole), False)
        else:
            old = list(enumerate(before[i:i_end], i + 1))
            new = list(enumerate(after[j:j_end], j + 1))
            yield from _beside(old, new)


_Numbered = Sequence[tuple[int, str]]


def _beside(old: _Numbered, new: _Numbered) -> Iterator[Row]:
    """Give lines that were replaced by others, those beside each other that are most alike."""
    pairs = ((_alike(a, b), -i, -j) for i, (_, a) in enumerate(old) for j, (_, b) in enumerate(new))
    likeness, i, j = max(pairs, default=(0.0, 0, 0))
    if likeness < ALIKE:
        for a, b in zip_longest(old, new):
            yield Row(_whole(a), _whole(b), True)
        return
    i, j = -i, -j
    yield from _beside(old[:i], new[:j])
    left, right = _words(old[i][1], new[j][1])
    yield Row(Line(old[i][0], left), Line(new[j][0], right), True)
    yield from _beside(old[i + 1 :], new[j + 1 :])


def _whole(line: tuple[int, str] | None) -> Line | None:
    return Line(line[0], (Part(line[1], False),)) if line else None


def _alike(old: str, new: str) -> float:
    a, b = (list(filter(str.strip, _WORD.findall(line))) for line in (old, new))
    return SequenceMatcher(None, a, b, autojunk=False).ratio() if a and b else 0.0


def _words(old: str, new: str) -> tuple[tuple[Part, ...], tuple[Part, ...]]:
    """Return two lines in parts: those that only one of them has are changed."""
    a, b = _WORD.findall(old), _WORD.findall(new)
    left, right = [], []
    for tag, i, i_end, j, j_end in SequenceMatcher(None, a, b, autojunk=False).get_opcodes():
        left.append(Part("".join(a[i:i_end]), tag != "equal"))
        right.append(Part("".join(b[j:j_end]), tag != "equal"))
    return tuple(part for part in left if part.text), tuple(part for part in right if part.text)
