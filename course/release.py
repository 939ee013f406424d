"""The starters as they came with the course: its clone has them in git, whatever was done since."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from course.catalog import Lesson
from course.errors import CourseError
from course.git import as_set_up, run
from course.snapshot import Snapshot, take


def released(lesson: Lesson) -> Snapshot | None:
    """Return the starter as the last commit has it; None where the course is no clone."""
    folder = lesson.starter.relative_to(lesson.root).as_posix()
    try:
        listed = run(
            "ls-tree", "-r", "-z", "--full-tree", f"HEAD:./{folder}",
            cwd=lesson.root, env=as_set_up(),
        )  # fmt: skip
        entries = [entry.partition(b"\t") for entry in listed.split(b"\0") if entry]
        contents = _contents(lesson, [about.split()[2] for about, _, _ in entries])
    except CourseError:
        return None
    paths = [path.decode("utf-8", "surrogateescape") for _, _, path in entries]
    return Snapshot(dict(zip(paths, contents, strict=True)))


def _contents(lesson: Lesson, blobs: list[bytes]) -> list[bytes]:
    data = b"".join(blob + b"\n" for blob in blobs)
    printed = run("cat-file", "--batch", cwd=lesson.root, env=as_set_up(), data=data)
    contents = []
    for _ in blobs:  # of each: a line that ends with its size, its content, and a line's end
        about, _, rest = printed.partition(b"\n")
        size = int(about.split()[2])
        contents.append(rest[:size])
        printed = rest[size + 1 :]
    return contents


def starter(lesson: Lesson) -> Snapshot:
    """Return the starter as it came; where git does not have it, as it stands.

    Raises `CourseError` where it is neither here nor there.
    """
    return released(lesson) or take(lesson.starter)


def pins(root: Path) -> list[Path]:
    """Return the files that say which packages, and which versions of them, programs run with."""
    files = (root / "requirements.txt", root / "constraints.txt")
    return [file for file in files if file.is_file()]


def edited(lesson: Lesson) -> dict[str, bytes | None]:
    """Return the files of the starter that are not as they came, and None for one that is gone.

    There are none where git does not have the starter: nobody can tell. What is new and hidden is
    a desktop's or a tool's, not a student's.
    """
    came = released(lesson)
    if came is None:
        return {}
    old = came.with_plain_line_ends().files
    here = take(lesson.starter).files if lesson.starter.is_dir() else {}
    new = Snapshot(here).with_plain_line_ends().files
    changed = [path for path in old.keys() | new.keys() if old.get(path) != new.get(path)]
    return {path: here.get(path) for path in sorted(changed) if path in old or not _hidden(path)}


def _hidden(path: str) -> bool:
    return any(part.startswith(".") for part in PurePosixPath(path).parts)
