"""The site of the course: the pages of docs/ and notes/, built with Zensical.

The pages are written for a code host. What Zensical wants otherwise is changed in a copy of them.
"""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import click

from course import steps
from course.catalog import ROOT, load
from course.errors import CourseError
from course.snapshot import Snapshot, take

FOLDER = ROOT / "build"
"""Where the site is built. It is not in version control: it follows from what is."""

DEFAULT_PORT = 8000

LOOK_SECONDS = 0.3
"""How often it is looked whether a page was saved."""

_OUTLINES = {
    "outline.en.md": "The outline, in English",
    "outline.zh.md": "The outline, in Chinese",
}
"""Their titles on the site. They are no Markdown, and stand there as they were written."""

_CONFIG = "zensical.toml"
_MERMAID = "mermaid.tiny.js"
_OUTSIDE = re.compile(r"\]\(\.\./([^)#\s]+)")
_WARNING = re.compile(r"Warning: (.+)\n.*\[ (\S+?):(\d+):\d+ \]")


def build(folder: Path = FOLDER) -> Path:
    """Build the site below `folder`, anew, and return its front page.

    Raises `CourseError` where a page has a link to a page or a section that is not there, is no
    text, or where nothing can be written to `folder`.
    """
    _lay_out(folder)
    done = subprocess.run(
        [*_zensical("build", folder), "--strict"],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8",
    )  # fmt: skip
    if done.returncode:
        raise CourseError(_explain(click.unstyle(done.stdout)))
    return folder / "site" / "index.html"


def serve(port: int, folder: Path = FOLDER) -> None:
    """Serve the site at a port of this machine until Ctrl-C, and build it again at each save."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # ends the server as well
    found = _lay_out(folder)
    server = subprocess.Popen([*_zensical("serve", folder), "--dev-addr", f"127.0.0.1:{port}"])
    try:
        while server.poll() is None:
            time.sleep(LOOK_SECONDS)
            with suppress(CourseError, OSError):  # a page is being saved: the next look finds it
                found = _renew(folder, found, _sources())
    finally:
        server.terminate()
        server.wait()
    raise CourseError("The site's server has ended: above it says why.")


def _zensical(command: str, folder: Path) -> list[str]:
    return [sys.executable, "-m", "zensical", command, "--config-file", str(folder / _CONFIG)]


def _lay_out(folder: Path) -> Snapshot:
    """Put what the site is built from below `folder`, and nothing else; return what can change."""
    for made in ("docs", "site"):
        shutil.rmtree(folder / made, ignore_errors=True)
    found = _sources()
    try:
        found.write(folder)
    except OSError as error:
        raise CourseError(f"{error.filename} cannot be written: {error.strerror}.") from error
    steps.write(load(), folder / "docs" / "steps")
    return found


def _renew(folder: Path, old: Snapshot, new: Snapshot) -> Snapshot:
    """Write below `folder` what is other in `new` than in `old`; return `new`."""
    for path in old.files.keys() - new.files.keys():
        (folder / path).unlink(missing_ok=True)
    Snapshot(dict(new.files.items() - old.files.items())).write(folder)
    return new


def _sources() -> Snapshot:
    """Return what the site is built from, but for the pages of what each lesson adds."""
    files = {_CONFIG: (ROOT / _CONFIG).read_bytes()}
    files[f"docs/javascripts/{_MERMAID}"] = (ROOT / "vendor" / _MERMAID).read_bytes()
    docs, notes = take(ROOT / "docs"), take(ROOT / "notes")
    files |= {f"docs/{path}": data for path, data in docs.files.items()}
    for path in notes.files:
        files[f"docs/notes/{path}"] = _note(path, _text("notes", notes, path)).encode()
    for path in docs.files:
        if path.endswith(".md"):
            text = _text("docs", docs, path)
            files |= _linked(text) | {f"docs/{path}": _page(text).encode()}
    return Snapshot(files)


def _text(name: str, folder: Snapshot, path: str) -> str:
    text = folder.text(path)
    if text is None:
        raise CourseError(f"{name}/{path} is not UTF-8. Save it as UTF-8.")
    return text


def _page(text: str) -> str:
    """Return a page of docs/ for the site, where docs/ is the top."""
    text = text.replace("](../", "](").replace("<details>", '<details markdown="1">')
    if "```mermaid\n" in text:  # else the theme fetches it from elsewhere
        text += f'\n<script src="javascripts/{_MERMAID}"></script>\n'
    return text


def _note(path: str, text: str) -> str:
    """Return a file of notes/ for the site."""
    if path in _OUTLINES:
        return f"# {_OUTLINES[path]}\n\n```text\n{text}```\n"
    return text.replace("](../docs/", "](../")


def _linked(text: str) -> dict[str, bytes]:
    """Return the files beside docs/ that a page has links to, but for pages."""
    found = (ROOT / path for path in _OUTSIDE.findall(text) if not path.endswith(".md"))
    return {f"docs/{p.relative_to(ROOT)}": p.read_bytes() for p in found if p.is_file()}


def _explain(printed: str) -> str:
    """Return in a sentence why the site could not be built, from Zensical's words."""
    found = _WARNING.findall(printed)
    if not found:
        said = printed.strip().rpartition("\n")[2]
        return f"The site could not be built: {said or 'Zensical does not say why.'}"
    where = ", ".join(f"{what} (docs/{path}, line {line})" for what, path, line in found)
    return f"The site could not be built: {where}. Mend that, and run the same command again."
