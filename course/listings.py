"""Hold what a page shows, its listings and what its commands print, against what is so."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from course.catalog import ROOT
from course.errors import CourseError
from course.pages import Block, Page, excerpt, stands
from course.serving import listens
from course.site import free_port

COMMAND_SECONDS = 300
"""How long a command may take, also where the machine has other work."""

CLONE = "clone"
"""Where the blocks of a page that say so are run: in one copy of the course."""

NOT_CLONED = (".git", ".venv", "work", "build", "steps", "__pycache__", ".*_cache")
"""What follows from the rest, or is a student's or git's own."""

START_SECONDS = 20
"""How long a server may take until it serves."""

AT_A_TIME = 4
"""Blocks of a page that are run at once: most of them wait."""

_COMMAND = re.compile(r"^\$ (?P<command>.+)\n(?P<expected>(?:(?!\$ ).*\n)*)", re.M)


@dataclass(frozen=True)
class Stale:
    """A block that is not as it should be: why, and its right text where that is known."""

    block: Block
    why: str
    text: str | None


def stale(page: Page) -> list[Stale]:
    """Return the listings that do not stand in their files, and what is not printed as shown."""
    shown = list(page.blocks)
    listings = [block for block in shown if "file" in block.proof and not stands(block)]
    alone = [block for block in shown if block.proof.get("run", CLONE) != CLONE]
    with ThreadPoolExecutor(AT_A_TIME) as pool:
        found = [*pool.map(partial(_run, page), alone), *_in_a_clone(shown)]
    return [_stale_listing(block) for block in listings] + [each for each in found if each]


def update(page: Page) -> tuple[Page, list[str]]:
    """Return the page with true listings and outputs, and what a person must look at, by line."""
    found = stale(page)
    texts = [(each.block, each.text) for each in found if each.text is not None]
    new = page.with_texts(texts)
    look = [(each.block, each.why) for each in found if each.text is None]
    look += [
        (block, "some output is in full now; put `…` for what need not be read")
        for block, text in texts
        if text.count("\n…\n") < block.text.count("\n…\n")
    ]
    lines = {old.start: each.line for old, each in zip(page.blocks, new.blocks, strict=True)}
    return new, [f"line {lines[block.start]}: {why}" for block, why in look]


def _stale_listing(block: Block) -> Stale:
    text = excerpt(block)
    if text is not None:
        text = textwrap.indent(text, re.match(r" *", block.text)[0])  # type: ignore[index]
    return Stale(block, f"this does not stand in {block.proof['file']}", text)


def _stale_output(block: Block, done: list[Ran]) -> Stale | None:
    wrong = [f"$ {each.command}\n{each.printed}" for each in done if not each.fits]
    if not wrong:
        return None
    text = "".join(
        f"$ {each.command}\n{each.expected if each.fits else each.printed}" for each in done
    )
    return Stale(block, "".join(wrong), text if text.endswith("\n") else f"{text}\n")


def _run(page: Page, block: Block) -> Stale | None:
    """Run the commands of a block in a folder of its own."""
    try:
        with TemporaryDirectory() as home, _ready(page, block, Path(home)) as (folder, port):
            return _stale_output(block, _commands(block, folder, Path(home), port))
    except CourseError as error:
        return Stale(block, str(error), None)


def _in_a_clone(blocks: list[Block]) -> Iterator[Stale | None]:
    """Do what the blocks say, from first to last, in one copy of the course.

    What fails is the last: the blocks below it rest on it.
    """
    if not any(block.proof.get("run") == CLONE for block in blocks):
        return
    with TemporaryDirectory() as home:
        folder = Path(home, "course")
        shutil.copytree(ROOT, folder, ignore=shutil.ignore_patterns(*NOT_CLONED))
        for block in blocks:
            try:
                if block.proof.get("run") == CLONE:
                    yield _stale_output(block, _commands(block, folder, Path(home)))
                elif "patch" in block.proof:
                    _apply(block, folder, Path(home))
                elif name := block.proof.get("adds"):
                    (folder / name).parent.mkdir(parents=True, exist_ok=True)
                    with (folder / name).open("a", encoding="utf-8") as file:
                        file.write(block.text)
            except CourseError as error:
                yield Stale(block, f"{error} What stands below it was not tried.", None)
                return


def _apply(block: Block, folder: Path, home: Path) -> None:
    """Apply a patch; raise `CourseError` where it does not apply at the lines that it names.

    GNU patch would find the place, and leave a file beside the one that it changes.
    """
    done = subprocess.run(
        ["git", "apply", "--verbose", "-"], cwd=folder, input=block.text, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=_environment(home),
    )  # fmt: skip
    if done.returncode or "(offset " in done.stdout:
        said = " ".join(done.stdout.split())
        raise CourseError(f"the patch does not apply as it stands: {said}")


@dataclass(frozen=True)
class Ran:
    """A command, what the page says that it prints, and what it printed."""

    command: str
    expected: str
    printed: str

    @property
    def fits(self) -> bool:
        """Whether the two are the same, but for what differs from run to run."""
        return matches(self.expected, self.printed)


def _commands(block: Block, folder: Path, home: Path, port: str = "5000") -> list[Ran]:
    documented = _port(block)
    ran = []
    for match in _COMMAND.finditer(block.text):
        command = match["command"].replace(documented, port)
        try:
            done = subprocess.run(
                ["bash", "-c", command], cwd=folder, env=_environment(home), text=True,
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=COMMAND_SECONDS,
            )  # fmt: skip
        except subprocess.TimeoutExpired as error:
            raise CourseError(f"{error}.") from error
        ran.append(Ran(match["command"], match["expected"], done.stdout.replace(port, documented)))
    return ran


def matches(expected: str, printed: str) -> bool:
    """Tell whether a page says what is printed, but for what differs from run to run."""
    parts = re.split(r"^…\n", _normal(expected), flags=re.M)
    return re.fullmatch(r"(?:.*\n)*".join(map(re.escape, parts)), _normal(printed)) is not None


def _port(block: Block) -> str:
    found = re.search(r"\b500\d\b", block.text + "5000")
    assert found
    return found.group()


@contextmanager
def _ready(page: Page, block: Block, home: Path) -> Iterator[tuple[Path, str]]:
    """Lay out the block's folder, serve there what it asks for, and give folder and port."""
    folder = home / "lesson"
    ignored = shutil.ignore_patterns("__pycache__", "instance")
    wanted = block.proof["run"]
    if wanted == "course":
        folder = ROOT
    elif wanted != "examples":
        shutil.copytree(_existing(wanted), folder, ignore=ignored)
    if more := block.proof.get("with"):
        shutil.copytree(_existing(more), folder, ignore=ignored, dirs_exist_ok=True)
    for name, text in page.examples.items() if wanted != "course" else ():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        if (folder / name).exists():
            raise CourseError(f"{name} is an example, and a file of {wanted} too.")
        (folder / name).write_text(text, "utf-8")
    folder.mkdir(exist_ok=True)
    (home / ".curlrc").write_text("silent\nshow-error\n")
    port = free_port()
    command = re.sub(r"-p 500\d", f"-p {port}", block.proof.get("serve", ""))
    with _serving(command, port, folder, home):
        yield folder, str(port)


def _existing(name: str) -> Path:
    """Return the course's folder of this name; raise `CourseError` where there is none."""
    if not name or not (ROOT / name).is_dir():
        raise CourseError(f"there is no folder {name!r} to run this in.")
    return ROOT / name


@contextmanager
def _serving(command: str, port: int, folder: Path, home: Path) -> Iterator[None]:
    if not command:
        yield
        return
    with (home / "log").open("w") as log:
        server = subprocess.Popen(
            ["bash", "-c", command], cwd=folder, env=_environment(home),
            stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip
    try:
        deadline = time.monotonic() + START_SECONDS
        while not listens(port):
            if server.poll() is not None or time.monotonic() > deadline:
                said = (home / "log").read_text().rstrip()
                raise CourseError(f"{command} does not serve: {said}")
            time.sleep(0.02)
        yield
    finally:
        with suppress(ProcessLookupError):  # it has ended by itself
            os.killpg(server.pid, signal.SIGKILL)
        server.wait()


def _environment(home: Path) -> dict[str, str]:
    """Return an environment in which nothing is of whoever runs the commands."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    python = {"PYTHONUNBUFFERED": "1", "PYTHONDONTWRITEBYTECODE": "1", "PYTHONUTF8": "1"}
    return {"PATH": path, "HOME": str(home), "LC_ALL": "C.UTF-8", "COLUMNS": "80", **python}


# What may differ from one run, or one machine, to another.


def _no_trailing_space(text: str) -> str:
    return re.sub(r"[ \t]+$", "", text.rstrip("\n") + "\n", flags=re.M)


def _any_date(text: str) -> str:
    return re.sub(r"\w{3}, \d\d \w{3} \d{4} [\d:]{8} GMT", "DATE", text)


def _any_time(text: str) -> str:
    return re.sub(r"dur=[\d.]+", "dur=TIME", text)


def _any_seconds(text: str) -> str:
    return re.sub(r"\bin [\d.]+s\b( \([\d:]+\))?", "in SECONDS", text)


def _any_version(text: str) -> str:
    return re.sub(r"\b(Werkzeug|Python)/[\d.]+", r"\1/VERSION", text)


def _any_address(text: str) -> str:
    return re.sub(r"\bat 0x[0-9a-f]+", "at ADDRESS", text)


def _any_folder(text: str) -> str:
    return re.sub(r"(?:/[\w.+-]+)+/(?=\w+\.py\b)", "", text)


def _any_order_of_methods(text: str) -> str:
    return re.sub(r"(?<=^Allow: ).+", lambda m: str(sorted(m[0].split(", "))), text, flags=re.M)


def _any_words_of_curl(text: str) -> str:
    return re.sub(r"^(curl: \(\d+\)).*$", r"\1", text, flags=re.M)


_NORMALISERS = [
    _no_trailing_space,
    _any_date,
    _any_time,
    _any_seconds,
    _any_version,
    _any_address,
    _any_folder,
    _any_order_of_methods,
    _any_words_of_curl,
]


def _normal(text: str) -> str:
    """Return a text without what may differ from one run, or one machine, to another."""
    for normalise in _NORMALISERS:
        text = normalise(text)
    return text
