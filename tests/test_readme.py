"""The README shows what is so. `python tests/test_readme.py` draws its picture anew."""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from rich.console import Console
from rich.text import Text

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from test_docs import make_has_the_targets, read  # noqa: E402

from course.catalog import load  # noqa: E402
from course.snapshot import Snapshot, take  # noqa: E402

README = (ROOT / "README.md").read_text("utf-8")
PICTURE = ROOT / "docs" / "images" / "verdict.svg"

DONE = """
@app.get("/todos")
def list_todos():
    items = "".join(f"<li>{escape(todo.title)}</li>" for todo in todos.values())
    return page("Todos", f"<ul>{items}</ul>")
"""
WRONG = """
@app.get("/hello/<name>")
def hello(name):
    return page("Hello", f"<p>Hello, {name}!</p>")
"""


def draw() -> str:
    """Return a picture of a verdict: task 0.1 is done, and 0.2 forgot to escape."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch, "work", "00_request")
        starter = take(load().lesson(0).starter)
        text = (starter.text("app.py") or "").replace("# TODO 0.1", DONE + "# DONE 0.1")
        text = text.replace("# TODO 0.2", WRONG + "# DONE 0.2")
        Snapshot(starter.files | {"app.py": text.encode()}).write(folder)
        code = "import click; click.utils.should_strip_ansi = lambda *_: False;"
        code += (
            f"import sys; sys.path.insert(0, {str(ROOT)!r}); from course.cli import main; main()"
        )
        args = ["check", "0", "--path", "work/00_request"]
        done = subprocess.run(
            [sys.executable, "-c", code, *args], cwd=scratch, capture_output=True, text=True,
            env=os.environ | {"MAKELEVEL": "1", "COLUMNS": "100", "PYTHONPATH": str(ROOT)},
        )  # fmt: skip
    assert done.returncode == 1, done.stderr
    console = Console(record=True, width=100, file=io.StringIO())
    console.print(Text.from_ansi("$ make check-0\n" + done.stdout.rstrip()))
    svg = console.export_svg(title="make check-0", unique_id="verdict")
    return re.sub(r"\s*@font-face \{.*?\}", "", svg, flags=re.DOTALL)  # fetches nothing


def test_picture_is_what_the_command_prints() -> None:
    assert draw() == PICTURE.read_text("utf-8")


def test_commands_exist() -> None:
    assert {"lesson-1", "test"} <= set(re.findall(r"^make ([a-z\d-]+)", README, re.M))
    assert list(make_has_the_targets(read(ROOT / "README.md"))) == []
    for name in re.findall(r"python3? -m course ([a-z]+)", README):
        assert re.search(rf"^def {name}\(", (ROOT / "course" / "cli.py").read_text("utf-8"), re.M)


@pytest.mark.parametrize("link", sorted(set(re.findall(r"\]\(([^)]+)\)", README))))
def test_links_lead_somewhere(link: str) -> None:
    assert (ROOT / link).exists()


def test_every_lesson_is_in_the_table() -> None:
    rows = re.findall(r"^\| (\d) \|", README, re.M)
    assert rows == [str(lesson.number) for lesson in load().lessons]


def test_is_at_most_two_screens() -> None:
    assert len(README.splitlines()) <= 80


if __name__ == "__main__":
    PICTURE.parent.mkdir(exist_ok=True)
    PICTURE.write_text(draw(), "utf-8")
