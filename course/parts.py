"""The parts of a Flask app, as they stand in a copy's Python: what Flask would make of them."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import TypeGuard

from course.source import Function, Made, Module, Source, keyword, text_of


def binding(source: Source, extension: Made) -> list[tuple[Module, ast.Call]]:
    """Return the calls that bind an extension to the app: init_app, of it or of who knows what."""
    found = [
        (module, call)
        for module in source.modules.values()
        for call in module.calls
        if isinstance(call.func, ast.Attribute)
        and call.func.attr == "init_app"
        and source.meaning(module, call.func.value) in (None, extension.full_name)
    ]
    at_once = extension.call.args or keyword(extension.call, "app")
    return [*found, (extension.module, extension.call)] if at_once else found


def blueprints(source: Source) -> dict[str, Made]:
    """Return the blueprints by their names."""
    found = {}
    for made in source.made():
        if made.kind == "flask.Blueprint":
            first = made.call.args[0] if made.call.args else keyword(made.call, "name")
            found[text_of(first)] = made
    return found


def places(source: Source, name: str, asking: Module) -> list[str]:
    """Return from where a name can be imported: Flask, the package of whoever makes it, or that."""
    found = ["flask"] if name in _OF_FLASK else []
    for module, _ in source.defined(name):
        package = module.name.rpartition(".")[0]
        owner = source.modules.get(package)
        passed_on = owner and owner is not asking and name in owner.stands_for
        found.append(package if passed_on else module.name)
    asked = {node.attr for node in ast.walk(asking.tree) if _is_of(node, name)}
    for module in source.modules.values():
        package, _, last = module.name.rpartition(".")
        if last == name and package and asked and asked <= module.stands_for.keys():
            found.append(package)
    return found


def _is_of(node: ast.AST, name: str) -> TypeGuard[ast.Attribute]:
    """Tell whether this is what is asked of something by its name, such as `cookies.read`."""
    return isinstance(node, ast.Attribute) and ast.unparse(node.value) == name


_OF_FLASK: tuple[str, ...] = (
    "Blueprint", "abort", "current_app", "g", "json", "redirect", "render_template", "request",
    "session", "url_for",
)  # fmt: skip


def views_below_run(source: Source) -> Iterator[tuple[Module, Function, str]]:
    """Give the functions that stand below a call of `app.run`, each with a path of its route."""
    for module in source.modules.values():
        served = False
        for statement in module.tree.body:
            made = statement.decorator_list if isinstance(statement, Function) else []
            for call in made if served else ():
                if isinstance(statement, Function) and isinstance(call, ast.Call) and call.args:
                    yield module, statement, text_of(call.args[0])
            served = served or _serves(source, module, statement)


def _serves(source: Source, module: Module, statement: ast.stmt) -> bool:
    """Tell whether a statement at the top of a file calls `app.run`, itself or below an `if`."""
    if isinstance(statement, ast.If):
        return any(_serves(source, module, each) for each in statement.body)
    call = statement.value if isinstance(statement, ast.Expr) else None
    if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Attribute):
        return False
    owner = source.meaning(module, call.func.value)
    apps = {made.full_name for made in source.made() if made.kind == "flask.Flask"}
    return call.func.attr == "run" and owner in apps


def fits(route: str, path: str) -> bool:
    """Tell whether a path is one of those that a route is for, whatever its variables take."""
    pieces = re.split("<[^>]*>", route)
    return re.fullmatch("[^/]+".join(map(re.escape, pieces)), path) is not None


def answers(blueprint: Made, path: str) -> bool:
    """Tell whether the prefix of a blueprint, or else a route in its file, fits a path."""
    if prefix := text_of(keyword(blueprint.call, "url_prefix")):
        return path == prefix or path.startswith(f"{prefix}/")
    routes = (text_of(call.args[0]) for call in blueprint.module.calls if call.args)
    return any(fits(route, path) for route in routes if route.startswith("/"))


def files(source: Source, endpoint: str) -> list[Module]:
    """Return the files where an endpoint's view can stand: its blueprint's, or the app's."""
    name = endpoint.rpartition(".")[0]
    made = blueprints(source).get(name)
    home = made.module if made else None if name else source.modules.get("app")
    if home and home.is_package:
        return [m for m in source.modules.values() if f"{m.name}.".startswith(f"{home.name}.")]
    return [home] if home else []


def views(source: Source, endpoint: str) -> Iterator[tuple[Module, Function]]:
    """Give the functions that an endpoint can name."""
    for module in files(source, endpoint):
        for function in module.functions:
            if function.decorator_list and function.name == endpoint.rpartition(".")[2]:
                yield module, function


def called(source: Source, call: ast.Call) -> list[Function]:
    """Return the functions of the copy that a call may call: those of its name, of its class."""
    if isinstance(call.func, ast.Attribute):
        found = [(owner.name, method) for _, owner, method in methods(source, call.func.attr)]
        named = [method for owner, method in found if owner == ast.unparse(call.func.value)]
        return named or [method for _, method in found]
    made = source.defined(ast.unparse(call.func))
    return [statement for _, statement in made if isinstance(statement, Function)]


def yields(function: Function) -> bool:
    """Tell whether a function is a generator: a yield in one that stands inside it is not its."""
    waiting: list[ast.AST] = [*function.body]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Yield | ast.YieldFrom):
            return True
        if not isinstance(node, Function | ast.Lambda | ast.ClassDef):
            waiting += ast.iter_child_nodes(node)
    return False


def returns(body: list[ast.stmt]) -> bool:
    """Tell whether statements end with a return of something, on every way through them."""
    last = body[-1] if body else None
    if isinstance(last, ast.Return):
        return last.value is not None
    if isinstance(last, ast.If):
        return returns(last.body) and returns(last.orelse)
    if isinstance(last, ast.With):
        return returns(last.body)
    if isinstance(last, ast.Try):
        handled = all(returns(handler.body) for handler in last.handlers)
        return returns(last.finalbody) or (handled and returns(last.orelse or last.body))
    return isinstance(last, ast.Raise)


def commands(source: Source) -> Iterator[tuple[Module, Function]]:
    """Give the functions that Flask-Script calls with options: under `option`, or a class's run."""
    for module in source.modules.values():
        for function in module.functions:
            made = [each for each in function.decorator_list if isinstance(each, ast.Call)]
            if any(ast.unparse(each.func).endswith(".option") for each in made):
                yield module, function
    for module, owner, method in methods(source, "run"):
        if any(ast.unparse(base).rpartition(".")[2] == "Command" for base in owner.bases):
            yield module, method


def is_resource(owner: ast.ClassDef) -> bool:
    """Tell whether a class is one of Flask-RESTful's, or a view of Flask's, by its base."""
    bases = {ast.unparse(base).rpartition(".")[2] for base in owner.bases}
    return not bases.isdisjoint({"Resource", "MethodView"})


def is_escaped(node: ast.AST) -> bool:
    """Tell whether this is what escape() or Markup() makes, or a sum with that."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return is_escaped(node.left) or is_escaped(node.right)
    if not isinstance(node, ast.Call):
        return False
    return ast.unparse(node.func).rpartition(".")[2] in ("escape", "Markup")


def reads(modules: list[Module], *names: str) -> list[str]:
    """Return the places where files read one of these of the request, such as `form`."""
    return [
        module.place(node)
        for module in modules
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Attribute)
        and node.attr in names
        and ast.unparse(node.value) == "request"
    ]


def models(module: Module) -> list[ast.ClassDef]:
    """Return the classes of a file whose base ends in `.Model`."""
    classes = (node for node in ast.walk(module.tree) if isinstance(node, ast.ClassDef))
    return [
        node
        for node in classes
        if any(isinstance(base, ast.Attribute) and base.attr == "Model" for base in node.bases)
    ]


def methods(source: Source, name: str) -> Iterator[tuple[Module, ast.ClassDef, Function]]:
    """Give the methods of this name, each with its file and its class."""
    for module in source.modules.values():
        for owner in (node for node in ast.walk(module.tree) if isinstance(node, ast.ClassDef)):
            for part in owner.body:
                if isinstance(part, Function) and part.name == name:
                    yield module, owner, part


def migrations(source: Source, way: str) -> Iterator[tuple[Module, Function]]:
    """Give the functions of this name, `upgrade` or `downgrade`, of the migrations."""
    for module in source.modules.values():
        for function in module.functions if module.name.startswith("migrations.") else ():
            if function.name == way:
                yield module, function


def table(model: ast.ClassDef) -> str:
    """Return the name of a model's table: the one it says, or what is made of the class's."""
    for statement in model.body:
        if isinstance(statement, ast.Assign) and ast.unparse(statement).startswith("__tablename__"):
            return text_of(statement.value)
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", model.name).lower()


def settings(source: Source) -> dict[str, tuple[str, ast.expr]]:
    """Return what is configured: where each setting is set, and to what."""
    found = {}
    for module in source.modules.values():
        for node in ast.walk(module.tree):
            for name, value in _set_by(node, module.name.endswith("settings")):
                found[name] = (module.place(value), value)
    return found


def _set_by(node: ast.AST, in_settings: bool) -> Iterator[tuple[str, ast.expr]]:
    """Give the settings that a part of a file sets."""
    if isinstance(node, ast.Assign):
        for target in node.targets:
            if isinstance(target, ast.Name) and in_settings:
                yield target.id, node.value
            if isinstance(target, ast.Subscript) and ast.unparse(target.value).endswith("config"):
                yield text_of(target.slice), node.value
    if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("config.from_mapping"):
        yield from ((each.arg, each.value) for each in node.keywords if each.arg)


def uncommitted(source: Source) -> Iterator[tuple[Module, Function]]:
    """Give the functions that write to the database's session without a commit.

    Neither they commit nor a function that calls one of their name. Nothing is given where a commit
    may follow by itself, at the end of a request or of a `with`.
    """
    modules = list(source.modules.values())
    if any(map(_commits_later, modules)):
        return
    kept = {
        name
        for module in modules
        for function in module.functions
        if _commits(function)
        for name in _called(source, module, function)
    }
    for module in modules:
        methods = [statement for model in models(module) for statement in model.body]
        for function in module.functions:
            writes = _writes(function) or (function in methods and _sets_itself(function))
            if writes and not _commits(function) and function.name not in kept:
                yield module, function


def _commits(tree: ast.AST) -> bool:
    return any(isinstance(node, ast.Attribute) and node.attr == "commit" for node in ast.walk(tree))


def _commits_later(module: Module) -> bool:
    names = {node.attr for node in ast.walk(module.tree) if isinstance(node, ast.Attribute)}
    hooks = {"after_request", "after_app_request", "teardown_request", "teardown_appcontext"}
    at_the_end = "commit" in names and not hooks.isdisjoint(names)
    return at_the_end or "session.begin(" in ast.unparse(module.tree)


def _called(source: Source, module: Module, function: Function) -> Iterator[str]:
    """Give the names of what a function calls, but for what other packages have."""
    for call in ast.walk(function):
        if isinstance(call, ast.Call) and not _of_session(call):
            meaning = source.meaning(module, call.func)
            if meaning is None or source.has(meaning):
                yield (meaning or ast.unparse(call.func)).rpartition(".")[2]


def _writes(function: Function) -> bool:
    """Tell whether a function adds to the session, deletes, or sends a statement that writes."""
    for call in ast.walk(function):
        if isinstance(call, ast.Call) and _of_session(call):
            what = ast.unparse(call.func).rpartition(".")[2]
            statement = ast.unparse(call.args[0]) if call.args else ""
            sends = what == "execute" and re.search(r"\b(insert|update|delete)\(", statement)
            if what in ("add", "add_all", "delete", "merge") or sends:
                return True
    return False


def _of_session(call: ast.Call) -> bool:
    return re.search(r"\.session\.\w+$", ast.unparse(call.func)) is not None


def _sets_itself(method: Function) -> bool:
    """Tell whether a method changes what its object has."""
    if method.name.startswith("__"):
        return False
    for node in ast.walk(method):
        setting = isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store)
        if setting and ast.unparse(node).startswith("self."):
            return True
        if isinstance(node, ast.Call) and ast.unparse(node).startswith("setattr(self,"):
            return True
    return False
