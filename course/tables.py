"""What a table in a TOML file may say: a wrong name or a wrong type is told in a sentence."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping
from typing import Any

_CALLED: dict[type, str] = {str: "a text", int: "a whole number", list: "a list", dict: "a table"}


def only(data: Any, names: Collection[str], what: str) -> None:
    """Raise `ValueError` where `data` is no table, or has a name that is none of these."""
    if not isinstance(data, dict):
        raise ValueError(f"{what} is no table.")
    for name in data:
        if name not in names:
            (near,) = difflib.get_close_matches(name, sorted(names), n=1, cutoff=0)
            raise ValueError(f"{what}: there is no {name!r}. Did you mean {near!r}?")


def typed(
    data: Any, needed: Mapping[str, type], allowed: Mapping[str, type], what: str
) -> dict[str, Any]:
    """Return the table `data`, which has all that is needed, and else what is allowed.

    Each name has its type: of a list, and of a table in it, the values are texts or tables. Raises
    `ValueError` where it is not so.
    """
    only(data, {**needed, **allowed}, what)
    kinds: dict[str, type] = {**needed, **allowed}
    for name, kind in kinds.items():
        if name not in data:
            if name in needed:
                raise ValueError(f"{what} needs {name}.")
            continue
        value = data[name]
        its = type(value)
        if its is not kind:  # a bool is an int as well, and no number
            raise ValueError(f"{what}: {name} is {_CALLED[kind]}, not {value!r}.")
        if kind is dict:
            value = list(value.values())
        inside = value if isinstance(value, list) else [value]
        if kind is not int and not all(isinstance(each, dict) or _is_text(each) for each in inside):
            raise ValueError(f"{what}: {name} has something that is no text, or an empty one.")
    return dict(data)


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())
