"""Write a file whole or not at all, remove a folder whatever is in it, and follow no links."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

NAME_LIMIT = 255
"""Bytes of a file's name: no file system here takes more."""


def replace(path: Path, data: bytes) -> None:
    """Put `data` in the place of what the file `path` holds. Raises `OSError` where it cannot."""
    new = path.with_name(f".{path.name.lstrip('.')}.{os.getpid()}.new")
    try:
        new.write_bytes(data)
        new.replace(path)
    finally:
        new.unlink(missing_ok=True)


@contextmanager
def inside(folder: int, parts: Sequence[str], *, make: bool = False) -> Iterator[int]:
    """Yield a descriptor of a folder below that of the descriptor `folder`; `make` what is missing.

    No link is followed on the way, which a program may have put there meanwhile. Raises `OSError`
    where there is no such folder.
    """
    here = os.dup(folder)
    try:
        for part in parts:
            if make:
                with suppress(FileExistsError):
                    os.mkdir(part, dir_fd=here)
            there = os.open(part, os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=here)
            os.close(here)
            here = there
        yield here
    finally:
        os.close(here)


def remove(folder: Path) -> None:
    """Remove a folder however deep it is, and whatever it allows. What is left then stays.

    `rmtree` calls itself for each folder in a folder: a program can make more of them than Python
    has calls, or forbid to read one. Of a link, which it can put there too, only that is removed.
    """
    if folder.is_symlink():
        folder.unlink(missing_ok=True)
        return
    with suppress(RecursionError):
        shutil.rmtree(folder, ignore_errors=True)
    if os.path.lexists(folder):
        for words in (["chmod", "-R", "u+rwx"], ["rm", "-rf"]):
            with suppress(OSError):
                subprocess.run([*words, "--", str(folder)], stderr=subprocess.DEVNULL)
