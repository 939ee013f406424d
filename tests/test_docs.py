"""What the pages in docs/ say is true: their listings, their commands, their links.

A comment above each fenced block says how it is proved:

    <!-- file: solutions/00_request/app.py -->  its lines stand in that file, one after the other
    <!-- example -->                            it is valid
    <!-- example: books.py -->                  so is the file of that name, made of all such blocks of the page
    <!-- run: solutions/00_request -->          its commands print what it says, in a copy of that folder;
    <!-- run: examples -->                      ... in a folder with the page's examples, which every copy has too
    <!-- run: …; serve: COMMAND -p 5000 -->     ... while that command serves there
    <!-- shown -->                              not at all

A line `…` in the output stands for any lines.
"""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import textwrap
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import unquote

import jinja2
import pytest

from course.catalog import Lesson, load

COURSE = load()
DOCS = COURSE.root / "docs"
PARTS = [
    "The pain",
    "The idea",
    "The tasks",
    "What can go wrong",
    "Then and now",
    "What changed",
    "Questions",
    "Next",
]
MOST_WORDS = 2000
DIAGRAMS = ("flowchart ", "sequenceDiagram", "classDiagram", "erDiagram", "stateDiagram-v2")
FENCE = re.compile(
    r"^(?:<!-- (?P<marker>.+) -->\n)?```(?P<language>\w*)\n(?P<text>(?:.*\n)*?)```$", re.M
)
LINK = re.compile(r"\]\((?!\w+:)([^)\s]+)\)")
ANCHOR = re.compile(r'<a id="([^"]+)"></a>')
TASK = re.compile(r'^<a id="(task-\d+)"></a>\n### Task (\d+\.\d+): (.+)$', re.M)


@dataclass(frozen=True)
class Block:
    """A fenced block: `proof` is its comment, taken apart, and `line` where it stands."""

    language: str
    text: str
    proof: dict[str, str]
    line: int


@dataclass(frozen=True)
class Page:
    path: Path
    text: str
    lesson: Lesson | None = None

    @property
    def blocks(self):
        found = []
        for match in FENCE.finditer(self.text):
            parts = [part.partition(": ") for part in (match["marker"] or "").split("; ")]
            proof = {name: value for name, _, value in parts if name}
            line = self.text.count("\n", 0, match.start()) + 1
            found.append(Block(match["language"], match["text"], proof, line))
        return found

    @property
    def prose(self):
        return re.sub(r"<!--.*?-->", "", FENCE.sub("", self.text), flags=re.S)

    @property
    def anchors(self):
        titles = re.findall(r"^#+ (.+)$", self.prose, re.M)
        slugs = {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}
        return slugs | set(ANCHOR.findall(self.prose))

    @property
    def examples(self):
        files = {}
        for block in self.blocks:
            if name := block.proof.get("example"):
                files[name] = files.get(name, "") + "\n\n" * (name in files) + block.text
        return files


LESSON_PAGES = [
    Page(lesson.page, lesson.page.read_text("utf-8"), lesson) for lesson in COURSE.lessons
]
OTHER_PAGES = [
    Page(path, path.read_text("utf-8"))
    for path in sorted(DOCS.rglob("*.md"))
    if path not in {page.path for page in LESSON_PAGES}
]
PAGES = [*LESSON_PAGES, *OTHER_PAGES]


# Rules for every page: each returns what is wrong.


def every_block_has_a_proof(page):
    kinds = ("file", "example", "run", "shown")
    return [
        f"line {block.line}: how is this proved?"
        for block in page.blocks
        if block.language != "mermaid" and next(iter(block.proof), None) not in kinds
    ]


def console_blocks_are_run(page):
    return [
        f"line {block.line}: a console block is run, and begins with a command"
        for block in page.blocks
        if (block.language == "console") != ("run" in block.proof)
        or ("run" in block.proof and not block.text.startswith("$ "))
    ]


def excerpts_stand_in_their_files(page):
    wrong = []
    for block in page.blocks:
        if name := block.proof.get("file"):
            path = COURSE.root / name
            lines = path.read_text("utf-8").split("\n") if path.is_file() else []
            length = block.text.count("\n")
            places = ("\n".join(lines[i : i + length]) for i in range(len(lines) - length + 1))
            if textwrap.dedent(block.text) not in (textwrap.dedent(f"{at}\n") for at in places):
                wrong.append(f"line {block.line}: these lines do not stand in {name}")
    return wrong


def examples_are_valid(page):
    sources = [*page.examples.items()]
    for block in page.blocks:
        if block.proof.get("example") == "":
            sources.append((f"line {block.line}.{block.language}", block.text))
    return [f"{name}: {error}" for name, text in sources if (error := syntax_error(name, text))]


def diagrams_are_of_a_known_kind(page):
    return [
        f"line {block.line}: not a diagram"
        for block in page.blocks
        if block.language == "mermaid"
        and not (block.text.startswith(DIAGRAMS) and block.text.count("\n") > 2)
    ]


def links_lead_somewhere(page):
    wrong = []
    for link in LINK.findall(page.prose):
        name, _, anchor = unquote(link).partition("#")
        target = page.path.parent / name if name else page.path
        if not target.exists():
            wrong.append(f"{link}: there is no {name}")
        elif anchor and anchor not in (replace(page, text=text_of(page, target))).anchors:
            wrong.append(f"{link}: no such place")
    return wrong


# Rules for a lesson's page.


def title_is_the_lessons(page):
    title = f"# Lesson {page.lesson.number}: {page.lesson.title}\n"
    return [] if page.text.startswith(title) else [f"the page begins with {title!r}"]


def parts_stand_in_order(page):
    parts = re.findall(r"^## (.+)$", page.prose, re.M)
    return [] if parts == PARTS else [f"the parts are {parts}"]


def tasks_are_the_courses(page):
    tasks = page.lesson.tasks
    wanted = [(page.lesson.anchor(task).partition("#")[2], task.id, task.title) for task in tasks]
    part = page.prose.partition("## The tasks\n")[2].partition("\n## ")[0]
    found = TASK.findall(part)
    extra = len(re.findall(r'^### |<a id="task-', page.prose, re.M)) - 2 * len(wanted)
    return [] if found == wanted and not extra else [f"wanted {wanted}, found {found}"]


def ended_checks_are_named(page):
    names = [ended.check.partition("::")[2] for ended in page.lesson.ends]
    return [f"{name} ends here" for name in names if f"`{name}`" not in page.prose]


def page_is_short(page):
    words = len(re.findall(r"\w[\w'./-]*", page.prose))
    return [] if words <= MOST_WORDS else [f"{words} words of prose"]


# Commands


def commands_print_what_the_page_says(page):
    blocks = [block for block in page.blocks if "run" in block.proof]
    with ThreadPoolExecutor(4) as pool:
        return [
            said for wrong in pool.map(lambda block: run(page, block), blocks) for said in wrong
        ]


def run(page, block):
    """Run a block's commands one after the other, and return what they print otherwise."""
    wrong = []
    with tempfile.TemporaryDirectory() as home, server(page, block, Path(home)) as (folder, port):
        for command, expected in commands(block):
            shell = ["bash", "-c", re.sub(r"\b500[01]\b", port, command)]
            done = subprocess.run(
                shell, cwd=folder, env=environment(home), timeout=30, text=True,
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            )  # fmt: skip
            documented = re.search(r"\b500[01]\b", block.text)
            printed = done.stdout.replace(port, documented.group() if documented else port)
            if not matches(normal(expected), normal(printed)):
                wrong.append(f"line {block.line}: $ {command}\n{printed}")
    return wrong


def commands(block):
    """Split a block into its commands, each with the output below it."""
    found = re.findall(r"^\$ (.+\n)((?:(?!\$ ).*\n)*)", block.text, re.M)
    return [(command.rstrip("\n"), output) for command, output in found]


@contextmanager
def server(page, block, home):
    """Lay out the block's folder and serve there what it asks for; give the folder and the port."""
    folder = home / "lesson"
    if block.proof["run"] == "examples":
        folder.mkdir()
    else:
        ignore = shutil.ignore_patterns("__pycache__")
        shutil.copytree(COURSE.root / block.proof["run"], folder, ignore=ignore)
    for name, text in page.examples.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        assert not (folder / name).exists(), f"{name} is a file of the lesson"
        (folder / name).write_text(text, "utf-8")
    (home / ".curlrc").write_text("silent\nshow-error\n")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    if "serve" not in block.proof:
        yield folder, port
        return
    command = "exec " + re.sub(r"-p 500[01]\b", f"-p {port}", block.proof["serve"])
    with (home / "log").open("w+") as log:
        process = subprocess.Popen(
            ["bash", "-c", command], cwd=folder, env=environment(str(home)),
            stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip
        try:
            deadline = time.monotonic() + 20
            while not listens(port):
                ended = process.poll() is not None or time.monotonic() > deadline
                assert not ended, (home / "log").read_text()
                time.sleep(0.02)
            yield folder, port
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def listens(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", int(port))) == 0


def environment(home):
    """Return an environment in which nothing of whoever runs the tests can be noticed."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    fixed = {"LC_ALL": "C.UTF-8", "COLUMNS": "80", "PYTHONUNBUFFERED": "1"}
    return {"PATH": path, "HOME": home, "PYTHONDONTWRITEBYTECODE": "1", **fixed}


def matches(expected, printed):
    """Compare outputs. A line `…` stands for any lines."""
    parts = re.split(r"^…\n", expected, flags=re.M)
    return re.fullmatch(r"(?:.*\n)*".join(map(re.escape, parts)), printed) is not None


# What may differ from one run, or machine, to another.


def no_trailing_space(text):
    return re.sub(r"[ \t]+$", "", text.rstrip("\n") + "\n", flags=re.M)


def any_date(text):
    return re.sub(r"\w{3}, \d\d \w{3} \d{4} [\d:]{8} GMT", "DATE", text)


def any_time(text):
    return re.sub(r"dur=\d+\.\d{3}$", "dur=TIME", text, flags=re.M)


def any_version(text):
    return re.sub(r"\b(Werkzeug|Python)/[\d.]+", r"\1/VERSION", text)


def any_address(text):
    return re.sub(r"\bat 0x[0-9a-f]+", "at ADDRESS", text)


def any_folder(text):
    return re.sub(r"(?:/[\w.+-]+)+/(?=\w+\.py\b)", "", text)


def any_order_of_methods(text):
    return re.sub(
        r"^Allow: (.+)$",
        lambda m: "Allow: " + ", ".join(sorted(m[1].split(", "))),
        text,
        flags=re.M,
    )


def any_words_of_curl(text):
    return re.sub(r"^(curl: \(\d+\)).*$", r"\1", text, flags=re.M)


NORMALISERS = [
    no_trailing_space,
    any_date,
    any_time,
    any_version,
    any_address,
    any_folder,
    any_order_of_methods,
    any_words_of_curl,
]


def normal(text):
    for normalise in NORMALISERS:
        text = normalise(text)
    return text


def syntax_error(name, text):
    """Say what is wrong with a file, by the ending of its name."""
    try:
        if name.endswith(".py") or name.endswith(".python"):
            compile(text, name, "exec")
        elif name.endswith(".html"):
            jinja2.Environment().parse(text)
    except (SyntaxError, jinja2.TemplateSyntaxError) as error:
        return str(error)
    return ""


def text_of(page, target):
    return page.text if target == page.path else target.read_text("utf-8")


RULES = [
    every_block_has_a_proof,
    console_blocks_are_run,
    excerpts_stand_in_their_files,
    examples_are_valid,
    diagrams_are_of_a_known_kind,
    links_lead_somewhere,
    commands_print_what_the_page_says,
]
LESSON_RULES = [
    title_is_the_lessons,
    parts_stand_in_order,
    tasks_are_the_courses,
    ended_checks_are_named,
    page_is_short,
]


def called(value):
    return value.__name__ if callable(value) else value.path.name


@pytest.mark.parametrize("page", PAGES, ids=called)
@pytest.mark.parametrize("rule", RULES, ids=called)
def test_page(page, rule):
    assert not (wrong := rule(page)), "\n".join(wrong)


@pytest.mark.parametrize("page", LESSON_PAGES, ids=called)
@pytest.mark.parametrize("rule", LESSON_RULES, ids=called)
def test_page_of_a_lesson(page, rule):
    assert not (wrong := rule(page)), "\n".join(wrong)
