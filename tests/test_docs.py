"""What the pages in docs/ say is true: their listings, their commands, their links.

A comment above each fenced block says how it is proved:

<!-- file: solutions/00_request/app.py -->  its lines stand in that file, one after the other
<!-- example -->                            it is valid
<!-- example: books.py -->                  so is the file of that name, made of all such blocks
<!-- run: solutions/00_request -->          its commands print what it says, in a copy of that
                                            folder that has the page's examples as well
<!-- run: examples -->                      ... in a folder that has nothing else
<!-- run: …; with: docs/examples/NAME -->   ... with the files of that folder as well
<!-- run: …; serve: COMMAND -p 5000 -->     ... while that command, or the last one after &&,
                                            serves there
<!-- shown -->                              not at all

A line `…` in what a command prints stands for any lines.
"""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import textwrap
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cache
from itertools import repeat
from pathlib import Path
from tempfile import TemporaryDirectory

import jinja2
import pytest

from course import steps
from course.catalog import Ended, Lesson, load

COURSE = load()
DOCS = COURSE.root / "docs"
PARTS = """The pain|The idea|The tasks|What can go wrong|Then and now|What changed|Questions|Next"""
MOST_WORDS = 2000
PROOFS = ("file", "example", "run", "shown")
DIAGRAMS = ("flowchart ", "sequenceDiagram\n", "classDiagram\n", "erDiagram\n", "stateDiagram-v2\n")
FENCE = re.compile(
    r"^(?:<!-- (?P<proof>.+) -->\n)?```(?P<language>\w*)\n(?P<text>(?:.*\n)*?)```$", re.M
)
HEADING = re.compile(r'^(?:<a id="[^"]+"></a>\n)?(?P<level>#+) .+$', re.M)
TASK = re.compile(r'^<a id="(task-\d+)"></a>\n### Task (\d+\.\d+): (.+)$', re.M)


@dataclass(frozen=True)
class Block:
    """A fenced block: `proof` is the comment above it, taken apart."""

    language: str
    text: str
    proof: dict[str, str]
    line: int


@dataclass(frozen=True)
class Page:
    path: Path
    text: str = field(repr=False)
    lesson: Lesson | None = field(default=None, repr=False)

    @property
    def blocks(self):
        for match in FENCE.finditer(self.text):
            parts = [part.partition(": ") for part in (match["proof"] or "").split("; ")]
            proof = {name: value for name, _, value in parts if name}
            line = self.text.count("\n", 0, match.start()) + 1
            yield Block(match["language"], match["text"], proof, line)

    @property
    def prose(self):
        return re.sub(r"<!--.*?-->", "", FENCE.sub("", self.text), flags=re.S)

    @property
    def anchors(self):
        titles = re.findall(r"^#+ (.+)$", self.prose, re.M)
        slugs = {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}
        return slugs | set(re.findall(r'<a id="([^"]+)"></a>', self.prose))

    @property
    def links(self):
        """The links to places in this repository, as path and anchor."""
        found = re.findall(r"\]\((?!\w+:)([^)\s]+)\)", self.prose)
        return [(name, anchor) for name, _, anchor in (link.partition("#") for link in found)]

    @property
    def examples(self):
        """The files that the page's examples make, by name."""
        files = {}
        for block in self.blocks:
            if name := block.proof.get("example"):
                files[name] = files[name] + "\n\n" + block.text if name in files else block.text
        return files


def read(path, lesson=None):
    """Read a page. One that is not written yet is empty, and fails its own tests alone."""
    return Page(path, path.read_text("utf-8") if path.exists() else "", lesson)


def section(page, anchor=""):
    """Return what stands under an anchor, up to the next heading of its level, or all of a page.

    What is quoted from the notes is left out: to quote a line is not to teach it.
    """
    text = FENCE.sub(lambda block: "" if "file: notes/" in block[0] else block[0], page.text)
    if not anchor:
        return text
    no_blocks = FENCE.sub(lambda block: "." * len(block[0]), text)
    headings = list(HEADING.finditer(no_blocks))
    for place, heading in enumerate(headings):
        if anchor in Page(page.path, heading[0]).anchors:
            later = (
                h.start() for h in headings[place + 1 :] if len(h["level"]) <= len(heading["level"])
            )
            return text[heading.start() : next(later, len(text))]
    return ""


LESSON_PAGES = [read(lesson.page, lesson) for lesson in COURSE.lessons]
PATHS = {page.path for page in LESSON_PAGES}
PAGES = LESSON_PAGES + [read(path) for path in sorted(DOCS.rglob("*.md")) if path not in PATHS]


# What holds for every page. A rule returns what is wrong.


def every_block_is_proved(page):
    for block in page.blocks:
        proof = next(iter(block.proof), "")
        if block.language != "mermaid" and proof not in PROOFS:
            yield f"line {block.line}: how is this proved?"
        if (block.language == "console") != (proof == "run"):
            yield f"line {block.line}: a console block is run, and no other"
        if proof == "run" and not block.text.startswith("$ "):
            yield f"line {block.line}: no command"


def excerpts_stand_in_their_files(page):
    for block in page.blocks:
        if name := block.proof.get("file"):
            path, length = COURSE.root / name, block.text.count("\n")
            lines = path.read_text("utf-8").splitlines(keepends=True) if path.is_file() else []
            places = ("".join(lines[i : i + length]) for i in range(len(lines) - length + 1))
            if textwrap.dedent(block.text) not in map(textwrap.dedent, places):
                yield f"line {block.line}: this does not stand in {name}"


def examples_are_valid(page):
    loose = {
        f"line {block.line}.{block.language}": block.text
        for block in page.blocks
        if block.proof.get("example") == ""
    }
    for name, text in (page.examples | loose).items():
        if name in page.examples and name not in page.prose + text:
            yield f"{name}: the reader cannot see this name"
        try:
            if name.endswith((".py", ".python")):
                compile(text, name, "exec")
            if name.endswith(".html"):
                jinja2.Environment().parse(text)
        except (SyntaxError, jinja2.TemplateSyntaxError) as error:
            yield f"{name}: {error}"


def diagrams_are_of_a_known_kind(page):
    for block in page.blocks:
        known = block.text.startswith(DIAGRAMS) and block.text.count("\n") > 2
        if block.language == "mermaid" and not known:
            yield f"line {block.line}: not a diagram"


def links_lead_somewhere(page):
    for name, anchor in page.links:
        target = page.path.parent / name if name else page.path
        if target.parent == steps.FOLDER:  # pages that are made, wherever none are yet
            if target.name not in made_pages():
                yield f"`make diffs` makes no {name}"
        elif not target.exists():
            yield f"there is no {name}"
        elif anchor and anchor not in (read(target) if name else page).anchors:
            yield f"there is no {name}#{anchor}"


@cache
def made_pages():
    """Return the names of the pages that `python -m course diffs` makes."""
    with TemporaryDirectory() as folder:
        return {path.name for path in steps.write(COURSE, Path(folder))}


def make_has_the_targets(page):
    makefile = (COURSE.root / "Makefile").read_text("utf-8")
    for name, number in re.findall(r"`make ([a-z]+)(-\d)?", page.prose):
        if f"\n{name}{'-%' if number else ''}:" not in makefile:
            yield f"make {name}{number}: there is no such target"


def commands_print_what_the_page_says(page):
    blocks = [block for block in page.blocks if "run" in block.proof]
    with ThreadPoolExecutor(4) as pool:
        return [wrong for found in pool.map(run, repeat(page), blocks) for wrong in found]


def page_is_short(page):
    words = len(re.findall(r"\w[\w'./-]*", page.prose))
    if words > MOST_WORDS:
        yield f"{words} words"


# What holds for a lesson's page.


def title_is_the_lessons(page):
    title = f"# Lesson {page.lesson.number}: {page.lesson.title}\n"
    if not page.text.startswith(title):
        yield f"the page does not begin with {title}"


def parts_stand_in_order(page):
    parts = "|".join(re.findall(r"^## (.+)$", page.prose, re.M))
    if parts != PARTS:
        yield f"the parts are {parts}"


def tasks_are_those_of_the_course(page):
    wanted = [
        (page.lesson.anchor(task).partition("#")[2], task.id, task.title)
        for task in page.lesson.tasks
    ]
    part = page.prose.partition("## The tasks\n")[2].partition("\n## ")[0]
    if TASK.findall(part) != wanted:
        yield f"the tasks are {TASK.findall(part)}, not {wanted}"
    if len(re.findall(r'^### |<a id="task-', page.prose, re.M)) != 2 * len(wanted):
        yield "there are more headings or anchors than tasks"


def ended_checks_are_named(page):
    for ended in page.lesson.ends:
        name = ended.check.partition("::")[2]
        if f"`{name}`" not in page.prose:
            yield f"the page does not say that `{name}` ends here"


# Running the commands of a block.


def run(page, block):
    """Return the commands of a block that print something else than it says."""
    wrong = []
    with TemporaryDirectory() as home, ready(page, block, Path(home)) as (folder, port):
        documented = re.search(r"\b500\d\b", block.text + "5000").group()
        for command, expected in re.findall(r"^\$ (.+)\n((?:(?!\$ ).*\n)*)", block.text, re.M):
            done = subprocess.run(
                ["bash", "-c", command.replace(documented, port)], cwd=folder, timeout=30,
                env=environment(home), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            )  # fmt: skip
            printed = done.stdout.replace(port, documented)
            if not matches(normal(expected), normal(printed)):
                wrong.append(f"line {block.line}: $ {command}\n{printed}")
    return wrong


@contextmanager
def ready(page, block, home):
    """Lay out the block's folder, serve there what it asks for, and give folder and port."""
    folder = home / "lesson"
    ignored = shutil.ignore_patterns("__pycache__", "instance")
    if block.proof["run"] != "examples":
        shutil.copytree(COURSE.root / block.proof["run"], folder, ignore=ignored)
    if more := block.proof.get("with"):
        shutil.copytree(COURSE.root / more, folder, ignore=ignored, dirs_exist_ok=True)
    for name, text in page.examples.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        assert not (folder / name).exists(), f"{name} is a file of the lesson"
        (folder / name).write_text(text, "utf-8")
    folder.mkdir(exist_ok=True)
    (home / ".curlrc").write_text("silent\nshow-error\n")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = re.sub(r"-p 500\d", f"-p {port}", block.proof.get("serve", ""))
    with serving(command, port, folder, home):
        yield folder, str(port)


@contextmanager
def serving(command, port, folder, home):
    if not command:
        yield
        return
    with (home / "log").open("w") as log:
        server = subprocess.Popen(
            ["bash", "-c", command], cwd=folder, env=environment(home),
            stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip
    try:
        deadline = time.monotonic() + 20
        while not listens(port):
            waiting = server.poll() is None and time.monotonic() < deadline
            assert waiting, f"{command}: {(home / 'log').read_text()}"
            time.sleep(0.02)
        yield
    finally:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()


def listens(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def environment(home):
    """Return an environment in which nothing is of whoever runs the tests."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    python = {"PYTHONUNBUFFERED": "1", "PYTHONDONTWRITEBYTECODE": "1", "PYTHONUTF8": "1"}
    return {"PATH": path, "HOME": str(home), "LC_ALL": "C.UTF-8", "COLUMNS": "80", **python}


def matches(expected, printed):
    parts = re.split(r"^…\n", expected, flags=re.M)
    return re.fullmatch(r"(?:.*\n)*".join(map(re.escape, parts)), printed) is not None


# What may differ from one run, or one machine, to another.


def no_trailing_space(text):
    return re.sub(r"[ \t]+$", "", text.rstrip("\n") + "\n", flags=re.M)


def any_date(text):
    return re.sub(r"\w{3}, \d\d \w{3} \d{4} [\d:]{8} GMT", "DATE", text)


def any_time(text):
    return re.sub(r"dur=[\d.]+", "dur=TIME", text)


def any_version(text):
    return re.sub(r"\b(Werkzeug|Python)/[\d.]+", r"\1/VERSION", text)


def any_address(text):
    return re.sub(r"\bat 0x[0-9a-f]+", "at ADDRESS", text)


def any_folder(text):
    return re.sub(r"(?:/[\w.+-]+)+/(?=\w+\.py\b)", "", text)


def any_order_of_methods(text):
    return re.sub(r"(?<=^Allow: ).+", lambda m: str(sorted(m[0].split(", "))), text, flags=re.M)


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


# The tests.

RULES = [
    every_block_is_proved,
    excerpts_stand_in_their_files,
    examples_are_valid,
    diagrams_are_of_a_known_kind,
    links_lead_somewhere,
    make_has_the_targets,
    commands_print_what_the_page_says,
    page_is_short,
]
LESSON_RULES = [
    title_is_the_lessons,
    parts_stand_in_order,
    tasks_are_those_of_the_course,
    ended_checks_are_named,
]


def called(value):
    return value.path.name if isinstance(value, Page) else getattr(value, "__name__", None)


@pytest.mark.parametrize("page", PAGES, ids=called)
@pytest.mark.parametrize("rule", RULES, ids=called)
def test_page(page, rule):
    wrong = list(rule(page))
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("page", LESSON_PAGES, ids=called)
@pytest.mark.parametrize("rule", LESSON_RULES, ids=called)
def test_page_of_a_lesson(page, rule):
    wrong = list(rule(page))
    assert not wrong, "\n".join(wrong)


def test_every_page_is_in_the_index():
    index = read(DOCS / "README.md")
    linked = {(DOCS / name).resolve() for name, _ in index.links}
    assert {page.path for page in PAGES} - {index.path} <= linked
    for lesson in COURSE.lessons:
        name = f"{lesson.number} [{lesson.title}]({lesson.page.name})"
        assert f"| {name} | {lesson.adds} | {lesson.pain} |" in index.text


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        (every_block_is_proved, "```python\nx = 1\n```\n"),
        (every_block_is_proved, "<!-- shown -->\n```console\n$ true\n```\n"),
        (every_block_is_proved, "<!-- run: examples -->\n```console\nhello\n```\n"),
        (excerpts_stand_in_their_files, "<!-- file: Makefile -->\n```sh\nno such line\n```\n"),
        (excerpts_stand_in_their_files, "<!-- file: Makefile -->\n```sh\nhelp:\n```\n"),
        (excerpts_stand_in_their_files, "<!-- file: nosuchfile -->\n```sh\nx\n```\n"),
        (examples_are_valid, "<!-- example -->\n```python\nif\n```\n"),
        (examples_are_valid, "<!-- example: x.html -->\n```html\n{% if %}\n```\n"),
        (examples_are_valid, "<!-- example: x.py -->\n```python\nx = 1\n```\n"),
        (diagrams_are_of_a_known_kind, "```mermaid\nchart\nA\nB\n```\n"),
        (diagrams_are_of_a_known_kind, "```mermaid\nflowchart LR\n```\n"),
        (links_lead_somewhere, "[a](nowhere.md)"),
        (links_lead_somewhere, "[a](README.md#nowhere)"),
        (links_lead_somewhere, "[a](steps/nowhere.html)"),
        (links_lead_somewhere, "# Here\n[a](#there)"),
        (make_has_the_targets, "`make nothing-1`"),
        (make_has_the_targets, "`make progress-1`"),
        (commands_print_what_the_page_says, "<!-- run: examples -->\n```console\n$ pwd\n```\n"),
        (title_is_the_lessons, "# Lesson 0: Something else\n"),
        (parts_stand_in_order, "## The idea\n## The pain\n"),
        (tasks_are_those_of_the_course, "## The tasks\n"),
        (tasks_are_those_of_the_course, LESSON_PAGES[0].text + '<a id="task-09"></a>\n'),
        (ended_checks_are_named, "`test_other`"),
        (page_is_short, "word " * (MOST_WORDS + 1)),
    ],
)
def test_a_rule_notices(rule, text):
    lesson = replace(COURSE.lessons[0], ends=(Ended("test_00_request.py::test_gone", "why"),))
    assert list(rule(Page(lesson.page, text, lesson)))


@pytest.mark.parametrize(
    ("expected", "printed", "same"),
    [
        ("a\n…\nc\n", "a\nb\nb\nc\n", True),
        ("a\n…\nc\n", "a\nc\n", True),
        ("a\n…\nc\n", "a\nb\nd\n", False),
        ("a\n", "a\nb\n", False),
        ("Allow: GET, HEAD\n", "Allow: HEAD, GET  \n", True),
        ("Allow: GET, HEAD\n", "Allow: HEAD, POST\n", False),
        ("curl: (7) Failed\n", "curl: (7) Could not\n", True),
        ("curl: (7) Failed\n", "curl: (3) Failed\n", False),
        ('File "app.py", line 3\n', 'File "/tmp/x-1/app.py", line 3\n', True),
        ("Server: Werkzeug/3.1.3 Python/3.11.2\n", "Server: Werkzeug/3.1.9 Python/3.13.0\n", True),
        ("Date: Sun, 22 Nov 2026 15:17:50 GMT\n", "Date: Mon, 23 Nov 2026 01:02:03 GMT\n", True),
        ("app;dur=0.123\n", "app;dur=4.567\n", True),
        ("<Todo at 0x7f>\n", "<Todo at 0x1a>\n", True),
    ],
)
def test_outputs_are_compared(expected, printed, same):
    assert matches(normal(expected), normal(printed)) is same
