"""What the Python of a copy says. It is read here, and never run."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TypeAlias

from course.snapshot import LARGEST_SOURCE, Snapshot

Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef

_LOADED_FIRST = ("App", "app", "manage")
"""The modules that the ways to serve a lesson begin with."""


@dataclass(frozen=True)
class Module:
    """A file of the copy: its dotted name, its path and what stands in it."""

    name: str
    path: str
    tree: ast.Module
    stands_for: dict[str, str] = field(default_factory=dict)
    """The full names of what it imports, and of what it makes at its top: `db` is `App.ext.db`."""

    @property
    def is_package(self) -> bool:
        """Whether it is the `__init__.py` of a folder."""
        return self.path.endswith("__init__.py")

    @property
    def calls(self) -> Iterator[ast.Call]:
        """All calls in the file."""
        return (node for node in ast.walk(self.tree) if isinstance(node, ast.Call))

    @property
    def functions(self) -> Iterator[Function]:
        """All functions in the file, methods among them."""
        return (node for node in ast.walk(self.tree) if isinstance(node, Function))

    def place(self, node: ast.expr | ast.stmt) -> str:
        """Return in words where a part of the file stands."""
        return f"{self.path}, line {node.lineno}"


@dataclass(frozen=True)
class Made:
    """An object that is made when a file is loaded, `name = kind(...)`. `kind` is a full name."""

    module: Module
    name: str
    kind: str
    call: ast.Call

    @property
    def full_name(self) -> str:
        """Its name, with that of the module."""
        return f"{self.module.name}.{self.name}"

    @property
    def where(self) -> str:
        """Where it is made, in words."""
        return self.module.place(self.call)


class Source:
    """The Python files of a copy. One that cannot be parsed is left out."""

    def __init__(self, copy: Snapshot) -> None:
        self.modules: dict[str, Module] = {}
        for path in sorted(copy.files):
            short = len(copy.files[path]) <= LARGEST_SOURCE
            if path.endswith(".py") and short and (tree := _parsed(copy.text(path))):
                name = path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
                self.modules[name] = Module(name, path, tree)
        for module in self.modules.values():
            module.stands_for.update(_names(module))

    def meaning(self, module: Module, node: ast.AST) -> str | None:
        """Return the full name of what `node` stands for, a name with or without dots.

        None where it is something else, or what only exists while a function runs.
        """
        if isinstance(node, ast.Name):
            return self._followed(module.stands_for.get(node.id))
        if isinstance(node, ast.Attribute) and (owner := self.meaning(module, node.value)):
            return self._followed(f"{owner}.{node.attr}")
        return None

    def has(self, name: str) -> bool:
        """Tell whether a full name is one of the copy's, and not of another package."""
        return name.partition(".")[0] in {own.partition(".")[0] for own in self.modules}

    def uses(self, name: str) -> bool:
        """Tell whether a file may use what this full name stands for, beside importing it."""
        last = name.rpartition(".")[2]
        for module in self.modules.values():
            for node in ast.walk(module.tree):
                meaning = self.meaning(module, node)
                unclear = meaning is None and isinstance(node, ast.Attribute) and node.attr == last
                if meaning == name or unclear:
                    return True
        return False

    def defined(self, name: str) -> Iterator[tuple[Module, ast.stmt]]:
        """Give the places at the top of a file where something of this name is made."""
        for module in self.modules.values():
            for statement in module.tree.body:
                if name in _made_by(statement):
                    yield module, statement

    def made(self) -> Iterator[Made]:
        """Give the objects that the files make when they are loaded."""
        for module in self.modules.values():
            for statement in module.tree.body:
                if isinstance(statement, ast.Assign) and isinstance(statement.value, ast.Call):
                    kind = self.meaning(module, statement.value.func)
                    for name in _made_by(statement) if kind else ():
                        yield Made(module, name, kind or "", statement.value)

    def loaded(self) -> set[str]:
        """Return the names of the modules that the app imports, directly or by another."""
        found: set[str] = set()
        waiting = list(_LOADED_FIRST)
        while waiting:
            name = waiting.pop()
            if name in self.modules and name not in found:
                found.add(name)
                waiting += self._imports(self.modules[name], ast.walk(self.modules[name].tree))
            if "." in name:  # with a module its package is loaded
                waiting.append(name.rpartition(".")[0])
        return found

    def circle(self, name: str) -> list[Module]:
        """Return the shortest way on which the module `name` imports itself; nothing if none."""
        ways = [[name]] if name in self.modules else []
        seen = {name}
        while ways:
            way = ways.pop(0)
            module = self.modules[way[-1]]
            for following in self._imports(module, _at_once(module.tree)):
                if following == name and len(way) > 1:
                    return [self.modules[each] for each in (*way, name)]
                if following not in seen:
                    seen.add(following)
                    ways.append([*way, following])
        return []

    def _imports(self, module: Module, nodes: Iterator[ast.AST]) -> Iterator[str]:
        """Give the names of the copy's modules that the import statements of `module` name."""
        for node in nodes:
            for name in _imported(module, node).values():
                parent = name.rpartition(".")[0]
                if name in self.modules or parent in self.modules:
                    yield name if name in self.modules else parent

    def _followed(self, name: str | None) -> str | None:
        """Follow a name through the modules that only pass it on."""
        seen = set()
        while name and name not in seen and name not in self.modules:
            seen.add(name)
            owner, _, last = name.rpartition(".")
            if owner in self.modules:
                name = self.modules[owner].stands_for.get(last, name)
        return name


def text_of(node: ast.AST | None) -> str:
    """Return the text that a literal is; nothing where `node` is something else."""
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


def keyword(call: ast.Call, name: str) -> ast.expr | None:
    """Return what a call passes by this name, or None."""
    return next((each.value for each in call.keywords if each.arg == name), None)


def _parsed(text: str | None) -> ast.Module | None:
    try:
        return ast.parse(text or "")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _names(module: Module) -> dict[str, str]:
    """Return what the names of a file stand for; those that only functions make are not told."""
    made = {name for statement in module.tree.body for name in _made_by(statement)}
    names = {name: f"{module.name}.{name}" for name in made}
    for node in ast.walk(module.tree):
        for name, full in _imported(module, node).items():
            if isinstance(node, ast.Import) and name == full.partition(".")[0]:
                full = name  # import a.b makes the name a
            names[name] = full
    return names


def _made_by(statement: ast.stmt) -> list[str]:
    """Return the names that a statement makes, where it is no import."""
    if isinstance(statement, Function | ast.ClassDef):
        return [statement.name]
    if isinstance(statement, ast.Assign):
        return [target.id for target in statement.targets if isinstance(target, ast.Name)]
    target = statement.target if isinstance(statement, ast.AnnAssign) else None
    return [target.id] if isinstance(target, ast.Name) else []


def _imported(module: Module, node: ast.AST) -> dict[str, str]:
    """Return the names that an import statement makes, each with its full name."""
    if isinstance(node, ast.Import):
        return {each.asname or each.name.partition(".")[0]: each.name for each in node.names}
    if isinstance(node, ast.ImportFrom):
        package = _package(module, node)
        return {each.asname or each.name: f"{package}.{each.name}" for each in node.names}
    return {}


def _package(module: Module, node: ast.ImportFrom) -> str:
    """Return the full name of what an import is from; dots lead up from the file's own package."""
    if not node.level:
        return node.module or ""
    own = f"{module.name}.__init__" if module.is_package else module.name
    return ".".join([*own.split(".")[: -node.level], *filter(None, [node.module])])


def _at_once(tree: ast.Module) -> Iterator[ast.AST]:
    """Give what runs when a file is loaded: all of it but the insides of functions."""
    waiting: list[ast.AST] = [tree]
    while waiting:
        node = waiting.pop(0)
        yield node
        if not isinstance(node, Function | ast.Lambda):
            waiting += ast.iter_child_nodes(node)
