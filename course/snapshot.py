"""A lesson's folder as it stood at one moment: nothing that is done later can change it."""

from __future__ import annotations

import hashlib
import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path, PurePath

from course.errors import CourseError
from course.files import inside

LEFT_OUT = frozenset(
    {"__pycache__", "instance", ".git", ".venv", "venv", "node_modules", ".idea", ".pytest_cache"}
)
"""Folders that are made by running, not written by the student."""

STARTER = ".starter.zip"
"""The file in a student's copy that holds the starter as it was when the copy was made."""

_MADE_FILE = re.compile(
    r"\.(pyc|(db|sqlite3?)(-wal|-shm|-journal)?)$|^\.starter\.zip(\.\d+\.new)?$"
    r"|\.sw[a-p]$|~$|^#.*#$|^\.DS_Store$"
)
"""Names of files that are so too: a student may keep the database elsewhere than in `instance`.

In the second line are those that editors and desktops keep beside the files.
"""

_CACHES = frozenset({"__pycache__"})

LARGEST_SOURCE = 256 * 1024
"""Bytes of a module that is compiled or shown: more may take long, and no lesson has them."""

SIZE_LIMIT = 32 * 1024 * 1024
"""Bytes that a lesson's folder may hold in all."""


@dataclass(frozen=True)
class Snapshot:
    """The files of a folder: their paths, relative and with forward slashes, and their contents."""

    files: dict[str, bytes]
    empty: frozenset[str] = frozenset()
    """The paths of empty folders, where what was made by running counts too."""

    @property
    def digest(self) -> str:
        """A name for these contents: two snapshots have the same one if they are the same."""
        names = "\0".join(
            f"{path}\0{hashlib.sha256(data).hexdigest()}"
            for path, data in sorted(self.files.items())
        )
        return hashlib.sha256(names.encode("utf-8", "surrogateescape")).hexdigest()

    def modules(self) -> frozenset[str]:
        """Return the names of the modules and packages that stand in the folder itself."""
        files = (path.removesuffix(".py") for path in self.files if path.endswith(".py"))
        return frozenset(
            name.removesuffix("/__init__")
            for name in files
            if "/" not in name.removesuffix("/__init__")
        )

    def text(self, path: str) -> str | None:
        """Return the text of a file, or None where there is no such file or it is not UTF-8."""
        try:
            return self.files[path].decode("utf-8")
        except (KeyError, UnicodeDecodeError):
            return None

    def replacing(self, path: str, old: str, new: str) -> Snapshot:
        """Return the same files, but `new` for `old`, which stands once in the file `path`.

        Raises `ValueError` where it does not stand there once.
        """
        text = self.text(path) or ""
        if text.count(old) != 1:
            raise ValueError(f"what is to be replaced does not stand once in {path}")
        return Snapshot(self.files | {path: text.replace(old, new).encode()})

    def over(self, other: Snapshot) -> Snapshot:
        """Return the other's files and these: of the other's, what is in their way is left out."""
        folders = {parent.as_posix() for path in self.files for parent in PurePath(path).parents}
        kept = {
            path: data
            for path, data in other.files.items()
            if path not in folders
            and not any(parent.as_posix() in self.files for parent in PurePath(path).parents)
        }
        return Snapshot(kept | self.files)

    def with_plain_line_ends(self) -> Snapshot:
        """Return the same files, but that lines which end as on Windows end as elsewhere."""
        return Snapshot({path: plain_line_ends(data) for path, data in self.files.items()})

    def write(self, folder: Path) -> None:
        """Write the files below `folder`, which is made.

        Raises `ValueError`, and writes nothing, where a path leads out of it.
        """
        self._must_stay_inside()
        parents = dict.fromkeys((folder / path).parent for path in self.files)  # each once
        for needed in (folder, *parents, *(folder / path for path in sorted(self.empty))):
            needed.mkdir(parents=True, exist_ok=True)
        for path, data in self.files.items():
            (folder / path).write_bytes(data)

    def write_in(self, folder: int) -> None:
        """Write the files below the folder of this descriptor, where programs may be at it too.

        No link that one puts there meanwhile is followed, and no pipe waited for. Raises
        `ValueError` as `write` does, and `OSError` where something is in the way.
        """
        self._must_stay_inside()
        for path in sorted(self.empty):
            with inside(folder, PurePath(path).parts, make=True):
                pass
        by_folder: dict[PurePath, list[str]] = {}
        for path in self.files:
            by_folder.setdefault(PurePath(path).parent, []).append(path)
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_NONBLOCK
        for parent, paths in by_folder.items():
            with inside(folder, parent.parts, make=True) as here:
                for path in paths:
                    name = PurePath(path).name
                    with open(os.open(name, flags, 0o666, dir_fd=here), "wb") as file:
                        file.write(self.files[path])

    def _must_stay_inside(self) -> None:
        for path in (*self.files, *self.empty):
            if PurePath(path).is_absolute() or ".." in PurePath(path).parts:
                raise ValueError(f"{path!r} leads out of the folder")


def plain_line_ends(data: bytes) -> bytes:
    """Return a text with each line that ends as on Windows ended as elsewhere; no text as it is."""
    return data if b"\0" in data else data.replace(b"\r\n", b"\n")


def take(folder: Path, *, made: bool = False) -> Snapshot:
    """Read what is written in `folder` and, where `made`, what was made by running as well.

    Links, sockets and other special files are left out, and what Python keeps for itself.

    Raises `CourseError` where there is no such folder, or it is larger than a lesson can be.
    """
    top = _open(folder)
    files: dict[str, bytes] = {}
    empty: set[str] = set()
    left = SIZE_LIMIT
    left_out = _CACHES if made else LEFT_OUT
    try:  # by descriptors: what is a folder now, a program may make a link in a moment
        for parent, folders, names, here in os.fwalk(".", dir_fd=top, onerror=_refuse):
            folders[:] = [name for name in sorted(folders) if name not in left_out]
            if made and not folders and not names:
                empty.add(PurePath(parent).as_posix())
            for name in sorted(names):
                path = PurePath(parent, name).as_posix()
                if not made and _MADE_FILE.search(name):
                    continue
                try:
                    found = os.stat(name, dir_fd=here, follow_symlinks=False)
                    if not stat.S_ISREG(found.st_mode):
                        continue
                    files[path] = read_file(name, left, here)
                except OSError as error:
                    raise CourseError(
                        f"{folder / path} cannot be read: {error.strerror}."
                    ) from error
                left -= len(files[path]) + len(path)  # a program can make them very long
                if left < 0:
                    raise CourseError(
                        f"{folder} holds more than {SIZE_LIMIT >> 20} MiB, which no lesson needs. "
                        "Move what does not belong to the lesson out of it."
                    )
    except (OSError, RecursionError):  # os.fwalk calls itself, and keeps each folder open
        raise CourseError(f"{folder} has too many folders in folders.") from None
    finally:
        os.close(top)
    return Snapshot(files, frozenset(empty))


def _open(folder: Path) -> int:
    try:
        if folder.is_dir():
            return os.open(folder, os.O_DIRECTORY)
    except OSError as error:
        raise CourseError(f"{folder} cannot be read: {error.strerror}.") from error
    raise CourseError(f"There is no folder {folder}.")


def read_file(path: Path | str, limit: int = SIZE_LIMIT, folder: int | None = None) -> bytes:
    """Read a file, in the `folder` of a descriptor if any: no more bytes than one above `limit`.

    It may have become a link or a pipe since someone looked: then `OSError` is raised, or nothing
    is read.
    """
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
    with open(os.open(path, flags, dir_fd=folder), "rb") as file:
        return file.read(limit + 1)


def _refuse(error: OSError) -> None:
    raise CourseError(f"{error.filename} cannot be read: {error.strerror}.") from error


def is_made(path: PurePath) -> bool:
    """Tell whether the file at `path`, relative to its lesson's folder, was made by running."""
    return not LEFT_OUT.isdisjoint(path.parts) or bool(_MADE_FILE.search(path.name))
