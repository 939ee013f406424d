"""What the tests of the course share."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from course.catalog import Course, load  # noqa: E402
from course.checker import Checker  # noqa: E402
from course.processes import ForkServers  # noqa: E402


@pytest.fixture(scope="session")
def course() -> Course:
    return load()


@pytest.fixture(scope="session")
def checker(course: Course) -> Iterator[Checker]:
    with ForkServers() as servers:
        yield Checker(course, servers)
