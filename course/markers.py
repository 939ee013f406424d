"""The TODO comments in a starter: what each task asks for, at the place where the work goes."""

from __future__ import annotations

import re

_FIRST = re.compile(r"^\s*(?P<open>#|\{#|/\*|<!--)\s*TODO (?P<task>\d+\.\d+):")
_ENDS = {"{#": "#}", "/*": "*/", "<!--": "-->"}


def blocks(text: str) -> list[tuple[str, int, int]]:
    """Return the TODO comments of a file: task id, first line, and the line after the last.

    Lines count from 0. In a file whose comments begin with `#`, the comment lines that follow a
    TODO belong to it; elsewhere it ends where the comment is closed, or with the text.
    """
    lines = text.splitlines()
    found = []
    for start, line in enumerate(lines):
        if match := _FIRST.match(line):
            found.append((match["task"], start, _end(lines, start, match["open"])))
    return found


def _end(lines: list[str], start: int, opening: str) -> int:
    if opening == "#":
        end = start + 1
        while (
            end < len(lines)
            and lines[end].lstrip().startswith("#")
            and not _FIRST.match(lines[end])
        ):
            end += 1
        return end
    closed = (i for i in range(start, len(lines)) if _ENDS[opening] in lines[i])
    return next(closed, len(lines) - 1) + 1


def tasks(text: str) -> set[str]:
    """Return the ids of the tasks that the TODO comments in `text` speak of."""
    return {task for task, _, _ in blocks(text)}


def without(text: str) -> str:
    """Return `text` without its TODO comments, and with runs of blank lines made one.

    Two texts are the same but for TODO comments where this makes them equal.
    """
    lines = text.splitlines()
    for _, start, end in reversed(blocks(text)):
        del lines[start:end]
    return re.sub(r"\n{2,}", "\n\n", "\n".join(lines)).strip() + "\n"


def untouched(starter: str, yours: str, task: str) -> bool:
    """Tell whether every place that `starter` marks for `task` stands in `yours` as it was.

    A place reaches from its TODO comment to the next one, or to the end of the file. What was
    written below the comment counts, blank lines and indentation do not. Where the comment of an
    earlier task is gone, this one's comments alone must stand: the rest may be that one's work.
    """
    lines, theirs = starter.splitlines(), _filled(yours.splitlines())
    found = blocks(starter)
    comments = [(id_, _filled(lines[start:end])) for id_, start, end in found]
    if any(id_ < task and not _ends_of(comment, theirs) for id_, comment in comments):
        return all(_ends_of(comment, theirs) for id_, comment in comments if id_ == task)
    ends = [start for _, start, _ in found[1:]] + [len(lines)]
    return all(
        _stands(_filled(lines[start:end]), theirs)
        for (id_, start, _), end in zip(found, ends, strict=True)
        if id_ == task
    )


def _filled(lines: list[str]) -> list[str]:
    return [line.strip() for line in lines if line.strip()]


def _stands(place: list[str], lines: list[str]) -> bool:
    """Tell whether `place` is in `lines`, with another TODO comment or nothing behind it."""
    return any(end == len(lines) or _FIRST.match(lines[end]) for end in _ends_of(place, lines))


def _ends_of(part: list[str], lines: list[str]) -> list[int]:
    """Return where each occurrence of `part` in `lines` ends."""
    starts = range(len(lines) - len(part) + 1)
    return [i + len(part) for i in starts if lines[i : i + len(part)] == part]
