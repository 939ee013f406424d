"""What the pages in docs/ say is true: their listings, their commands, their links.

How a block is proved stands in `course.pages`.
"""

import re
import shutil
import subprocess
import sys
from dataclasses import replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import jinja2
import pytest

from course import steps
from course.catalog import Ended, load
from course.listings import matches, stale, update
from course.pages import Page, read

COURSE = load()
DOCS = COURSE.root / "docs"
PARTS = """The pain|The idea|The tasks|What can go wrong|Then and now|What changed|Questions|Next"""
MOST_WORDS = 2000
PROOFS = ("file", "example", "run", "adds", "patch", "shown")
DIAGRAMS = ("flowchart ", "sequenceDiagram\n", "classDiagram\n", "erDiagram\n", "stateDiagram-v2\n")
TASK = re.compile(r'^<a id="(task-\d+)"></a>\n### Task (\d+\.\d+): (.+)$', re.M)


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
    commands = re.findall(r"`make\s([^`]+)`", page.prose)
    for block in page.blocks:
        if block.language in ("sh", "console"):
            commands += re.findall(r"^(?:\$ )?(?:.*[;&|] *)?make (.+)$", block.text, re.M)
    for command in commands:
        yield from (f"make {command}: {why}" for why in wrong_in_make(command))


def wrong_in_make(command):
    """Return what make would not know of a command: its targets, and its variables."""
    makefile = (COURSE.root / "Makefile").read_text("utf-8")
    targets = re.findall(r"^([a-z%-]+):", makefile, re.M)
    takes = dict(re.findall(r"^takes\.(\S+) = (.+)$", makefile, re.M))
    words = re.split(r"[#;&|]", command)[0].split()
    variables = " ".join(takes.get(re.sub(r"-(\d+|N)$", "", word), "PYTHON") for word in words)
    for word in words:
        name, is_given, _ = word.partition("=")
        if is_given and name not in variables.split():
            yield f"there is no variable {name}"
        if not is_given and re.sub(r"-(\d+|N)$", "-%", word) not in targets:
            yield f"there is no target {word}"


def listings_and_outputs_are_true(page):
    return [f"line {each.block.line}: {each.why}" for each in stale(page)]


def page_is_short(page):
    words = len(re.findall(r"\w[\w'./-]*", page.prose))
    if words > MOST_WORDS:
        yield f"{words} words, and a page has at most {MOST_WORDS}: shorten it, or divide it"


def page_ends_with_what_to_do_next(page):
    last = page.text.rpartition("\n## ")[2]
    if page.path.name != "README.md" and not (last.startswith("Next\n") and "](" in last):
        yield f"the page ends with {last.partition(chr(10))[0]}"


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


# The tests.

RULES = [
    every_block_is_proved,
    examples_are_valid,
    diagrams_are_of_a_known_kind,
    links_lead_somewhere,
    make_has_the_targets,
    listings_and_outputs_are_true,
    page_is_short,
    page_ends_with_what_to_do_next,
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
    left = sorted({page.path.name for page in PAGES if page.path not in linked} - {"README.md"})
    assert not left, f"docs/README.md has no link to {', '.join(left)}"
    for lesson in COURSE.lessons:
        name = f"{lesson.number} [{lesson.title}]({lesson.page.name})"
        row = f"| {name} | {lesson.adds} | {lesson.pain} |"
        assert row in index.text, f"docs/README.md has not this row: {row}"


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        (every_block_is_proved, "```python\nx = 1\n```\n"),
        (every_block_is_proved, "<!-- shown -->\n```console\n$ true\n```\n"),
        (every_block_is_proved, "<!-- run: examples -->\n```console\nhello\n```\n"),
        (listings_and_outputs_are_true, "<!-- file: Makefile -->\n```sh\nno such line\n```\n"),
        (listings_and_outputs_are_true, "<!-- file: Makefile -->\n```sh\nhelp:\n```\n"),
        (listings_and_outputs_are_true, "<!-- file: nosuchfile -->\n```sh\nx\n```\n"),
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
        (make_has_the_targets, "`make docs-sreve`"),
        (make_has_the_targets, "`make check-nothing`"),
        (make_has_the_targets, "`make grade SUBMISIONS=DIR`"),
        (make_has_the_targets, "`make docs\ndocs-sreve`"),
        (make_has_the_targets, "<!-- shown -->\n```sh\ncd .. && make lessn-1  # begin\n```\n"),
        (make_has_the_targets, "<!-- run: course -->\n```console\n$ make step-1 STA=1\n```\n"),
        (listings_and_outputs_are_true, "<!-- run: examples -->\n```console\n$ pwd\n```\n"),
        (title_is_the_lessons, "# Lesson 0: Something else\n"),
        (parts_stand_in_order, "## The idea\n## The pain\n"),
        (tasks_are_those_of_the_course, "## The tasks\n"),
        (tasks_are_those_of_the_course, LESSON_PAGES[0].text + '<a id="task-09"></a>\n'),
        (ended_checks_are_named, "`test_other`"),
        (page_ends_with_what_to_do_next, "# Page\n\n## Next\n\nNothing.\n"),
        (page_ends_with_what_to_do_next, "## Next\n\n[a](a.md)\n\n## More\n\n[a](a.md)\n"),
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
        ("2 passed in 0.21s\n", "2 passed in 3.4s\n", True),
        ("2 passed in 0.21s\n", "1 passed in 0.21s\n", False),
        ("<Todo at 0x7f>\n", "<Todo at 0x1a>\n", True),
    ],
)
def test_outputs_are_compared(expected, printed, same):
    assert matches(expected, printed) is same


OLD = """# Page

<!-- file: solutions/00_request/app.py -->
```python
    @app.before_request
    def an_old_name():
        g.started = perf_counter()
```

<!-- run: examples -->
```console
$ echo same
same
$ printf 'three\\nlines\\nnow\\n'
two
…
$ echo begun; echo ended
begun
…
```

<!-- file: solutions/00_request/app.py -->
```python
nothing_of = this
stands = "there"
```
"""


def test_update_mends_what_it_can_and_names_the_rest():
    new, look = update(Page(DOCS / "page.md", OLD))
    mended = OLD.replace("an_old_name", "start_clock").replace("two\n…", "three\nlines\nnow")
    assert new.text == mended
    assert look == [
        "line 23: this does not stand in solutions/00_request/app.py",
        "line 10: some output is in full now; put `…` for what need not be read",
    ]
    assert update(new) == (new, look[:1])


FAILING = """# Page

<!-- run: solutions/08_nowhere -->
```console
$ true
```

<!-- run: examples; serve: echo It is broken. -->
```console
$ echo old
new
```

<!-- run: examples -->
```console
$ echo new
old
```

<!-- run: clone -->
```console
$ echo new
old
```

<!-- patch -->
```diff
--- a/Makefile
+++ b/Makefile
@@ -2,2 +2,2 @@
-# Everything here is `python -m course …`, which also makes .venv the first time.
+# Everything here is nothing.
 
```

<!-- run: clone -->
```console
$ echo new
old
```
"""


def test_what_fails_is_named_with_its_line_and_the_rest_is_mended():
    new, look = update(Page(DOCS / "page.md", FAILING))
    assert new.text == FAILING.replace("$ echo new\nold", "$ echo new\nnew", 2)
    *others, patch = look
    assert others == [
        "line 3: there is no folder 'solutions/08_nowhere' to run this in.",
        "line 8: echo It is broken. does not serve: It is broken.",
    ]
    assert patch.startswith("line 26: the patch does not apply as it stands: ")
    assert "(offset -1 lines)" in patch
    assert patch.endswith(" What stands below it was not tried.")


def test_what_is_true_is_left_as_it_is():
    page = read(DOCS / "00_request.md")
    assert update(page) == (page, [])


COMMAND = [sys.executable, "-c", "from course.cli import main; main()", "docs", "--update"]


def test_the_command_writes_the_pages(tmp_path):
    """The pages are those of a copy of the course: the test must not change ours."""
    ignored = shutil.ignore_patterns(".git", ".venv", "work", "build", "tests", "vendor")
    home = tmp_path / "my 课程"
    shutil.copytree(COURSE.root, home, ignore=ignored)
    for path in (home / "docs").glob("*.md"):
        path.unlink()
    (home / "docs" / "page.md").write_text(OLD, "utf-8")
    done = subprocess.run(COMMAND, cwd=home, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (1, "")
    assert done.stdout == (
        "docs/page.md is written anew.\n"
        "docs/page.md, line 23: this does not stand in solutions/00_request/app.py\n"
        "docs/page.md, line 10: some output is in full now; put `…` for what need not be read\n"
    )
    assert "def start_clock():" in (home / "docs" / "page.md").read_text("utf-8")
    done = subprocess.run(COMMAND, cwd=home, capture_output=True, text=True)
    assert (done.returncode, done.stdout.count("\n")) == (1, 1)
    (home / "docs" / "right.md").write_text("# Page\n", "utf-8")
    for name, code in (("docs/right.md", 0), ("docs/page.md", 1), ("docs/no.md", 2), ("a.md", 2)):
        done = subprocess.run([*COMMAND, name], cwd=home, capture_output=True, text=True)
        assert done.returncode == code, done.stderr
        assert (f"There is no page {name}:" in done.stderr) == (code == 2)
