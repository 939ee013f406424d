"""Compare lessons with git's own diff."""

from __future__ import annotations

import os
import re
import tempfile
from ast import literal_eval
from pathlib import Path

from course import markers
from course.catalog import Course, Lesson, Task
from course.git import as_nobody, run
from course.snapshot import Snapshot, take

_NO_ATTRIBUTES = "* !text !eol !ident !filter !working-tree-encoding !diff !merge !whitespace\n"
"""Whatever a folder's own .gitattributes says: with some, a diff shows nothing, or another text."""

_HUNK = re.compile(r"^(?P<before>(\x1b\[\d*m)*@@ -(?P<start>\d+)(?:,(?P<length>\d+))? .*)$")
_FILE = re.compile(
    r"^(\x1b\[\d*m)*(--- |\+\+\+ )"
    r'(?P<path>(yours|solution)/[^\x1b\t]*|"(yours|solution)/([^"\\]|\\.)*")'
)


def yours(lesson: Lesson, copy: Snapshot, stat: bool = False, colour: bool = False) -> str:
    """Return the diff from someone's copy to the solution.

    The head of each hunk says whether the copy there is `as in the starter` or `changed by you`.
    """
    copy, starter, solution = _sides(lesson, copy)
    text = _diff({"yours": copy, "solution": solution}, stat, colour)
    return text if stat else _mark(text, copy, starter)


def of_task(lesson: Lesson, task: Task, colour: bool) -> str:
    """Return the part of `yours` for the student's copy that is of the files that mark `task`."""
    copy, starter, solution = _sides(lesson, take(lesson.work))
    marked = {p for p in starter.files if task.id in markers.tasks(starter.text(p) or "")}
    yours, solved = (
        Snapshot({path: data for path, data in side.files.items() if path in marked})
        for side in (copy, solution)
    )
    return _mark(_diff({"yours": yours, "solution": solved}, False, colour), copy, starter)


def _sides(lesson: Lesson, copy: Snapshot) -> tuple[Snapshot, ...]:
    sides = (copy, take(lesson.starter), take(lesson.solution))
    return tuple(each.with_plain_line_ends() for each in sides)


def step(course: Course, lesson: Lesson, stat: bool = False, colour: bool = False) -> str:
    """Return what a lesson adds: the diff from the solution before it to its own.

    The first lesson has none before it: there it is the diff from its starter.
    """
    before = course.before(lesson)
    if before:
        old, label = take(before[-1].solution), f"lesson-{before[-1].number}"
    else:
        old, label = take(lesson.starter), "starter"
    return _diff({label: old, f"lesson-{lesson.number}": take(lesson.solution)}, stat, colour)


def changes(before: Snapshot, after: Snapshot) -> str:
    """Return what has been done to a folder, as git's diff."""
    return _diff({"before": before, "after": after}, stat=False, colour=False)


def _diff(sides: dict[str, Snapshot], stat: bool, colour: bool) -> str:
    """Return git's diff of two snapshots, under the names that they have in `sides`.

    They become trees of a repository that is thrown away, so that git finds what was moved and
    the diff is a patch that `git apply -p1` takes.
    """
    with tempfile.TemporaryDirectory() as scratch:
        run_git("init", "-q", "--bare", "--template=", cwd=Path(scratch))
        Path(scratch, "info").mkdir(exist_ok=True)
        Path(scratch, "info", "attributes").write_text(_NO_ATTRIBUTES)
        trees = [_tree(Path(scratch), name, snapshot) for name, snapshot in sides.items()]
        return run_git(
            "diff", "--no-ext-diff", "--no-textconv", "-M", "--stat=100" if stat else "--patch",
            f"--color={'always' if colour else 'never'}",
            *(f"--{end}-prefix={name}/" for end, name in zip(("src", "dst"), sides, strict=True)),
            *trees, cwd=Path(scratch),
        )  # fmt: skip


def _tree(repository: Path, name: str, snapshot: Snapshot) -> str:
    """Put a snapshot into a repository; return the name of its tree."""
    folder = repository / f"{name}.files"
    snapshot.write(folder)
    (repository / "index").unlink(missing_ok=True)
    run_git(f"--work-tree={folder}", "add", "--all", "--force", cwd=repository)
    return run_git("write-tree", cwd=repository).strip()


def _mark(diff: str, copy: Snapshot, starter: Snapshot) -> str:
    """Add to each hunk's head whose lines the copy has there: the starter's, or the student's."""
    lines, path = [], ""
    for line in diff.split("\n"):  # other ends of lines, such as a form feed, are within one
        if line.startswith(("diff --git", "\x1b[1mdiff --git")):
            path = ""
        elif match := _FILE.match(line):
            path = path or _name(match["path"])
        elif match := _HUNK.match(line):
            changed = _changed(starter.files.get(path), copy.files.get(path))
            first = int(match["start"])
            last = first + int(match["length"] or 1)
            mine = any(first <= number < max(last, first + 1) for number in changed)
            mine = mine or (path in starter.files and path not in copy.files)
            line += "  (changed by you)" if mine else "  (as in the starter)"
        lines.append(line)
    return "\n".join(lines)


def _name(path: str) -> str:
    """Return the path of a file in a side, from a line that names it.

    Where it has a quote or the like, git quotes it, with escapes that Python has as well.
    """
    plain: str = literal_eval(path) if path.startswith('"') else path
    return plain.partition("/")[2]


def _changed(old: bytes | None, new: bytes | None) -> set[int]:
    """Return the lines of `new`, counted from 1, that are not in `old` or next to a lost one."""
    if old is None or new is None or old == new:
        return set(range(1, len((new or b"").splitlines()) + 1)) if old != new else set()
    with tempfile.TemporaryDirectory() as scratch:
        Path(scratch, "old").write_bytes(old)
        Path(scratch, "new").write_bytes(new)
        text = run_git("diff", "--no-index", "-U0", "old", "new", cwd=Path(scratch), allowed=(0, 1))
    changed: set[int] = set()
    for start, length in re.findall(r"^@@ -\S+ \+(\d+)(?:,(\d+))? @@", text, re.MULTILINE):
        changed |= set(range(int(start), int(start) + max(int(length or 1), 1)))
    return changed


def run_git(*args: str, cwd: Path, allowed: tuple[int, ...] = (0,)) -> str:
    """Run git as it is without anyone's configuration, and return what it prints.

    Raises `CourseError` where git is not there or its exit code is not `allowed`.
    """
    plain = ("core.quotepath=off", "core.autocrlf=false", f"core.attributesFile={os.devnull}")
    settings = (word for setting in plain for word in ("-c", setting))
    printed = run(*settings, *args, cwd=cwd, env=as_nobody(), allowed=allowed)
    return printed.decode("utf-8", "replace")
