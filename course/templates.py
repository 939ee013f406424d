"""The templates of a copy, as Jinja reads them: which block is written and never shown."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from jinja2 import Environment, TemplateError, nodes

from course.snapshot import Snapshot

_FOLDER = "App/templates/"


@dataclass(frozen=True)
class NotShown:
    """A block `name` at `where` in a template, whose `base` has other blocks: those in `has`."""

    where: str
    name: str
    base: str
    has: str


def blocks_not_shown(copy: Snapshot) -> Iterator[NotShown]:
    """Give the blocks that stand in a template outside of any block that it could fill."""
    trees = {
        path: tree
        for path in sorted(copy.files)
        if path.startswith(_FOLDER) and (tree := _parsed(copy.text(path)))
    }
    for path, tree in trees.items():
        base = _extended(tree)
        known = _blocks_from(base, trees)
        for block in tree.body if base and known is not None else ():
            if isinstance(block, nodes.Block) and block.name not in (known or ()):
                has = " and ".join(known or ["none"])
                yield NotShown(f"{path}, line {block.lineno}", block.name, base, has)


def _parsed(text: str | None) -> nodes.Template | None:
    try:
        return Environment().parse(text or "")
    except (TemplateError, ValueError):  # ValueError: a number of thousands of digits
        return None


def _extended(tree: nodes.Template) -> str:
    """Return the path of the template that this one extends; nothing where it extends none."""
    extends = tree.find(nodes.Extends)
    return f"{_FOLDER}{getattr(extends.template, 'value', '?')}" if extends else ""


def _blocks_from(path: str, trees: dict[str, nodes.Template]) -> list[str] | None:
    """Return the blocks of a template and of those that it extends; None where one is unknown."""
    found: list[str] = []
    seen = set()
    while path:
        if path in seen or path not in trees:
            return None
        seen.add(path)
        found += [block.name for block in trees[path].find_all(nodes.Block)]
        path = _extended(trees[path])
    return sorted(set(found))
