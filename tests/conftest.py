"""What the tests of the course share."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from course.catalog import Course, load  # noqa: E402
from course.checker import Checker, Result  # noqa: E402
from course.processes import ForkServers  # noqa: E402


class NestedChecker(Checker):
    """Runs pytest inside a test of pytest's: one must not take away the other's variable."""

    def results(self, *args: Any) -> dict[str, Result]:
        kept = os.environ["PYTEST_CURRENT_TEST"]
        try:
            return super().results(*args)
        finally:
            os.environ["PYTEST_CURRENT_TEST"] = kept


@pytest.fixture(scope="session")
def course() -> Course:
    return load()


@pytest.fixture(scope="session")
def checker(course: Course) -> Iterator[Checker]:
    with ForkServers() as servers:
        yield NestedChecker(course, servers)
