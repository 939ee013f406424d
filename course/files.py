"""Write a file whole or not at all, and remove a folder whatever is in it."""

from __future__ import annotations

import os
import shutil
import subprocess
from contextlib import suppress
from pathlib import Path


def replace(path: Path, data: bytes) -> None:
    """Put `data` in the place of what the file `path` holds. Raises `OSError` where it cannot."""
    new = path.with_name(f".{path.name.lstrip('.')}.{os.getpid()}.new")
    try:
        new.write_bytes(data)
        new.replace(path)
    finally:
        new.unlink(missing_ok=True)


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
