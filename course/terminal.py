"""The terminal: keys as they are pressed, and everything as it was at the end."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import sys
import termios
import tty
from typing import Any, Self

ENTER, END = "\n", "\x04"

_SEQUENCE = re.compile(r"\x1b(\[[0-?]*[ -/]*[@-~]|O.|[^\x1b\[O])")
"""What an arrow or another special key sends, which is no letter."""


class Terminal:
    """What the person types, in a block at whose end the terminal is as it was before.

    Where input and output are a terminal that can do more than print lines, it is `live`: a key
    counts when it is pressed. Elsewhere a line is typed for each key.
    """

    def __init__(self) -> None:
        ends = (sys.stdin, sys.stdout)
        at_terminal = all(stream is not None and stream.isatty() for stream in ends)
        self.live = at_terminal and os.environ.get("TERM", "dumb") != "dumb"
        self.ended = sys.stdin is None
        """Whether nothing more can be typed."""
        self.signalled = 0
        """The signal that asks us to end. The terminal is given back first, wherever we are."""
        self.size = self._size()
        self._line = b""
        self._woken = False

    def __enter__(self) -> Self:
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
            signal.signal(number, self._note_signal)
        if self.live:
            self._before = termios.tcgetattr(0)
            self._take()
        return self

    def __exit__(self, *_: object) -> None:
        if self.live:
            signal.signal(signal.SIGTSTP, signal.SIG_DFL)
            self._give_back()

    def fileno(self) -> int:
        """Return the descriptor that can be read when something was typed."""
        return 0

    def typed(self) -> list[str]:
        """Return the keys that were pressed, or the lines, without their ends, that were typed.

        There is something to read: else it waits. At the end of input, `ended` is set.
        """
        try:
            data = os.read(0, 4096)
        except OSError:  # the terminal is gone
            data = b""
        self.ended = not data
        if self.live:
            text = data.decode("utf-8", "ignore").replace("\r", ENTER)
            return list(_SEQUENCE.sub("", text).lower())
        *lines, self._line = (self._line + data).split(b"\n")
        return [line.decode("utf-8", "ignore").strip().lower() or ENTER for line in lines]

    def changed(self) -> bool:
        """Tell, once, that it has another size now, or something else has been printed on it."""
        before, self.size = self.size, self._size()
        woken, self._woken = self._woken, False
        return self.live and (woken or self.size != before)

    def _size(self) -> os.terminal_size:
        try:
            return os.get_terminal_size(1)
        except OSError:
            return os.terminal_size((0, 0))

    def _take(self) -> None:
        """Have each key at once and unseen. Ctrl-C and Ctrl-Z still do what they do elsewhere."""
        tty.setcbreak(0, termios.TCSADRAIN)
        signal.signal(signal.SIGTSTP, self._pause)

    def _give_back(self) -> None:
        with contextlib.suppress(termios.error):  # the terminal is gone
            termios.tcsetattr(0, termios.TCSADRAIN, self._before)

    def _note_signal(self, number: int, _: Any) -> None:
        self.signalled = number

    def _pause(self, *_: Any) -> None:
        """Be stopped by Ctrl-Z, with the terminal as it was, until `fg`."""
        self._give_back()
        signal.signal(signal.SIGTSTP, signal.SIG_DFL)
        signal.raise_signal(signal.SIGTSTP)
        self._take()
        self._woken = True
