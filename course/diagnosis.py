"""The mistakes that are known: which one a failed check speaks of, and how it is mended.

The tables [[mistake]] in course.toml say how each is known: by a text, or by a function here. Such
a function returns the values that the mend names, or None where it is not that mistake. What it
cannot see for certain it does not claim: a mend that is wrong costs more than none.
"""

from __future__ import annotations

import ast
import difflib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from course import parts
from course.catalog import Mistake
from course.evidence import Evidence, sound
from course.snapshot import Snapshot
from course.source import Made, Source, keyword, text_of
from course.templates import blocks_not_shown

Found = dict[str, str] | None
Finder = Callable[[Evidence], Found]

FINDERS: dict[str, Finder] = {}
"""What a table [[mistake]] may name in `finds`."""

_NOT_BOUND = {
    "flask_sqlalchemy.SQLAlchemy": r"'SQLAlchemy' instance|no SQLAlchemy object|database: .*none",
    "flask_migrate.Migrate": r"KeyError: 'migrate'",
    "flask_session.Session": r"the same cookie, an id, got another cookie",
    "flask_caching.Cache": r"KeyError: 'cache'|no Cache object",
}
"""The extensions, and what is said where one is not bound to the app."""

_NOT_SET = {
    "SECRET_KEY": r"no secret key was set|got key None|Set SECRET_KEY",
    "SESSION_TYPE": r"for SESSION_TYPE: null",
    "CACHE_TYPE": r"got NullCache|KeyError: 'CACHE_TYPE'|header X-Cache: hit, got miss",
    "SQLALCHEMY_DATABASE_URI": r"Either 'SQLALCHEMY_DATABASE_URI' or",
}
"""Settings, and what is said where one is not set."""

_NOT_IN_MODULE = re.compile(
    r"cannot import name '(?P<imported>\w+)' from '(?P<source>[\w.]+)'|"
    r"module '(?P<module>[\w.]+)' has no attribute '(?P<name>\w+)'"
)
_NO_ARGUMENT = re.compile(
    r"(\b(?P<owner>\w+)\.)?\b(?P<name>\w+)\(\)"
    r" got an unexpected keyword argument '(?P<argument>\w+)'"
)
_TOO_FEW = re.compile(
    r"\b(?P<owner>\w+)\.(?P<name>\w+)\(\) missing \d+ required positional arguments?: "
)
_NO_DB = r"expected Migrate to know db|'NoneType' object has no attribute '(engine|get_engine)'"
_OF_CONSTRAINTS = re.compile(r"alembic\.op\.(create|drop)_\w*(constraint|key)")
_ROUTES = ("route", "get", "post", "put", "patch", "delete")
_CACHE_TYPES = ("FileSystemCache", "SimpleCache", "RedisCache", "NullCache")
_NO_CACHE = re.compile(r"flask_caching\.backends\.|'module' object is not |CACHE_TYPE is one of")
_NO_TABLE = re.compile(
    r"no such table: (\w+)|could not find table '(\w+)'|No changes in schema detected|"
    r"The database: expected .*got none"
)
_LOST = re.compile(
    r"after a restart: expected|expected a link with the text|rows, got \d|^import of|"
    r"^The database after| after (a )?(PATCH|POST|DELETE)\b"
)
"""What is said where something that was written is not there."""

_FRAME = re.compile(r"^  (?P<file>.+?), line (?P<line>\d+)", re.MULTILINE)
_ENDED_TEXT = re.compile(r'\b[fF]"(?!"")[^"]*="[^\s,;:)\]}]')
"""An attribute of HTML whose quote is also that of the f-string around it."""
_TAG_READ = re.compile(r"got (none, but the text |.*[ '])<[a-z][^'\"]*>")
_NOT_SHOWN = re.compile(r"expected (?!no ).+? on the page,|expected (the heading|a link) ")


@dataclass(frozen=True)
class Diagnosis:
    """Knows the mistakes, and looks for them in one copy."""

    mistakes: Sequence[Mistake]
    copy: Snapshot

    def mend(self, said: str, trace: str, facts: dict[str, Any], only: str = "") -> str | None:
        """Return what the student is told of the first mistake that this speaks of, or None.

        `said` and `trace` are a failed check's; `facts` is what the app has said of itself. `only`
        names the one function that is to look for its mistake, and no text counts then.
        """
        evidence = Evidence(said, trace, sound(facts), self.copy, self._source)
        for mistake in self.mistakes:
            if only not in ("", mistake.finds):
                continue
            if mistake.says and mistake.says in evidence.text:
                return mistake.mend
            if mistake.finds and (found := _found(mistake.finds, evidence)) is not None:
                return mistake.mend.format(**found)
        return None

    @cached_property
    def _source(self) -> Source:
        return Source(self.copy)


def _found(name: str, evidence: Evidence) -> Found:
    try:
        return FINDERS[name](evidence)
    except RecursionError:  # a formula of a thousand terms, which Python itself can read
        return None


def finder(function: Finder) -> Finder:
    """Make a function one of `FINDERS`."""
    FINDERS[function.__name__] = function
    return function


# What holds the app together: extensions, blueprints, imports.


@finder
def second_extension(evidence: Evidence) -> Found:
    """There are two objects of one extension, and the app knows the other."""
    made = _extensions(evidence)
    bound = {each.kind: each for each in made if parts.binding(evidence.source, each)}
    for each in made:
        other = bound.get(each.kind)
        if other and not parts.binding(evidence.source, each):
            right = f"from {other.module.name} import {other.name}"
            return {"kind": _last(each.kind), "where": each.where, "right": right}
    return None


@finder
def extension_not_bound(evidence: Evidence) -> Found:
    """An extension is made without the app, and nothing binds it."""
    for made in _extensions(evidence):
        if not parts.binding(evidence.source, made):
            more = ", db" if _last(made.kind) == "Migrate" else ""
            how = f"{made.name}.init_app(app{more})"
            return {"name": made.name, "where": made.where, "how": how}
    return None


@finder
def binder_not_called(evidence: Evidence) -> Found:
    """The function that binds an extension to the app is never called."""
    for made in _extensions(evidence):
        for module, call in parts.binding(evidence.source, made):
            for function in module.functions:
                inside = any(node is call for node in ast.walk(function))
                if inside and not evidence.source.uses(f"{module.name}.{function.name}"):
                    where = module.place(function)
                    return {"name": function.name, "kind": _last(made.kind), "where": where}
    return None


def _extensions(evidence: Evidence) -> list[Made]:
    """Return the extensions of which that is said which is said where they are not bound."""
    said = {kind for kind, words in _NOT_BOUND.items() if re.search(words, evidence.text)}
    return [made for made in evidence.source.made() if made.kind in said]


@finder
def blueprint_not_registered(evidence: Evidence) -> Found:
    """The view is in a blueprint that the app does not have."""
    registered = set(evidence.facts.get("blueprints", ()))
    written = parts.blueprints(evidence.source)
    if not evidence.facts or not registered <= set(written):  # one has another name in the app
        return None
    for name in sorted(set(written) - registered):
        made, path = written[name], evidence.missing_route
        if _no_url(evidence).startswith(f"{name}.") or (path and parts.answers(made, path)):
            what = f"{_last(made.module.name)}.{made.name}"
            return {"name": name, "where": made.where, "what": what}
    return None


@finder
def circular_import(evidence: Evidence) -> Found:
    """Files import one another."""
    match = re.search(r"partially initialized module '([\w.]+)'", evidence.text)
    circle = evidence.source.circle(match[1]) if match else []
    return {"circle": " → ".join(module.path for module in circle)} if circle else None


@finder
def name_not_passed_on(evidence: Evidence) -> Found:
    """A name is imported from a package, and a file in the package has it."""
    match = re.search(r"cannot import name '(\w+)' from '([\w.]+)'", evidence.text)
    package = evidence.source.modules.get(match[2]) if match else None
    for module, statement in evidence.source.defined(match[1]) if match else ():
        if match and package and module.name.startswith(f"{package.name}."):
            where, right = module.place(statement), f"from {module.name} import {match[1]}"
            return {"name": match[1], "where": where, "package": package.path, "right": right}
    return None


@finder
def name_not_imported(evidence: Evidence) -> Found:
    """A name is not known in a file, and there is one place alone from where it can come."""
    match = re.search(r"NameError: name '(\w+)' is not defined", evidence.trace)
    frames = _FRAME.findall(evidence.trace) if match else []
    for path, _ in frames[-1:]:
        here = [each for each in evidence.source.modules.values() if each.path == path]
        if not match or not here or match[1] in here[0].stands_for:
            return None
        places = parts.places(evidence.source, match[1], here[0])
        if len(places) == 1:
            right = f"from {places[0]} import {match[1]}"
            return {"name": match[1], "file": path, "right": right}
    return None


@finder
def name_is_a_method(evidence: Evidence) -> Found:
    """A name is asked of a module, and a class there has a method of that name."""
    match = _NOT_IN_MODULE.search(evidence.text)
    name = (match["imported"] or match["name"]) if match else ""
    for module, model, method in parts.methods(evidence.source, name):
        if match and f"{module.name}.".startswith(f"{match['source'] or match['module']}."):
            owner = model.name if method.decorator_list else model.name.lower()
            call = f"{owner}.{name}(...)"
            where = module.place(method)
            return {"name": name, "model": model.name, "where": where, "call": call}
    return None


@finder
def module_in_package(evidence: Evidence) -> Found:
    """A module is imported without the package that it is in."""
    match = re.search(r"No module named '([\w.]+)'", evidence.text)
    modules = evidence.source.modules.values()
    fitting = [each for each in modules if match and each.name.endswith(f".{match[1]}")]
    if not match or len(fitting) != 1:
        return None
    return {"wrong": match[1], "path": fitting[0].path, "right": fitting[0].name}


@finder
def quote_in_f_string(evidence: Evidence) -> Found:
    """A quote of HTML's ends the f-string that it stands in, which is no Python any more."""
    frames = _FRAME.findall(evidence.trace) if "SyntaxError: " in evidence.trace else []
    for path, number in frames[-1:]:
        lines = (evidence.copy.text(path) or "").splitlines()
        if any(_ENDED_TEXT.search(line) for line in lines[int(number) - 1 : int(number)]):
            return {"where": f"{path}, line {number}"}
    return None


@finder
def model_not_imported(evidence: Evidence) -> Found:
    """Nothing that the app loads imports the file of a model, so nobody knows of its table."""
    match = _NO_TABLE.search(evidence.text)
    if not match:
        return None
    table = match[1] or match[2]
    loaded = evidence.source.loaded()
    for module in evidence.source.modules.values():
        for model in parts.models(module) if module.name not in loaded else ():
            if table in (None, parts.table(model)):
                right = f"from {module.name} import {model.name}"
                return {"name": model.name, "where": module.place(model), "right": right}
    return None


# What a request meets: routes, methods, views, templates.


@finder
def endpoint_without_blueprint(evidence: Evidence) -> Found:
    """url_for names a view that is in a blueprint, and not the blueprint."""
    wrong = _no_url(evidence)
    for rule in evidence.facts.get("rules", ()):
        if wrong and rule["endpoint"].endswith(f".{wrong}"):
            return {"wrong": wrong, "right": rule["endpoint"]}
    return None


def _no_url(evidence: Evidence) -> str:
    """Return the endpoint that url_for did not find; nothing where that is not what went wrong."""
    match = re.search(r"Could not build url for endpoint '([^']+)'", evidence.text)
    return match[1] if match else ""


@finder
def no_such_view(evidence: Evidence) -> Found:
    """url_for names no view, in an app that has no blueprint."""
    wrong = _no_url(evidence)
    names = sorted({rule["endpoint"] for rule in evidence.facts.get("rules", ())} - {"static"})
    if not wrong or wrong in names or not names or evidence.facts["blueprints"]:
        return None
    return {"views": ", ".join(names), "wrong": wrong}


@finder
def tag_escaped(evidence: Evidence) -> Found:
    """A tag is read on the page: `+` with escaped text has escaped it as well."""
    if evidence.trace or not _TAG_READ.search(evidence.said):
        return None
    for module in evidence.source.modules.values():
        for node in ast.walk(module.tree):
            if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
                sides = (node.left, node.right), (node.right, node.left)
                if any("<" in text_of(tag) and parts.is_escaped(other) for tag, other in sides):
                    return {"where": module.place(node)}
    return None


@finder
def template_elsewhere(evidence: Evidence) -> Found:
    """The template is there, but in another folder, or with other letters in its name."""
    match = re.search(r"TemplateNotFound: (\S+)", evidence.text)
    wanted = f"App/templates/{match[1]}" if match else ""
    for path in sorted(evidence.copy.files):
        if match and path != wanted and _file(path) == _file(wanted):
            return {"wanted": wanted, "there": path}
    return None


@finder
def block_not_in_base(evidence: Evidence) -> Found:
    """A template fills a block that the one that it extends does not have: it is not shown."""
    if evidence.trace or not _NOT_SHOWN.search(evidence.said):
        return None
    for found in blocks_not_shown(evidence.copy):
        return {"where": found.where, "name": found.name, "base": found.base, "has": found.has}
    return None


def _file(path: str) -> str:
    return path.rpartition("/")[2].casefold()


@finder
def view_below_run(evidence: Evidence) -> Found:
    """The view stands below the call that serves, and that call comes to no end."""
    refused = evidence.missing_route or "got status 405" in evidence.said
    known = {rule["endpoint"] for rule in evidence.facts.get("rules", ())}
    for module, view, route in parts.views_below_run(evidence.source) if refused else ():
        if view.name not in known and parts.fits(route, evidence.path):
            return {"name": view.name, "where": module.place(view)}
    return None


@finder
def route_misspelt(evidence: Evidence) -> Found:
    """The app has no such route, and one that is nearly so."""
    method = evidence.method if "got status 405" in evidence.said else ""
    path = evidence.missing_route or (evidence.path if method else "")
    for rule in evidence.facts.get("rules", ()):
        taken = not evidence.method or evidence.method in rule["methods"]
        if path and taken and _nearly(rule["rule"], path):
            return {"route": f"{method} {path}".strip(), "nearest": rule["rule"]}
    return None


def _nearly(rule: str, path: str) -> bool:
    """Tell whether rule and path differ in one segment, and there in a letter or two.

    Or the rule has the first segment twice: the blueprint's prefix stands in the decorator too.
    """
    there, wanted = rule.strip("/").split("/"), path.strip("/").split("/")
    if there == [wanted[0], *wanted]:
        return True
    pairs = [(a, b) for a, b in zip(there, wanted, strict=False) if a != b and not a.endswith(">")]
    likeness = [difflib.SequenceMatcher(None, a, b).ratio() for a, b in pairs]
    return len(there) == len(wanted) and len(likeness) == 1 and likeness[0] > 0.75


@finder
def no_methods(evidence: Evidence) -> Found:
    """The path has a view for GET alone, because its route() names no methods."""
    if not other_method(evidence):
        return None
    for endpoint in evidence.endpoints:
        for module, view in parts.views(evidence.source, endpoint):
            for decorator in view.decorator_list:
                call = decorator if isinstance(decorator, ast.Call) else None
                is_route = call and _last(ast.unparse(call.func)) == "route"
                if call and is_route and not keyword(call, "methods"):
                    return {"method": evidence.method, "where": module.place(call)}
    return None


@finder
def other_method(evidence: Evidence) -> Found:
    """The path has a view, but none for this method."""
    others, method = evidence.methods, evidence.method
    if "got status 405 Method Not Allowed" not in evidence.said or not others or method in others:
        return None
    taken = " and ".join(others)
    return {"path": evidence.path, "others": taken, "method": method, "lower": method.lower()}


@finder
def form_for_json(evidence: Evidence) -> Found:
    """JSON is sent, and the view reads a form."""
    if not evidence.sent.startswith("JSON ") or "got status 400" not in evidence.said:
        return None
    for endpoint in evidence.endpoints:
        modules = parts.files(evidence.source, endpoint)
        form = parts.reads(modules, "form")
        if form and not parts.reads(modules, "json", "get_json"):
            return {"where": form[0]}
    return None


@finder
def json_for_form(evidence: Evidence) -> Found:
    """A form is sent, and the view reads JSON."""
    if not re.match(r"\w+='", evidence.sent) or "got status 415" not in evidence.said:
        return None
    for endpoint in evidence.endpoints:
        for place in parts.reads(parts.files(evidence.source, endpoint), "json", "get_json"):
            return {"where": place}
    return None


@finder
def reqparse_without_location(evidence: Evidence) -> Found:
    """Flask-RESTful's reqparse looks for JSON in a request that has none."""
    for module in evidence.source.modules.values() if "got status 415" in evidence.said else ():
        for call in module.calls:
            adds = _last(ast.unparse(call.func)) == "add_argument"
            if adds and not keyword(call, "location"):
                return {"where": module.place(call)}
    return None


@finder
def key_not_sent(evidence: Evidence) -> Found:
    """The view reads, in square brackets, what the request does not have."""
    if "got status 400 Bad Request" not in evidence.said:
        return None
    sent = {"request.form": evidence.sent, "request.args": evidence.query}
    for endpoint in evidence.endpoints:
        for module, view in parts.views(evidence.source, endpoint):
            for node in ast.walk(view):
                if isinstance(node, ast.Subscript) and (key := text_of(node.slice)):
                    what = ast.unparse(node.value)
                    if what in sent and not re.search(rf"\b{re.escape(key)}=", sent[what]):
                        return {"where": module.place(node), "what": what, "key": key}
    return None


@finder
def variable_not_taken(evidence: Evidence) -> Found:
    """The rule has a variable part, and the view has no argument of that name."""
    match = _NO_ARGUMENT.search(evidence.text)
    for rule in evidence.facts.get("rules", ()) if match else ():
        if match and rule["endpoint"] in evidence.endpoints:
            variable = re.search(rf"<([^<>]*:)?{match['argument']}>", rule["rule"])
            views = list(parts.views(evidence.source, rule["endpoint"]))
            for module, owner, method in parts.methods(evidence.source, match["name"]):
                if owner.name == match["owner"] and parts.is_resource(owner):
                    views.append((module, method))
            for module, view in views:
                if variable and view.name == match["name"]:
                    found = {"rule": rule["rule"], "argument": match["argument"]}
                    return {**found, "view": view.name, "where": module.place(view)}
    return None


@finder
def option_not_taken(evidence: Evidence) -> Found:
    """A command of Flask-Script has an option, and its function no argument of that name."""
    match = _NO_ARGUMENT.search(evidence.text)
    if not match or not evidence.said.startswith("python manage.py "):
        return None
    for module, function in parts.commands(evidence.source):
        if function.name == match["name"]:
            where = module.place(function)
            return {"name": function.name, "where": where, "argument": match["argument"]}
    return None


@finder
def no_return(evidence: Evidence) -> Found:
    """A view ends without a return. Of one that returns, what it calls may return nothing."""
    match = re.search(r"The view function for '([\w.]+)' did not return a valid", evidence.text)
    for module, view in parts.views(evidence.source, match[1]) if match else ():
        if parts.returns(view.body):
            return None
        return {"view": view.name, "where": module.place(view)}
    return None


@finder
def guard_above_route(evidence: Evidence) -> Found:
    """A decorator stands above that of the route, which has the view as it was before."""
    if "expected a redirect to" not in evidence.said or "got a redirect to" in evidence.said:
        return None
    for endpoint in evidence.endpoints:
        for module, view in parts.views(evidence.source, endpoint):
            plain = None
            for decorator in view.decorator_list:
                called = decorator.func if isinstance(decorator, ast.Call) else None
                if plain and called and _last(ast.unparse(called)) in _ROUTES:
                    where, route = module.place(decorator), ast.unparse(called)
                    return {"guard": ast.unparse(plain), "route": route, "where": where}
                plain = plain or (decorator if isinstance(decorator, ast.Name) else None)
    return None


# What is kept: the database, the settings.


@finder
def classmethod_missing(evidence: Evidence) -> Found:
    """A method is called of the class, and is none of the class's."""
    match = _TOO_FEW.search(evidence.text)
    lines = [line for line in evidence.trace.splitlines() if _FRAME.match(line)][-1:]
    for module, owner, method in parts.methods(evidence.source, match["name"]) if match else ():
        called = f"{owner.name}.{method.name}("
        first = method.args.args[0].arg if method.args.args else ""
        of_class = first == "cls" or any(called in line for line in lines)
        if match and owner.name == match["owner"] and not method.decorator_list and of_class:
            where = module.place(method)
            return {"name": method.name, "where": where, "call": f"{called}...)"}
    return None


@finder
def generator_not_run(evidence: Evidence) -> Found:
    """A function with a yield is called in a line that does nothing with what it returns."""
    for module in evidence.source.modules.values() if _is_lost(evidence) else ():
        for node in ast.walk(module.tree):
            call = node.value if isinstance(node, ast.Expr) else None
            called = parts.called(evidence.source, call) if isinstance(call, ast.Call) else []
            if isinstance(call, ast.Call) and called and all(map(parts.yields, called)):
                return {"call": ast.unparse(call.func), "where": module.place(call)}
    return None


@finder
def guest_has_no_id(evidence: Evidence) -> Found:
    """The id of the owner is asked for, and a guest is None."""
    lines = evidence.trace.splitlines()
    if not lines or "'NoneType' object has no attribute 'id'" not in lines[-1]:
        return None
    for line in [line for line in lines if _FRAME.match(line)][-1:]:
        frame, asked = _FRAME.match(line), re.search(r"\b(owner|g\.user)\.id\b", line)
        if frame and asked:
            where = f"{frame['file']}, line {frame['line']}"
            return {"what": asked[0], "owner": asked[1], "where": where}
    return None


@finder
def session_not_wanted(evidence: Evidence) -> Found:
    """Flask-Session is set up for a store that it does not know."""
    asked = re.match(r"SESSION_TYPE=(cookie|database) python manage\.py ", evidence.said)
    if not asked or "Unrecognized value for SESSION_TYPE: " not in evidence.text:
        return None
    own = {"cookie": "it is Flask's own session.", "database": "DatabaseSessions(app) is enough."}
    return {"store": asked[1], "why": own[asked[1]]}


@finder
def no_table(evidence: Evidence) -> Found:
    """A table is missing, and it is not the check that has taken it away."""
    missing = re.search(r"no such table: (\w+)", evidence.text)
    if not missing or "with the table gone" in evidence.said:
        return None
    written = {path: evidence.copy.text(path) or "" for path in evidence.copy.files}
    migrations = [path for path in written if path.startswith("migrations/versions/")]
    made = any(re.search(rf"['\"]{missing[1]}['\"]", written[path]) for path in migrations)
    if "MigrateCommand" not in written.get("manage.py", ""):
        how = "python manage.py create_db, which makes those of the models that are imported"
    elif made:
        how = "python manage.py db upgrade"
    else:
        how = f"no file in migrations/versions makes {missing[1]}, so db migrate, then db upgrade"
    return {"how": how}


@finder
def migrate_without_db(evidence: Evidence) -> Found:
    """Migrate is bound to the app, and nobody tells it of the database."""
    for made in evidence.source.made() if re.search(_NO_DB, evidence.text) else ():
        calls = parts.binding(evidence.source, made)
        knows = any(_may_name_db(call) for call in [made.call, *(call for _, call in calls)])
        for module, call in calls if made.kind == "flask_migrate.Migrate" and not knows else ():
            if evidence.source.meaning(module, call.func) == f"{made.full_name}.init_app":
                return {"name": made.name, "where": module.place(call)}
    return None


def _may_name_db(call: ast.Call) -> bool:
    return len(call.args) > 1 or any(each.arg in ("db", None) for each in call.keywords)


@finder
def constraint_outside_batch(evidence: Evidence) -> Found:
    """A migration changes a constraint in a way that SQLite has not."""
    if "No support for ALTER of constraints in SQLite" not in evidence.text:
        return None
    way = "downgrade" if "db downgrade" in evidence.said else "upgrade"
    for module, function in parts.migrations(evidence.source, way):
        for node in ast.walk(function):
            what = evidence.source.meaning(module, node) or ""
            if isinstance(node, ast.expr) and _OF_CONSTRAINTS.fullmatch(what):
                return {"what": _last(what), "where": module.place(node)}
    return None


@finder
def commit_not_called(evidence: Evidence) -> Found:
    """A line names the commit of the session, and does not call it."""
    for module in evidence.source.modules.values() if _is_lost(evidence) else ():
        for node in ast.walk(module.tree):
            line = node.value if isinstance(node, ast.Expr) else None
            if isinstance(line, ast.Attribute) and ast.unparse(line).endswith(".session.commit"):
                return {"line": ast.unparse(line), "where": module.place(line)}
    return None


@finder
def no_commit(evidence: Evidence) -> Found:
    """A function writes to the database's session, and nothing commits."""
    for module, function in parts.uncommitted(evidence.source) if _is_lost(evidence) else ():
        return {"name": function.name, "where": module.place(function)}
    return None


def _is_lost(evidence: Evidence) -> bool:
    return not evidence.trace and _LOST.search(evidence.said) is not None


@finder
def setting_misspelt(evidence: Evidence) -> Found:
    """A setting that is missing stands there in other letters."""
    for right, words in _NOT_SET.items():
        if re.search(words, evidence.text):
            written = parts.settings(evidence.source)
            plain = {name.upper().replace("-", "_"): name for name in written}
            others = sorted(name for name in plain if plain[name] not in (right, f"{right}S"))
            for near in difflib.get_close_matches(right, others, 1, cutoff=0.85):
                wrong = plain[near]
                return {"wrong": wrong, "where": written[wrong][0], "right": right}
    return None


@finder
def cache_type_in_other_letters(evidence: Evidence) -> Found:
    """The type of the cache is not written as the class of that name is."""
    if not _NO_CACHE.search(evidence.text):
        return None
    where, value = parts.settings(evidence.source).get("CACHE_TYPE", ("", ast.Pass()))
    classes = {name.removesuffix("Cache").lower(): name for name in _CACHE_TYPES}
    for node in ast.walk(value):
        right = classes.get(text_of(node).lower().removesuffix("cache"), text_of(node))
        if right != text_of(node):
            return {"wrong": text_of(node), "where": where, "right": right}
    return None


def _last(name: str) -> str:
    return name.rpartition(".")[2]
