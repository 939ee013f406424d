"""The pages in docs/, taken apart: what each listing and each command on them rests on.

A comment above each fenced block says how it is proved:

<!-- file: solutions/00_request/app.py -->  its lines stand in that file, one after the other
<!-- example -->                            it is valid
<!-- example: books.py -->                  so is the file of that name, made of all such blocks
<!-- run: solutions/00_request -->          its commands print what it says, in a copy of that
                                            folder that has the page's examples as well
<!-- run: examples -->                      ... in a folder that has nothing else
<!-- run: course -->                        ... in the course's own folder
<!-- run: clone -->                         ... in one copy of the course for all such blocks of the
                                            page, which are run from first to last
<!-- adds: lessons/course.toml -->          ... with these lines at the end of that file
<!-- patch -->                              ... with this patch applied
<!-- run: …; with: docs/examples/NAME -->   ... with the files of that folder as well
<!-- run: …; serve: COMMAND -p 5000 -->     ... while that command, or the last one after &&,
                                            serves there
<!-- shown -->                              not at all

A line `…` in what a command prints stands for any lines.
"""

from __future__ import annotations

import difflib
import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from course.catalog import ROOT, Lesson

FENCE = re.compile(
    r"^(?:<!-- (?P<proof>.+) -->\n)?```(?P<language>\w*)\n(?P<text>(?:.*\n)*?)```$", re.M
)
_HEADING = re.compile(r'^(?:<a id="[^"]+"></a>\n)?(?P<level>#+) .+$', re.M)

LIKENESS = 0.5
"""How much of a listing must still stand in its file for the place to be found there."""


@dataclass(frozen=True)
class Block:
    """A fenced block: `proof` is the comment above it, taken apart; `start`, where its text is."""

    language: str
    text: str
    proof: dict[str, str]
    line: int
    start: int


@dataclass(frozen=True)
class Page:
    """A page of the docs, and the lesson that it is of, if any."""

    path: Path
    text: str = field(repr=False)
    lesson: Lesson | None = field(default=None, repr=False)

    @property
    def blocks(self) -> Iterator[Block]:
        """The fenced blocks, from first to last."""
        for match in FENCE.finditer(self.text):
            parts = [part.partition(": ") for part in (match["proof"] or "").split("; ")]
            proof = {name: value for name, _, value in parts if name}
            line = self.text.count("\n", 0, match.start()) + 1
            yield Block(match["language"], match["text"], proof, line, match.start("text"))

    @property
    def prose(self) -> str:
        """The text without blocks and comments."""
        return re.sub(r"<!--.*?-->", "", FENCE.sub("", self.text), flags=re.S)

    @property
    def anchors(self) -> set[str]:
        """The anchors of the headings, as code hosts make them, and those that are written out."""
        titles = re.findall(r"^#+ (.+)$", self.prose, re.M)
        slugs = {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}
        return slugs | set(re.findall(r'<a id="([^"]+)"></a>', self.prose))

    @property
    def links(self) -> list[tuple[str, str]]:
        """The links to places in this repository, as path and anchor."""
        found = re.findall(r"\]\((?!\w+:)([^)\s]+)\)", self.prose)
        return [(name, anchor) for name, _, anchor in (link.partition("#") for link in found)]

    @property
    def examples(self) -> dict[str, str]:
        """The files that the page's examples make, by name."""
        files: dict[str, str] = {}
        for block in self.blocks:
            if name := block.proof.get("example"):
                files[name] = files[name] + "\n\n" + block.text if name in files else block.text
        return files

    def section(self, anchor: str = "") -> str:
        """Return what stands under an anchor, up to the next heading of its level, or all.

        What is quoted from the notes is left out: to quote a line is not to teach it.
        """
        text = FENCE.sub(lambda block: "" if "file: notes/" in block[0] else block[0], self.text)
        if not anchor:
            return text
        no_blocks = FENCE.sub(lambda block: "." * len(block[0]), text)
        headings = list(_HEADING.finditer(no_blocks))
        for place, heading in enumerate(headings):
            if anchor in Page(self.path, heading[0]).anchors:
                later = (
                    each.start()
                    for each in headings[place + 1 :]
                    if len(each["level"]) <= len(heading["level"])
                )
                return text[heading.start() : next(later, len(text))]
        return ""

    def with_texts(self, texts: list[tuple[Block, str]]) -> Page:
        """Return the page with other texts in some of its blocks."""
        text = self.text
        for block, new in sorted(texts, key=lambda item: item[0].start, reverse=True):
            text = text[: block.start] + new + text[block.start + len(block.text) :]
        return Page(self.path, text, self.lesson)


def read(path: Path, lesson: Lesson | None = None) -> Page:
    """Read a page. One that is not written yet is empty, and fails its own tests alone."""
    return Page(path, path.read_text("utf-8") if path.exists() else "", lesson)


def stands(block: Block) -> bool:
    """Tell whether the lines of a listing stand in its file, one after the other."""
    length = block.text.count("\n")
    lines = _lines(block)
    places = ("".join(lines[i : i + length]) for i in range(len(lines) - length + 1))
    return textwrap.dedent(block.text) in map(textwrap.dedent, places)


def excerpt(block: Block) -> str | None:
    """Return what now stands in a listing's file at its place; None where that is not found."""
    listed = textwrap.dedent(block.text).splitlines(keepends=True)
    lines = _lines(block)
    bare = [line.strip() for line in listed], [line.strip() for line in lines]
    same = difflib.SequenceMatcher(None, *bare, autojunk=False).get_matching_blocks()[:-1]
    if sum(match.size for match in same) < LIKENESS * len(listed):
        return None
    first, last = same[0], same[-1]
    start = first.b - first.a  # what stood before the first line that is known still does
    end = last.b + len(listed) - last.a
    return textwrap.dedent("".join(lines[max(start, 0) : end]))


def _lines(block: Block) -> list[str]:
    path = ROOT / block.proof["file"]
    return path.read_text("utf-8").splitlines(keepends=True) if path.is_file() else []
