"""The outline stays as it was written, its translation goes line by line, and all is taught."""

import hashlib
import re
import tomllib
from pathlib import Path

import pytest
from test_docs import DOCS, read

NOTES = Path(__file__).resolve().parent.parent / "notes"
CHINESE, ENGLISH = NOTES / "outline.zh.md", NOTES / "outline.en.md"
CHINESE_SHA256 = "a1a20b9e41411c3965dfb44655da70b75b760b8f2ac69de591e9ff8ff4b69b24"

HAN = re.compile("[\u2e80-\u2fdf\u3005-\u3007\u3400-\u9fff\uf900-\ufaff\U00020000-\U000323af]")
CHINESE_PUNCTUATION = re.compile("[\u3000-\u3004\u3008-\u303f\uff01-\uff65]")
TOKEN = re.compile(r"[A-Za-z_@][\w@.'>()-]*", re.ASCII)


def lines(path):
    """Split at newlines alone, so that a line here is a line in an editor."""
    return path.read_bytes().decode("utf-8").split("\n")


def indentation(line):
    return line[: len(line) - len(line.lstrip())]


def heading(line):
    return re.match("(#+ )?", line).group()


def dash(line):
    return re.match("(-+ *)?", line.lstrip()).group()


def tokens(line):
    """The code, file names and product names in a line: whatever it writes in Latin letters."""
    return [found.rstrip(".->'(") for found in TOKEN.findall(line)]


def occurrences(token, line):
    """Count the token as a whole word, so that `app` is not found in `append`."""
    return len(re.findall(rf"(?<!\w){re.escape(token)}(?!\w)", line))


def same_indentation(chinese, english):
    return indentation(chinese) == indentation(english)


def same_heading_level(chinese, english):
    return heading(chinese) == heading(english)


def same_dash(chinese, english):
    return dash(chinese) == dash(english)


def blank_together(chinese, english):
    return bool(chinese.strip(" -#")) == bool(english.strip(" -#"))


def code_lines_untouched(chinese, english):
    return bool(HAN.search(chinese)) or chinese == english


def tokens_kept(chinese, english):
    wanted = tokens(chinese)
    return all(occurrences(token, english) >= wanted.count(token) for token in wanted)


def no_chinese_left(chinese, english):
    """A line of code is copied as it is, so only a translated line must lose its punctuation."""
    translated = chinese != english
    return not HAN.search(english) and not (translated and CHINESE_PUNCTUATION.search(english))


RULES = [
    same_indentation,
    same_heading_level,
    same_dash,
    blank_together,
    code_lines_untouched,
    tokens_kept,
    no_chinese_left,
]


def test_the_chinese_outline_is_unchanged():
    assert hashlib.sha256(CHINESE.read_bytes()).hexdigest() == CHINESE_SHA256


def test_both_files_have_the_same_number_of_lines():
    assert len(lines(CHINESE)) == len(lines(ENGLISH)) > 100


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_every_line_matches_its_translation(rule):
    pairs = list(zip(lines(CHINESE), lines(ENGLISH), strict=True))
    broken = [
        f"line {number}: {chinese!r} / {english!r}"
        for number, (chinese, english) in enumerate(pairs, start=1)
        if not rule(chinese, english)
    ]
    assert not broken, "\n".join(broken)


@pytest.mark.parametrize(
    "token",
    [
        "pip install flask-blueprint",
        "@blue.route('xx')",
        "manager.add_commad('db', MigrateCommand)",
        "python manager.py db xxx",
        "setting.py",
        "ext.py",
        "requirement.txt",
        "SESSION-TYPE",
        "CACHE-TYPE, redis",
        "app.config",
        "cache.cached()",
    ],
)
def test_code_stands_on_the_same_lines_of_both_files(token):
    places = [
        [number for number, line in enumerate(lines(path), start=1) if token in line]
        for path in (CHINESE, ENGLISH)
    ]
    assert places[0]
    assert places[0] == places[1]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("    -browser->router(\u5728\u5e94\u7528\u4e0a)-", ["browser->router"]),
        ("    -__init__\u9879\u76ee\u4e3b\u5165\u53e3", ["__init__"]),
        ("        -ORM,SQLAlchemy\u5bf9\u8c61", ["ORM", "SQLAlchemy"]),
        ("        -init \u5fc5\u987b\u8c03\u7528init", ["init", "init"]),
        ("            -cache.cached()", ["cache.cached()"]),
    ],
)
def test_tokens_are_found_in_a_chinese_line(line, expected):
    assert tokens(line) == expected


@pytest.mark.parametrize(
    ("rule", "chinese", "english"),
    [
        (same_indentation, "    -\u5b89\u88c5", "  -Install"),
        (same_heading_level, "#### \u9879\u76ee\u7ed3\u6784", "### Project structure"),
        (same_dash, "    -\u5b89\u88c5", "    Install"),
        (same_dash, "    \u5b89\u88c5", "    -Install"),
        (same_dash, "    -\u5b89\u88c5", "    - Install"),
        (blank_together, "    -\u5b89\u88c5", "    -"),
        (blank_together, "-", "-Install"),
        (code_lines_untouched, "-python manager.py db xxx", "-python manage.py db xxx"),
        (tokens_kept, "-\u6307\u5b9aSESSION-TYPE", "-Specify SESSION_TYPE"),
        (tokens_kept, "-\u5728app\u6ce8\u518c\u84dd\u56fe", "-Register an append"),
        (tokens_kept, "-init \u5fc5\u987b\u8c03\u7528init", "-init must be called"),
        (no_chinese_left, "-\u5b89\u88c5", "-Install \u5b89\u88c5"),
        (no_chinese_left, "-\u7f13\u5b58\uff08Redis\uff09", "-In a cache\uff08Redis\uff09"),
    ],
)
def test_each_rule_notices_what_it_is_for(rule, chinese, english):
    assert not rule(chinese, english)


# Where each line is taught: notes/map.toml.

MAP = tomllib.loads((NOTES / "map.toml").read_text("utf-8"))["bullets"]


def saying(path):
    """The lines that say something, by their number."""
    return {number: line for number, line in enumerate(lines(path), 1) if line.strip(" -#")}


def untaught(bullet):
    """Return what is wrong with an entry of the map, if anything."""
    name, _, anchor = bullet["at"].partition("#")
    page = read(DOCS / name)
    if not page.text:
        return f"there is no page {name}"
    if anchor and anchor not in page.anchors:
        return f"there is no {bullet['at']}"
    says = flat(bullet["says"])
    if not says or says not in flat(page.section(anchor)):
        return f"{bullet['at']} does not say: {bullet['says']}"
    return None


def flat(text):
    return " ".join(text.split())


def test_every_line_of_the_outline_is_in_the_map_once_and_in_its_words():
    said = [(bullet["line"], bullet["notes"]) for bullet in MAP]
    outline = saying(ENGLISH)
    assert said == [(number, line.lstrip(" -#").rstrip()) for number, line in outline.items()]


@pytest.mark.parametrize("bullet", MAP, ids=lambda bullet: f"line {bullet['line']}")
def test_every_line_of_the_outline_is_taught(bullet):
    assert untaught(bullet) is None


@pytest.mark.parametrize(
    ("at", "says"),
    [
        ("nowhere.md", "anything"),
        ("01_script.md#nowhere", "anything"),
        ("01_script.md#task-11", "a sentence that is not there"),
        ("01_script.md#task-11", "A `Server` knows four options"),  # but in the next task's section
        ("01_script.md#then-and-now", "\u8c03\u7528\u53c2\u6570"),  # quoted, and not taught
        ("01_script.md#task-11", ""),
    ],
)
def test_what_is_not_taught_is_noticed(at, says):
    assert untaught({"at": at, "says": says})
