"""The pages beside the lessons: what the notes have wrong, their words, the structure, commands."""

import re
import shutil
import subprocess
import sys
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path

import pytest
from test_docs import COURSE, DOCS, read
from test_notes import CHINESE, ENGLISH, HAN, lines

# docs/corrections.md: each entry is about a line of the notes, and its sources say so.

CORRECTIONS = read(DOCS / "corrections.md")
ENTRY = re.compile(r'^<a id="line-(\d+)"></a>\n### Line (\d+): (.+)\n((?:(?!#|<a).*\n)+)', re.M)
HAS = re.compile(r"`([\w/]+\.py)` has (no )?`([^`]+)`")
FILE = re.compile(r"`\w+/[\w/]+\.py`")
NO_MODULE = re.compile(r"there is no module `([\w.]+)`")
ELSEWHERE = re.compile(r"\]\(https://")
MET_IN = re.compile(r"Met in \[lesson \d\]\(\d\d_\w+\.md")
CORRECTED = {int(match[1]): match for match in ENTRY.finditer(CORRECTIONS.text)}
OLD_TUTORIALS = re.findall(
    r"^- .+\n(?:  .+\n)*", CORRECTIONS.text.partition("\n## What old tutorials add\n")[2], re.M
)


def installed(path):
    """Return where a file or folder of an installed package is, be it there or not."""
    package, _, rest = path.partition("/")
    found = find_spec(package)
    assert found, f"{package} is not installed"
    return Path(found.submodule_search_locations[0], rest)


def wrong_sources(text):
    """Return each source in a correction that does not say what the correction says."""
    text = " ".join(text.split())
    for path, no, words in HAS.findall(text):
        file = installed(path)
        if not file.is_file() or (words in file.read_text("utf-8")) == bool(no):
            yield f"{path}: {words}"
    if len(HAS.findall(text)) != len(FILE.findall(text)):
        yield "a file is named, and not what it has"
    for module in NO_MODULE.findall(text):
        place = installed(module.replace(".", "/"))
        if place.exists() or place.with_suffix(".py").exists():
            yield module
    if not re.search(rf"Source: .*(?:{HAS.pattern}|{NO_MODULE.pattern}|{ELSEWHERE.pattern})", text):
        yield "there is no source"


@pytest.mark.parametrize("entry", CORRECTED.values(), ids=lambda entry: f"line {entry[1]}")
def test_a_correction_is_about_a_line_and_has_sources(entry):
    anchor, number, quoted, text = entry.groups()
    assert number == anchor
    assert quoted.lstrip("-") == lines(ENGLISH)[int(number) - 1].strip().lstrip("-# ")
    assert not list(wrong_sources(text))
    assert MET_IN.search(text.replace("\n", " ")), "in which lesson is this met?"


@pytest.mark.parametrize("text", OLD_TUTORIALS, ids=lambda text: text.split("`")[1])
def test_what_old_tutorials_add_has_sources(text):
    assert not list(wrong_sources(text))


def test_every_correction_is_read_and_they_stand_in_order():
    assert list(CORRECTED) == sorted(CORRECTED)
    assert len(CORRECTED) == CORRECTIONS.text.count("\n### ")
    assert OLD_TUTORIALS


@pytest.mark.parametrize(
    "text",
    [
        "Source: `flask/app.py` has `no such words`.",
        "Source: `flask/nowhere.py` has `import`.",
        "Source: `flask/app.py` has no `import`.",
        "Source: there is no module `flask.app`.",
        "Source: there is no module `flask.json`.",
        "Source: `flask/app.py`.",
        "Nobody says so.",
    ],
)
def test_a_wrong_source_is_noticed(text):
    assert list(wrong_sources(text))


# docs/glossary.md: every word of the notes that is not an ordinary one is in it.

GLOSSARY = read(DOCS / "glossary.md")
TERMS = re.findall(r"^\| (.+) \| (.+) \| .+ \| .+ \|$", GLOSSARY.text, re.M)[1:]
NO_CHINESE = "\u2014"
ORDINARY = (
    "一个 一样 上 不能用了 中 主 了 但 体系 使用 再 写法 和 四大 在 处理 如果 存在 实现 提供 支持 "
    "放在 最终 都是 每个 独立出来 生成 的 直接 相关 统一 管理 结合 美好 自己 让 跨 都 长期 没更新 "
    "获取 到 需要 额外 首次 必须 add_commad blue d h manage p py python r xx xxx"
)
"""What in the notes is no term: words of the language, parts of examples, letters of options."""


def english_terms(cell):
    """Return the terms in a cell of the first column; some have several names."""
    return cell.replace("`", "").split(", ")


def without(words, text):
    """Take the words out of the text; of two that begin alike, the longer goes first."""
    longest_first = sorted(words, key=len, reverse=True)
    whole = [re.escape(word) if HAN.match(word) else latin(word) for word in longest_first]
    return re.sub("|".join(whole), " ", text, flags=re.I)


def latin(word):
    """Match it as a whole word, in the plural too."""
    return rf"(?<![A-Za-z0-9_]){re.escape(word)}s?(?![A-Za-z0-9_])"


def unexplained(text, words):
    """Return what is left of a line of the notes without its terms and its ordinary words."""
    joined = re.sub(rf"(?<={HAN.pattern}) (?={HAN.pattern})", "", text)
    rest = without(ORDINARY.split(), without(words, joined))
    return re.findall(rf"{HAN.pattern}+|[A-Za-z_]+", rest)


def test_every_term_of_the_notes_is_in_the_glossary():
    words = {word for english, _ in TERMS for word in english_terms(english)}
    words |= {chinese for _, chinese in TERMS if HAN.search(chinese)}
    missing = {word for line in lines(CHINESE) for word in unexplained(line, words)}
    assert not missing


def test_a_missing_term_is_noticed():
    assert unexplained("    -初始化app", {"app"}) == ["初始化"]
    assert unexplained("-Manager 模板", {"模板"}) == ["Manager"]
    assert unexplained("-在api上注 册resource", {"注册", "api"}) == ["resource"]


def test_no_ordinary_word_is_listed_in_vain():
    outline = CHINESE.read_text("utf-8")
    assert not [word for word in ORDINARY.split() if word not in outline]


def test_the_glossary_is_sorted_and_has_nothing_twice():
    english = [cell.replace("`", "").casefold() for cell, _ in TERMS]
    chinese = [cell for _, cell in TERMS if cell != NO_CHINESE]
    assert english == sorted(english, key=lambda term: re.sub(r"[^a-z0-9]", "", term))
    assert len(english) == len(set(english))
    assert len(chinese) == len(set(chinese))
    assert len(TERMS) == GLOSSARY.text.count("\n| ") - 1


def test_glossary_and_translation_use_the_same_words():
    """Where the notes have the Chinese word, their translation has the English one."""
    pairs = list(zip(lines(CHINESE), lines(ENGLISH), strict=True))
    strange = []
    for english, chinese in TERMS:
        said = [translated for line, translated in pairs if chinese in line]
        terms = [term.casefold().split() for term in english_terms(english)]
        if said and not any(begins_all(term, line.casefold()) for term in terms for line in said):
            strange.append(f"{chinese}: {english}, but in the translation: {said}")
    assert not strange, "\n".join(strange)


def begins_all(words, text):
    """Tell whether the text has each word, be it in the plural or with another ending."""
    return all(word[:5] in text for word in words)


# docs/structure.md: every file of the finished app, and the lesson that brought it.

STRUCTURE = read(DOCS / "structure.md")
MADE_BY_RUNNING = ("__pycache__", "instance")


def files(folder):
    """The files of a finished lesson, without what running it leaves there."""
    paths = [path.relative_to(folder) for path in folder.rglob("*") if path.is_file()]
    return {path.as_posix() for path in paths if not set(path.parts) & set(MADE_BY_RUNNING)}


def test_the_structure_names_every_file_and_the_lesson_that_brought_it():
    brought = {}
    for lesson in COURSE.lessons:
        brought |= dict.fromkeys(files(lesson.solution) - brought.keys(), str(lesson.number))
    finished = files(COURSE.lessons[-1].solution)
    rows = re.findall(r"^\| `(.+?)` \| (\d+) \| .+ \|$", STRUCTURE.text, re.M)
    wanted = [(path, brought[path]) for path in finished]
    missing, gone = sorted({*wanted} - {*rows}), sorted({*rows} - {*wanted})
    assert not missing, f"not in docs/structure.md, or in the solution by mistake: {missing}"
    assert not gone, f"in docs/structure.md, and not in the solution of that lesson: {gone}"
    assert len(rows) == len(wanted), "docs/structure.md has a file twice"


# docs/request.md: one picture, which grows with the lessons.


def test_each_picture_of_the_request_has_all_of_the_one_before_and_more():
    blocks = read(DOCS / "request.md").blocks
    pictures = [set(block.text.splitlines()) for block in blocks if block.language == "mermaid"]
    assert len(pictures) > 1
    for earlier, later in pairwise(pictures):
        assert earlier < later


# docs/leaving_flask_script.md: what it leads to does what lesson 1's manage.py does.

LEAVING = DOCS / "examples" / "leaving_flask_script"


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """Lesson 1 as it is finished, with the commands of today beside manage.py."""
    folder = tmp_path_factory.mktemp("both") / "lesson"
    shutil.copytree(COURSE.lessons[1].solution, folder)
    return shutil.copytree(LEAVING, folder, dirs_exist_ok=True)


def command(folder, *argv):
    done = subprocess.run([sys.executable, *argv], cwd=folder, capture_output=True, text=True)
    return done.returncode, done.stdout


@pytest.mark.parametrize(
    "args",
    [
        ["find", "l"],
        ["find", "l", "--open"],
        ["find", "l", "-o", "-n", "1"],
        ["find", "", "--limit", "1"],
        ["find", "nothing"],
        ["request", "/hello/Ann"],
        ["request", "/todos", "-X", "DELETE"],
        ["request", "/todos/99", "--method", "GET"],
        ["find", "l", "--limit", "many"],
        ["find"],
        ["no-such-command"],
    ],
    ids=" ".join,
)
def test_todays_command_does_what_the_old_one_does(both, args):
    assert command(both, "-m", "flask", *args) == command(both, "manage.py", *args)


def test_todays_shell_knows_what_the_old_one_knows(both):
    typed = "print(Todo(7, 'Try it'), app.name)\n"
    for argv in (["-m", "flask", "shell"], ["manage.py", "shell"]):
        shell = [sys.executable, *argv]
        done = subprocess.run(shell, cwd=both, input=typed, capture_output=True, text=True)
        assert "Todo(id=7, title='Try it', completed=False) app" in done.stdout
