"""docs/openapi.yaml says what the API of lesson 7 does, and the solution does what it says."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import pytest
import yaml
from conftest import ROOT
from services import server

DESCRIPTION = ROOT / "docs" / "openapi.yaml"
LISTED = """
import App
for rule in App.create_app().url_map.iter_rules():
    if rule.rule.startswith("/api/"):
        print(rule.rule, *rule.methods)
"""


@pytest.fixture(scope="module")
def solution(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the solution, with an empty database of its own."""
    folder = tmp_path_factory.mktemp("api") / "solution"
    ignored = shutil.ignore_patterns("__pycache__", "instance")
    shutil.copytree(ROOT / "solutions" / "07_restful", folder, ignore=ignored)
    run(folder, "manage.py", "db", "upgrade")
    return folder


@pytest.fixture(scope="module")
def served(solution: Path) -> Iterator[str]:
    """The URL at which the copy is served."""

    def command(port: int) -> list[str]:
        return [sys.executable, "manage.py", "runserver", "-p", str(port), "-D", "-R"]

    log = solution / "log"
    with server(command, answers, log, folder=solution, variables=environment()) as port:
        yield f"http://127.0.0.1:{port}"


def environment() -> dict[str, str]:
    """Return an environment in which nothing is of whoever runs the tests, or left to chance."""
    settings = {"APP_ENV": "development", "SECRET_KEY": "for this test alone"}
    python = {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONHASHSEED": "0", "PYTHONUTF8": "1"}
    return {"PATH": os.environ["PATH"], "COLUMNS": "120", **settings, **python}


def run(folder: Path, *command: str) -> str:
    done = subprocess.run(
        [sys.executable, *command], cwd=folder, env=environment(), timeout=120,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    return done.stdout


def answers(port: int) -> bool:
    with contextlib.suppress(URLError), urlopen(f"http://127.0.0.1:{port}/api/todos") as response:
        return bool(response.status == 200)
    return False


def test_schemathesis_finds_nothing(served: str, tmp_path: Path) -> None:
    """It sends what the description allows and what it forbids, with every check that it has."""
    said = run(
        tmp_path, "-m", "schemathesis.cli", "run", str(DESCRIPTION), "--url", served,
        "--checks", "all", "--mode", "all", "--phases", "examples,coverage,fuzzing,stateful",
        "--max-examples", "25", "--seed", "7", "--workers", "1", "--generation-database", "none",
        "--no-color",
    )  # fmt: skip
    assert "Tested: 6" in said
    passed = re.search(r"(\d+) generated, (\d+) passed", said)
    assert passed, said
    assert passed[1] == passed[2]
    assert int(passed[1]) > 300


def test_the_description_names_every_path_and_method(solution: Path) -> None:
    described = {
        (path, method.upper())
        for path, operations in yaml.safe_load(DESCRIPTION.read_text("utf-8"))["paths"].items()
        for method in operations
        if method not in ("summary", "parameters")
    }
    routed = set()
    for line in run(solution, "-c", LISTED).splitlines():
        rule, *methods = line.split()
        path = re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule)
        routed |= {(path, method) for method in methods if method not in ("HEAD", "OPTIONS")}
    assert described == routed


def test_every_answer_has_its_schema() -> None:
    """Without one, or with one that lets anything through, Schemathesis would find nothing."""
    api = yaml.safe_load(DESCRIPTION.read_text("utf-8"))
    schemas, named = api["components"]["schemas"], api["components"]["responses"]
    assert schemas["Todo"]["additionalProperties"] is False
    for operations in api["paths"].values():
        for method in operations.keys() - {"summary", "parameters"}:
            for status, response in operations[method]["responses"].items():
                response = (
                    named[response["$ref"].split("/")[-1]] if "$ref" in response else response
                )
                assert "Access-Control-Allow-Origin" in response["headers"]
                assert ("schema" in response.get("content", {}).get("application/json", {})) == (
                    status != "204"
                )
