"""What a check finds: a verdict for each task, with what was done, expected and seen."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

PASSED = "passed"
FAILED = "failed"
NOT_ATTEMPTED = "not attempted"
IMPORT_ERROR = "import error"
CRASHED = "crashed"
TIMED_OUT = "timed out"

STATES = (PASSED, FAILED, NOT_ATTEMPTED, IMPORT_ERROR, CRASHED, TIMED_OUT)

PROBE = "_course_probe.py"
"""The file in a copy that holds a check's own code: its frames are not the student's."""


@dataclass(frozen=True)
class Verdict:
    """How one task stands. `seconds` is what its checks took."""

    id: str
    title: str
    state: str
    message: str
    seconds: float


class CheckFailed(AssertionError):
    """The app did not do what the check expects."""

    state = FAILED

    def __init__(self, did: str, expected: str, got: str, trace: str = "") -> None:
        self.trace = trace
        end = "" if got.endswith(("?", "!")) else "."
        super().__init__(f"{did}: expected {expected}, got {got.rstrip('.')}{end}")


class ImportFailed(CheckFailed):
    """The student's code could not be loaded."""

    state = IMPORT_ERROR


class Crashed(CheckFailed):
    """The student's program ended where it should have gone on."""

    state = CRASHED


class TimedOut(CheckFailed):
    """The student's program took too long."""

    state = TIMED_OUT


@dataclass(frozen=True)
class Frame:
    """A line of the student's that was running."""

    file: str
    line: int
    function: str
    code: str

    def __str__(self) -> str:
        inside = f", in {self.function}" if self.function != "<module>" else ""
        return f"{self.file}, line {self.line}{inside}: {self.code}".rstrip(": ")


@dataclass(frozen=True)
class Trace:
    """The student's own frames in what Python wrote of an error, outermost first, and the error."""

    frames: tuple[Frame, ...]
    error: str
    own: bool = True
    """Whether the last frame of all was the student's."""

    @property
    def while_importing(self) -> bool:
        """Whether the code was still being loaded: no function was running, save what imports."""
        loading = self.own or self.error.startswith(
            ("ImportError", "ModuleNotFound", "SyntaxError")
        )
        in_module = all(frame.function == "<module>" for frame in self.frames)
        return bool(self.error) and loading and in_module

    def __str__(self) -> str:
        lines = [f"  {frame}" for frame in self.frames[-3:]]
        if self.error:
            lines.append(f"  {self.error}")
        return "\n".join(lines)


_FRAME = re.compile(r'^\s*File "(?P<file>.+)", line (?P<line>\d+)(?:,? in (?P<function>.+))?$')
_STARTS = ("Traceback (most recent call last)", "Current thread 0x", "Thread 0x")
_ERROR = re.compile(r"^(?P<name>[A-Za-z_][\w.]*)(: .*)?$")


def read_trace(text: str, folder: Path) -> Trace:
    """Find the last error in `text`, which a program run in `folder` wrote on standard error.

    Of a dump of threads (see `faulthandler`), the first thread that runs code of the student's
    counts: the one that answers a request comes before the one that waits for them.
    """
    sections = _sections(text)
    dumps = [section for section in sections if not section[0].startswith("Traceback")]
    for section in dumps:
        if frames := _frames(section, folder):
            return Trace(tuple(reversed(frames)), "")
    tracebacks = [section for section in sections if section not in dumps]
    section = tracebacks[-1] if tracebacks else text.splitlines()
    frames = _frames(section, folder)
    last = [line for line in section if _FRAME.match(line)][-1:]
    return Trace(tuple(frames), _error(section, folder), own=bool(_frames(last, folder)))


def _sections(text: str) -> list[list[str]]:
    found: list[list[str]] = []
    for line in text.splitlines():
        if line.startswith(_STARTS):
            found.append([line])
        elif found:
            found[-1].append(line)
    return found


def _frames(lines: list[str], folder: Path) -> list[Frame]:
    frames = []
    for line in lines:
        match = _FRAME.match(line)
        file = match and _inside(match["file"], folder)
        if match and file:
            number = int(match["line"])
            frames.append(
                Frame(file, number, match["function"] or "<module>", _line(folder / file, number))
            )
    return frames


def _inside(file: str, folder: Path) -> str:
    """Return the path of `file` below `folder`, or nothing where it is not the student's."""
    try:
        inside = (folder / file).resolve().relative_to(folder.resolve()).as_posix()
    except (ValueError, OSError):
        return ""
    return inside if inside != PROBE and (folder / inside).is_file() else ""


def _line(path: Path, number: int) -> str:
    lines = path.read_text("utf-8", "replace").splitlines()
    return lines[number - 1].strip() if 0 < number <= len(lines) else ""


def _error(lines: list[str], folder: Path) -> str:
    """Return the line that names the error: the first after the frames that is not indented."""
    for line in lines[1:] if lines and lines[0].startswith(_STARTS) else lines:
        if (match := _ERROR.match(line)) and match["name"].endswith(
            ("Error", "Exception", "Exit", "Interrupt", "Found", "Warning")
        ):
            return re.sub(r" at 0x[0-9a-f]+", "", line[:300].replace(f"{folder}{os.sep}", ""))
    return ""
