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

    A place is a TODO comment and what is below it, to the next one or to the end of the file.
    Comments with no line between them have one place. What was written below the comment counts,
    blank lines and indentation do not. Where the comment of an earlier task is gone, what differs
    may be that one's work: only what cannot be counts then.
    """
    ours, theirs = _Places(starter), _Places(yours)
    gone = [comment for comment in ours.comments if comment not in theirs.comments]
    left = _Places(ours.without(gone))
    earlier = [comment for comment in gone if _task(comment) < task]
    for comment in [each for each in ours.comments if _task(each) == task]:
        if comment in gone:
            return False
        together = ours.together(comment)
        before, now = left.below(comment, together), theirs.below(comment, together)
        if any(other in together for other in earlier):
            begun = theirs.is_followed(comment, together)
        elif earlier:
            begun = _has_begun(before, now)
        else:
            begun = _filled(before) != _filled(now)
        if begun:
            return False
    return True


class _Places:
    """The TODO comments of a text, and what is below each."""

    def __init__(self, text: str) -> None:
        self._lines = text.splitlines()
        self._blocks = blocks(text)
        self.comments = [tuple(_filled(self._lines[start:end])) for _, start, end in self._blocks]

    def without(self, comments: list[_Comment]) -> str:
        """Return the text without some of its TODO comments."""
        lines = list(self._lines)
        for comment in reversed(self.comments):
            if comment in comments:
                _, start, end = self._blocks[self.comments.index(comment)]
                del lines[start:end]
        return "\n".join(lines)

    def together(self, comment: _Comment) -> list[_Comment]:
        """Return the comments that have one place with this one: no line is between them."""
        found: list[_Comment] = []
        last = -1
        for each, (_, start, end) in zip(self.comments, self._blocks, strict=True):
            if start != last:
                if comment in found:
                    break
                found = []
            found.append(each)
            last = end
        return found

    def below(self, comment: _Comment, together: list[_Comment]) -> list[str]:
        """Return the lines below a comment and those `together` with it, to the next one."""
        i = self.comments.index(comment)
        lines = self._between(i)
        while not _filled(lines) and self._next_is_of(i, together):
            i += 1
            lines = self._between(i)
        return lines

    def is_followed(self, comment: _Comment, together: list[_Comment]) -> bool:
        """Tell whether a line has come between a comment and the next `together` with it."""
        i = self.comments.index(comment)
        return bool(_filled(self._between(i))) and self._next_is_of(i, together)

    def _next_is_of(self, i: int, together: list[_Comment]) -> bool:
        tasks = [_task(comment) for comment in together]
        return i + 1 < len(self.comments) and _task(self.comments[i + 1]) in tasks

    def _between(self, i: int) -> list[str]:
        ends = [start for _, start, _ in self._blocks[i + 1 :]]
        return self._lines[self._blocks[i][2] : ends[0] if ends else len(self._lines)]


_Comment = tuple[str, ...]


def _task(comment: _Comment) -> str:
    match = _FIRST.match(comment[0])
    return match["task"] if match else ""


def _has_begun(before: list[str], now: list[str]) -> bool:
    """Tell whether what is below a comment is its own task's work, and cannot be an earlier one's.

    That is new lines directly below it, and, where it stands over a function, a change in that.
    """
    old, new = _filled(before), _filled(now)
    if not new or not old or new[0] != old[0]:
        return bool(new) and (not old or old[0] in new)
    return bool(before[0].strip()) and _filled(_first_part(before)) != _filled(_first_part(now))


def _first_part(lines: list[str]) -> list[str]:
    """Return a function, or what else is there, to the blank line where its indentation ends."""
    first = next(line for line in lines if line.strip())
    for number in range(1, len(lines)):
        outside = lines[number].strip() and _indent(lines[number]) <= _indent(first)
        if outside and not lines[number - 1].strip():
            return lines[:number]
    return lines


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def _filled(lines: list[str]) -> list[str]:
    return [line.strip() for line in lines if line.strip()]
