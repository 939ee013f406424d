"""What a check finds: a verdict for each task, with what was done, expected and seen."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from course.snapshot import LARGEST_SOURCE

if TYPE_CHECKING:
    from course.written import Written

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

    def with_env(self, env: dict[str, str]) -> Self:
        """Return the same failure of a command, as one is typed that sets these variables."""
        said = " ".join([*(f"{name}={value}" for name, value in env.items()), str(self)])
        failure = type(self).__new__(type(self), said)
        failure.trace = self.trace
        return failure


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


MOST_FRAMES = 25
"""How many frames of an error are looked at, from the first one on and from the last one back."""
_FRAME = re.compile(r'^\s*File "(?P<file>.+)", line (?P<line>\d+)(?:,? in (?P<function>.+))?$')
_STARTS = ("Traceback (most recent call last)", "Current thread 0x", "Thread 0x")
_ERROR = re.compile(r"^(?P<name>[A-Za-z_][\w.]*)(: .*)?$")
_FOLLOWS = (
    "Request finalizing failed with an error while handling an error",
    "Error on request:",
)
"""What Flask, and its server, say before an error that another one has led to. The server says it
when the answer is out, so it may not be there yet."""


def read_trace(text: str, written: Written) -> Trace:
    """Find the last error in `text`, which a program run in that copy wrote on standard error.

    What stands in a line is looked up in the copy as it was written, and not where it was: the
    program may have put something else there, such as a link to what is no business of its own.
    Of a dump of threads (see `faulthandler`), the first thread that runs code of the student's
    counts: the one that answers a request comes before the one that waits for them.
    """
    sections = _sections(text)
    dumps = [section for section in sections if not section[0].startswith("Traceback")]
    for section in dumps:
        if frames := _frames(section, written):
            last = [line for line in section if _FRAME.match(line)][:1]
            return Trace(tuple(reversed(frames)), "", own=bool(_frames(last, written)))
    tracebacks = [section for section in sections if section not in dumps]
    while len(tracebacks) > 1 and tracebacks[-2][-1].endswith(_FOLLOWS):
        tracebacks.pop()
    section = tracebacks[-1] if tracebacks else text.splitlines()
    frames = _frames(section, written)
    last = [line for line in section if _FRAME.match(line)][-1:]
    return Trace(tuple(frames), _error(section, written), own=bool(_frames(last, written)))


def _sections(text: str) -> list[list[str]]:
    found: list[list[str]] = []
    for line in text.splitlines():
        if line.startswith(_STARTS):
            found.append([line])
        elif found:
            found[-1].append(line)
    return found


def _frames(lines: list[str], written: Written) -> list[Frame]:
    found = []
    for match in filter(None, map(_FRAME.match, lines)):
        if file := _inside(match["file"], written):
            found.append((file, int(match["line"][:9]), match["function"] or "<module>"))
    return [
        Frame(file, number, function, _line(written.copy.files[file], number))
        for file, number, function in found[:MOST_FRAMES] + found[MOST_FRAMES:][-MOST_FRAMES:]
    ]


def _inside(file: str, written: Written) -> str:
    """Return the path of `file` in the copy, or nothing where it is not the student's."""
    path = os.path.normpath(written.folder / file).removeprefix(f"{written.folder}{os.sep}")
    return path if path in written.copy.files and path != PROBE else ""


def _line(source: bytes, number: int) -> str:
    lines = source[:LARGEST_SOURCE].decode("utf-8", "replace").splitlines()
    return lines[number - 1].strip() if 0 < number <= len(lines) else ""


def _error(lines: list[str], written: Written) -> str:
    """Return the line that names the error: the first after the frames that is not indented."""
    for line in lines[1:] if lines and lines[0].startswith(_STARTS) else lines:
        if (match := _ERROR.match(line)) and match["name"].endswith(
            ("Error", "Exception", "Exit", "Interrupt", "Found", "Warning")
        ):
            own = line[:300].replace(f"{written.folder}{os.sep}", "")
            return re.sub(r" at 0x[0-9a-f]+", "", own)
    return ""
