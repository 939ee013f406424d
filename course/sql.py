"""Ask an SQLite database that nobody trusts, where it is: in the sandbox.

What is in such a file can make SQLite write elsewhere (a journal that is played back), or work for
ever (a trigger). So it is opened by a process of ours that can no more than the program that has
written it.
"""

from __future__ import annotations

import base64
import json
import socket
import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from typing import Any

STATEMENT_SECONDS = 5.0
"""How long a statement may take."""

ANSWER_LIMIT = 16 * 1024 * 1024
"""Bytes that an answer may have."""

_STEPS = 10_000
"""After how many steps of SQLite's it is looked whether a statement takes too long."""


def serve(path: str, control: socket.socket) -> None:
    """Open the database at `path`, and do with it what the other end of `control` asks for.

    Each order and each answer is a line of JSON; the first answer says that it is open. When the
    other end is closed, what is not committed is lost.
    """
    until = time.monotonic() + STATEMENT_SECONDS

    def is_late() -> bool:
        return time.monotonic() > until

    with control.makefile("rb") as orders:
        try:
            database = sqlite3.connect(path, timeout=STATEMENT_SECONDS)
        except sqlite3.Error as error:
            _tell(control, _of(error))
            return
        with closing(database):
            database.set_progress_handler(is_late, _STEPS)
            _tell(control, {"columns": [], "rows": []})
            for line in orders:
                until = time.monotonic() + STATEMENT_SECONDS
                try:
                    answer = _answer(database, **json.loads(line, object_hook=_from_json))
                except sqlite3.Error as error:
                    answer = _of(error)
                _tell(control, answer)


def _tell(control: socket.socket, answer: dict[str, Any]) -> None:
    data = json.dumps(answer, default=_to_json).encode()
    if len(data) > ANSWER_LIMIT:
        data = json.dumps({"error": "OperationalError", "said": "it is too large"}).encode()
    control.sendall(data + b"\n")


def _of(error: sqlite3.Error) -> dict[str, Any]:
    return {"error": type(error).__name__, "said": str(error)}


def _answer(database: sqlite3.Connection, do: str, with_: Sequence[Any]) -> dict[str, Any]:
    if do == "dump":
        return {"columns": ["sql"], "rows": [[line] for line in database.iterdump()]}
    if do == "commit":
        database.commit()
        return {"columns": [], "rows": []}
    cursor = getattr(database, do)(*with_)
    columns = [column[0] for column in cursor.description or ()]
    return {"columns": columns, "rows": cursor.fetchall()}


def _to_json(value: Any) -> Any:
    return {"base64": base64.b64encode(value).decode()} if isinstance(value, bytes) else str(value)


def _from_json(value: dict[str, Any]) -> Any:
    return base64.b64decode(value["base64"]) if value.keys() == {"base64"} else value


class Row(tuple[Any, ...]):
    """A row, whose values are found by their numbers or by the columns' names."""

    columns: tuple[str, ...]

    def keys(self) -> tuple[str, ...]:
        """Return the columns' names, as `dict` asks for them."""
        return self.columns

    def __getitem__(self, key: Any) -> Any:
        return super().__getitem__(self.columns.index(key) if isinstance(key, str) else key)


class Rows(list[Row]):
    """What a statement has found, all of it."""

    def fetchall(self) -> list[Row]:
        """Return all rows."""
        return self

    def fetchone(self) -> Row | None:
        """Return the first row, or None where there is none."""
        return self[0] if self else None


class Database:
    """As much of an `sqlite3.Connection` as checks need, to what `serve` serves on `control`.

    Each method raises what SQLite does, and `sqlite3.OperationalError` where no answer comes.
    """

    def __init__(self, path: str, control: socket.socket) -> None:
        self._control = control
        self._control.settimeout(2 * STATEMENT_SECONDS)
        self._answers = control.makefile("rb")
        self._send({"database": path})

    def execute(self, sql: str, values: Sequence[Any] | Mapping[str, Any] = ()) -> Rows:
        """Run a statement; return what it finds."""
        return self._ask("execute", sql, values)

    def executemany(self, sql: str, rows: Iterable[Sequence[Any] | Mapping[str, Any]]) -> None:
        """Run a statement once for each row of values."""
        self._ask("executemany", sql, list(rows))

    def iterdump(self) -> Iterator[str]:
        """Give the statements that would make the database anew."""
        return (sql for (sql,) in self._ask("dump"))

    def commit(self) -> None:
        """Keep what was changed."""
        self._ask("commit")

    def close(self) -> None:
        """Close the connection, and give up what was changed since the last commit."""
        self._answers.close()
        self._control.close()

    def _ask(self, do: str, *values: Any) -> Rows:
        return self._send({"do": do, "with_": values})

    def _send(self, order: dict[str, Any]) -> Rows:
        try:
            self._control.sendall(json.dumps(order, default=_to_json).encode() + b"\n")
            line = self._answers.readline(2 * ANSWER_LIMIT)
            answer = json.loads(line, object_hook=_from_json)
            if "error" in answer:
                raise _ERRORS.get(answer["error"], sqlite3.DatabaseError)(answer["said"][:300])
            found = Rows(map(Row, answer["rows"]))
            for row in found:
                row.columns = tuple(answer["columns"])
        except (OSError, LookupError, RecursionError, TypeError, ValueError):
            raise sqlite3.OperationalError("no answer comes") from None
        return found


_ERRORS = {
    error.__name__: error
    for error in (sqlite3.IntegrityError, sqlite3.OperationalError, sqlite3.ProgrammingError)
}
