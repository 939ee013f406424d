"""A copy of a lesson in a folder, and what has changed there since it was written."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path, PurePath

from course.snapshot import SIZE_LIMIT, Snapshot, read_file

Changes = dict[str, tuple[int, bytes | None]]
"""Each path that is new or changed with its mode and, of a file, its contents."""


@dataclass
class Written:
    """The files of `copy`, which are written below `folder`."""

    copy: Snapshot
    folder: Path
    """Where programs find it, which in a sandbox is a path of that."""
    around: int | None = None
    """A descriptor of the folder around it, if its path leads there for programs alone."""
    fd: int = field(init=False)
    """A descriptor of the folder, which stays open until `close`, whatever is done to its path."""
    _as_written: dict[str, tuple[int, ...]] = field(init=False)

    def __post_init__(self) -> None:
        self._write()

    @property
    def found(self) -> Path:
        """Where the folder is found: of one in a sandbox, wherever it has been moved since."""
        return self.folder if self.around is None else Path(f"/proc/self/fd/{self.fd}")

    def close(self) -> None:
        """Close what is open. The files stay."""
        os.close(self.fd)

    def _write(self) -> None:
        if self.around is None:
            self.folder.parent.mkdir(parents=True, exist_ok=True)
        name = self.folder if self.around is None else self.folder.name
        os.mkdir(name, dir_fd=self.around)
        self.fd = os.open(name, os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=self.around)
        self.copy.write_in(self.fd)
        self._as_written = {} if self.around is not None else dict(_contents(self.folder))

    def files(self) -> Iterator[tuple[PurePath, int]]:
        """Give the path of each file below the folder, and a descriptor of the folder it is in.

        Both are right whatever a program does meanwhile: no link is followed.
        """
        for parent, folders, names, here in os.fwalk(".", dir_fd=self.fd):
            folders.sort()
            for name in sorted(names):
                with suppress(OSError):  # it may be gone again
                    found = os.stat(name, dir_fd=here, follow_symlinks=False)
                    if stat.S_ISREG(found.st_mode):
                        yield PurePath(parent, name), here

    def restore(self) -> None:
        """Remove what is there, and write the copy again."""
        self.close()
        shutil.rmtree(self.folder)
        self._write()

    def changes(self) -> Changes | None:
        """Return what has changed; None where nobody could change it again in the same way.

        That is so where something is gone, or is now neither a file nor a folder.
        """
        changes: Changes = {}
        left = SIZE_LIMIT
        try:
            now = dict(_contents(self.folder))
            for path in [path for path in now if now[path] != self._as_written.get(path)]:
                mode, data = now[path][0], None
                if stat.S_ISREG(mode):
                    data = read_file(self.folder / path, left)
                    left -= len(data)
                elif not stat.S_ISDIR(mode):
                    return None
                before = self._as_written.get(path, (0,))
                if mode != before[0] or data != self.copy.files.get(path):
                    changes[path] = mode, data
        except OSError:
            return None
        return changes if left >= 0 and self._as_written.keys() <= now.keys() else None

    def change(self, changes: Changes) -> None:
        """Change the same anew, in a folder that has been written since."""
        for path, (mode, data) in changes.items():
            target = self.folder / path
            if data is None:
                target.mkdir(exist_ok=True)
            else:
                target.write_bytes(data)
            target.chmod(stat.S_IMODE(mode))


def _contents(folder: Path) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Give each path in a folder, with its mode and, of a file, what a write changes."""
    waiting = [""]
    while waiting:
        below = waiting.pop()
        with os.scandir(folder / below) as entries:
            for entry in entries:
                path, found = f"{below}{entry.name}", entry.stat(follow_symlinks=False)
                if stat.S_ISDIR(found.st_mode):
                    yield path, (found.st_mode,)
                    waiting.append(f"{path}/")
                else:
                    yield path, (found.st_mode, found.st_ino, found.st_size, found.st_mtime_ns)
