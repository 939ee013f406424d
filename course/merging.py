"""Merge two copies of a lesson that grew out of one: git's own three-way merge, file by file."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from course import markers
from course.git import as_nobody, run
from course.snapshot import Snapshot, plain_line_ends

_LONG = 29
"""How long git's own marks are: so that no line of a text is taken for one."""

_HUNK = re.compile(
    rf"^<{{{_LONG}}} .*\n(?P<ours>(?:.*\n)*?)"
    rf"\|{{{_LONG}}} .*\n(?P<base>(?:.*\n)*?)"
    rf"={{{_LONG}}}\n(?P<theirs>(?:.*\n)*?)"
    rf">{{{_LONG}}} .*\n",
    re.MULTILINE,
)


@dataclass(frozen=True)
class Sides:
    """What a student calls the two copies: the own one, and the one that is merged into it."""

    ours: str
    theirs: str


@dataclass(frozen=True)
class Conflict:
    """A file in which the student must choose, and why.

    `lines` are those where a choice begins; there are none where it is about the file as a whole.
    """

    file: str
    why: str
    lines: tuple[int, ...] = ()


@dataclass(frozen=True)
class Merge:
    """What a merge gives: all files, those with conflicts too, in which both sides are marked."""

    result: Snapshot
    conflicts: tuple[Conflict, ...]


def merge(base: Snapshot, ours: Snapshot, theirs: Snapshot, sides: Sides) -> Merge:
    """Merge what became of `base` in `theirs` into `ours`. Raises `CourseError` without git.

    Lines end in the result as they do in `ours`. A TODO comment that `theirs` has added where
    `ours` has another text stands above that text: this is no conflict.
    """
    files: dict[str, bytes] = {}
    conflicts = []
    for path in sorted(base.files.keys() | ours.files.keys() | theirs.files.keys()):
        old, own, other = (side.files.get(path) for side in (base, ours, theirs))
        data, conflict = _merge_file(path, old, own, other, sides)
        if data is not None:
            files[path] = data
        if conflict:
            conflicts.append(conflict)
    return Merge(Snapshot(files), tuple(conflicts))


def _merge_file(
    path: str, base: bytes | None, ours: bytes | None, theirs: bytes | None, sides: Sides
) -> tuple[bytes | None, Conflict | None]:
    """Return what becomes of a file, None where it goes away, and what is to be decided of it."""
    if _same(base, theirs) or _same(ours, theirs):
        return ours, None
    if _same(base, ours):
        return _ended_as(ours, theirs), None
    if ours is None and (todos := _added_todos(_text(base), "", _text(theirs))) is not None:
        found = ", ".join(sorted(markers.tasks(todos)))
        why = f"{sides.theirs} has the TODO of {found} there, and yours has no such file."
        why = f"{why} Do that where yours has the same."
        return None, Conflict(path, why) if found else None
    if ours is None or theirs is None:
        gone, changed = (sides.ours, sides.theirs) if ours is None else (sides.theirs, sides.ours)
        why = f"one side has no such file ({gone}), and the other has changed it ({changed})"
        kept = theirs if ours is None else ours
        return kept, Conflict(path, f"{why}. Delete it if you do not need it.")
    base = base or b""
    if b"\0" in base + ours + theirs:
        why = f"it is no text, and both sides have changed it. Here it is as in: {sides.ours}."
        return ours, Conflict(path, why)
    text, lines = _merge_text(base, ours, theirs, sides)
    why = f"both sides have changed the same lines ({sides.ours}; {sides.theirs})."
    return _ended_as(ours, text), Conflict(path, why, lines) if lines else None


def _same(one: bytes | None, other: bytes | None) -> bool:
    if one is None or other is None:
        return one is other
    return plain_line_ends(one) == plain_line_ends(other)


def _ended_as(model: bytes | None, data: bytes | None) -> bytes | None:
    """Return `data` with lines that end as most of those in `model` do."""
    if not model or not data or b"\0" in data or model.count(b"\r\n") * 2 <= model.count(b"\n"):
        return data
    return plain_line_ends(data).replace(b"\n", b"\r\n")


def _merge_text(
    base: bytes, ours: bytes, theirs: bytes, sides: Sides
) -> tuple[bytes, tuple[int, ...]]:
    """Return the merged text, and the lines where something is to be decided."""
    options = ("-p", "--diff3", f"--marker-size={_LONG}")
    names = ("ours", "base", "theirs")
    with TemporaryDirectory() as scratch:
        for name, data in zip(names, (ours, base, theirs), strict=True):
            Path(scratch, name).write_bytes(plain_line_ends(data))
        every = tuple(range(128))  # how many conflicts there are
        printed = run(
            "merge-file", *options, *names, cwd=Path(scratch), env=as_nobody(), allowed=every
        )
    text = _HUNK.sub(lambda hunk: _decide(hunk, sides), _text(printed))
    lines = tuple(i for i, line in enumerate(text.split("\n"), 1) if line == _opening(sides))
    return text.encode("utf-8", "surrogateescape"), lines


def _opening(sides: Sides) -> str:
    return f"<<<<<<< {sides.ours}"


def _text(data: bytes | None) -> str:
    return plain_line_ends(data or b"").decode("utf-8", "surrogateescape")


def _decide(hunk: re.Match[str], sides: Sides) -> str:
    """Return the lines that both sides have changed: decided, or both, marked."""
    base, ours, theirs = hunk["base"], hunk["ours"], hunk["theirs"]
    todos = _added_todos(base, ours, theirs)
    if todos is not None:
        return todos + ours
    return f"{_opening(sides)}\n{ours}=======\n{theirs}>>>>>>> {sides.theirs}\n"


def _added_todos(base: str, ours: str, theirs: str) -> str | None:
    """Return the TODO comments that `theirs` has beyond `base`; None where it has other changes.

    One that `base` has too is old: where it is not in `ours` any more, its work is done.
    """
    old = markers.tasks(base)
    if markers.without(base) != markers.without(theirs) or old & markers.tasks(ours):
        return None
    lines = theirs.splitlines(keepends=True)
    new = [lines[start:end] for task, start, end in markers.blocks(theirs) if task not in old]
    return "".join(line for block in new for line in block)
