"""What instructors find in docs/examples works as it stands there."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT

from course.catalog import Course
from course.rules import load

EXAMPLES = ROOT / "docs" / "examples"


def test_the_rules_can_be_loaded(course: Course) -> None:
    rules = load(EXAMPLES / "rules.toml", course)
    assert rules.lessons == (1, 2)
    assert rules.earlier
    points = {id_: rules.points_for(id_) for id_ in ("1.1", "1.6", "2.5", "1.earlier", "2.earlier")}
    assert points == {"1.1": 2, "1.6": 1, "2.5": 4, "1.earlier": 3, "2.earlier": 3}


def test_the_page_says_what_being_late_costs(course: Course) -> None:
    late = load(EXAMPLES / "rules.toml", course).late
    assert late
    lost = {name: late.lost(name) for name in late.times}
    assert lost == {"ada": 0, "bob": 0, "陈明": 0.2}
    page = (ROOT / "docs" / "instructors.md").read_text("utf-8")
    assert "`ada` and `bob` lose nothing, and `陈明` loses 20 %" in page


@pytest.mark.parametrize(("handed_in", "share"), [("solutions", 1), ("lessons", 0)])
def test_gradescope_gets_its_results(handed_in: str, share: int, tmp_path: Path) -> None:
    """Run the script as Gradescope does, but that its folder is not at the top of this machine."""
    home = tmp_path / "autograder"
    source, results = home / "source", home / "results"
    source.mkdir(parents=True)
    results.mkdir()
    (source / "course").symlink_to(ROOT)
    rules = (EXAMPLES / "rules.toml").read_text("utf-8")
    rules, _, late = rules.partition("[late]")
    assert late
    rules = rules.replace("[1, 2]", "[1]").replace('"2.5" = 4\n', "")
    (source / "rules.toml").write_text(rules, "utf-8")
    shutil.copytree(ROOT / handed_in / "01_script", home / "submission" / "work" / "01_script")
    script = (EXAMPLES / "gradescope" / "run_autograder").read_text("utf-8")
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    done = subprocess.run(
        ["sh", "-c", script.replace("/autograder", str(home))],
        cwd=home, env=os.environ | {"PATH": path}, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads((results / "results.json").read_text("utf-8"))
    most = sum(test["max_score"] for test in found["tests"])
    assert most > 0
    assert found["score"] == share * most
