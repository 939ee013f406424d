"""Write a file whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path


def replace(path: Path, data: bytes) -> None:
    """Put `data` in the place of what the file `path` holds. Raises `OSError` where it cannot."""
    new = path.with_name(f".{path.name.lstrip('.')}.{os.getpid()}.new")
    try:
        new.write_bytes(data)
        new.replace(path)
    finally:
        new.unlink(missing_ok=True)
