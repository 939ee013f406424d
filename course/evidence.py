"""What there is to go by when a check has failed: what was said, the app's routes, the copy."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from urllib.parse import unquote

from werkzeug.exceptions import HTTPException
from werkzeug.routing import Map, Rule

from course.snapshot import Snapshot
from course.source import Source

_ASKED = re.compile(r"(?P<method>[A-Z]+) (?P<path>/[^\s?:,]*)(\?(?P<query>[^\s:]*))?")
_NO_RULE = re.compile(r"The URL map: expected a rule (/[^\s,]*), got none")


def sound(facts: dict[str, Any]) -> dict[str, Any]:
    """Return facts that have the form that they have from us, and else none.

    They come out of the student's process, where anything may have written them.
    """
    rules = facts.get("rules")
    fine = isinstance(rules, list) and all(isinstance(rule, dict) for rule in rules)
    for rule in rules if isinstance(rules, list) and fine else ():
        texts = [rule.get("rule"), rule.get("endpoint")]
        methods = rule.get("methods")
        fine = fine and isinstance(methods, list) and str(texts[0]).startswith("/")
        fine = fine and all(isinstance(text, str) for text in (*texts, *(methods or ())))
    return facts if fine and isinstance(facts.get("blueprints"), dict) else {}


@dataclass(frozen=True)
class Evidence:
    """What one failed check leaves. `facts` is what the app says of itself; see `Site.facts`."""

    said: str
    trace: str
    facts: dict[str, Any]
    copy: Snapshot
    source: Source

    @property
    def text(self) -> str:
        """All that was said."""
        return f"{self.said}\n{self.trace}"

    @property
    def sent(self) -> str:
        """What was sent with the request, in words."""
        return self.said.partition(": expected ")[0].partition(" with ")[2]

    @property
    def method(self) -> str:
        """The request's method; nothing where there was no request."""
        return self._asked["method"] if self._asked else ""

    @property
    def path(self) -> str:
        """The request's path, as the app sees it; nothing where there was no request."""
        path = unquote(self._asked["path"]) if self._asked else ""
        return path.removeprefix(self.facts.get("mount", ""))

    @property
    def query(self) -> str:
        """What stands behind the question mark."""
        return (self._asked and self._asked["query"]) or ""

    @property
    def missing_route(self) -> str:
        """The path that the app has no route for; nothing where that is not what went wrong."""
        if rule := _NO_RULE.match(self.said):
            return rule[1]
        missing = self._rules and "got status 404 Not Found" in self.said
        return self.path if missing and not self.methods else ""

    @property
    def methods(self) -> list[str]:
        """The methods that the app's routes take at the request's path."""
        found = {method for rule in self._routes for method in rule.methods or ()}
        return sorted(found - {"HEAD", "OPTIONS"})

    @property
    def endpoints(self) -> list[str]:
        """The endpoints of those routes: those that take the method, or all where none does."""
        routes = self._routes
        return [str(rule.endpoint) for rule in routes if self.method in (rule.methods or ())] or [
            str(rule.endpoint) for rule in routes
        ]

    @cached_property
    def _asked(self) -> re.Match[str] | None:
        return _ASKED.match(self.said)

    @cached_property
    def _rules(self) -> list[Rule]:
        return [
            Rule(rule["rule"], endpoint=rule["endpoint"], methods=rule["methods"] or None)
            for rule in self.facts.get("rules", ())
        ]

    @cached_property
    def _routes(self) -> list[Rule]:
        """The rules that match the request's path."""
        return [rule for rule in self._rules if self.path and _matches(rule, self.path)]


def _matches(rule: Rule, path: str) -> bool:
    try:
        return bool(Map([rule.empty()]).bind("localhost").allowed_methods(path))
    except (HTTPException, LookupError, ValueError):  # a converter of the student's own
        return False
