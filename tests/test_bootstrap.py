"""`python -m course` from nothing: .venv is made, kept and mended, and a failure is a sentence."""

import ast
import hashlib
import importlib.metadata
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from course import __main__ as front_door
from course import bootstrap

ROOT = Path(__file__).resolve().parent.parent
# A Python outside any venv, as whoever has just cloned the course has.
PYTHON = getattr(sys, "_base_executable", sys.executable)
UV = shutil.which("uv", path=str(Path(sys.executable).parent)) or shutil.which("uv")
ANEW = "making it anew"
REQUIREMENTS = ("requirements.txt", "docs/requirements.txt", "tests/requirements.txt")

PROGRAM = """
import importlib.util, json, sys

def main():
    found = [name for name in ("todo", "page", "tool") if importlib.util.find_spec(name)]
    print(json.dumps([sys.argv[1:], sys.prefix, sys.flags.utf8_mode, found]))
    sys.exit(3 if "fail" in sys.argv else 0)
"""


@dataclass
class Copy:
    """The course's front door in a folder of its own, with a program that says where it runs."""

    root: Path
    bin: Path
    env: dict[str, str] = field(default_factory=dict)

    @property
    def venv(self) -> Path:
        return self.root / ".venv"

    @property
    def stamp(self) -> Path:
        return self.venv / "course.stamp"

    @property
    def installs(self) -> int:
        """How many times uv has been asked to install."""
        calls = self.bin / "calls"
        return calls.read_text().count("pip install") if calls.exists() else 0

    def require(self, text: str, of: str = "requirements.txt") -> None:
        options = "--no-index\n--find-links vendor\n" if of == "requirements.txt" else ""
        (self.root / of).write_text(f"{options}{text}\n")

    def put_uv_on_path(self, first: str = "") -> None:
        """Put a `uv` on the PATH that notes its calls, does `first`, and is uv."""
        assert UV, "uv is among the tests' requirements"
        script = self.bin / "uv"
        script.write_text(
            f'#!/bin/sh\necho "$*" >> "{self.bin}/calls"\n{first}\nexec "{UV}" "$@"\n'
        )
        script.chmod(0o755)

    def start(self, *arguments: str, python: str = PYTHON) -> subprocess.Popen:
        return subprocess.Popen(
            [python, "-m", "course", *arguments],
            cwd=self.root,
            env=self.env,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            start_new_session=True,
        )

    def run(self, *arguments: str, python: str = PYTHON) -> "Ran":
        process = self.start(*arguments, python=python)
        out, err = process.communicate(timeout=60)
        return Ran(process.returncode, out, err)


@dataclass
class Ran:
    """What a command came to."""

    code: int
    out: str
    err: str

    @property
    def said(self) -> list:
        """What the stand-in program says: arguments, prefix, UTF-8, packages."""
        assert self.code == 0, self.err
        return json.loads(self.out)

    def failed_with(self, code: int, *words: str) -> str:
        """Assert that it failed with one clear line; return that line."""
        assert self.code == code, (self.code, self.out, self.err)
        assert self.out == ""
        assert "Traceback" not in self.err
        assert self.err.endswith("\n")
        line = self.err.splitlines()[-1]
        for word in words:
            assert word in line
        return line


@pytest.fixture
def copy(tmp_path: Path) -> Copy:
    """A copy in a folder whose name has a space and Chinese characters, and nothing on the PATH."""
    root, on_path = tmp_path / "my course 课程", tmp_path / "bin"
    for folder in ("course", "docs", "tests", "vendor"):
        (root / folder).mkdir(parents=True)
    on_path.mkdir()
    for name in ("__init__.py", "__main__.py", "bootstrap.py", "errors.py"):
        shutil.copy(ROOT / "course" / name, root / "course")
    (root / "course" / "cli.py").write_text(PROGRAM)
    for name in ("todo", "page", "tool"):
        make_wheel(root / "vendor", name)
    ours = ("PIP_", "UV_", "COURSE_", "PYTHON", "VIRTUAL_ENV", "MAKE")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    found = Copy(root, on_path, kept | {"PATH": f"{on_path}:/usr/bin:/bin"})
    assert not shutil.which("uv", path="/usr/bin:/bin")
    (root / "constraints.txt").write_text("")
    found.require("todo==1.0")
    found.require("-r ../requirements.txt\npage==1.0", of="docs/requirements.txt")
    found.require("-r ../docs/requirements.txt\ntool==1.0", of="tests/requirements.txt")
    return found


@pytest.fixture
def made(copy: Copy) -> Copy:
    """A copy that has its .venv, by uv."""
    copy.put_uv_on_path()
    assert copy.run("lesson", "1").said[3] == ["todo"]
    return copy


def make_wheel(folder: Path, name: str) -> None:
    """Write the smallest wheel that can be installed."""
    info = f"{name}-1.0.dist-info"
    files = {
        f"{name}.py": "",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{path},,\n" for path in [*files, f"{info}/RECORD"])
    with zipfile.ZipFile(folder / f"{name}-1.0-py3-none-any.whl", "w") as wheel:
        for path, text in (files | {f"{info}/RECORD": record}).items():
            wheel.writestr(path, text)


def wait_for(path: Path) -> None:
    end = time.monotonic() + 30
    while not path.exists():
        assert time.monotonic() < end, f"{path} never came"
        time.sleep(0.01)


class TestAComputerWithTheRightPython:
    def test_the_program_runs_in_a_new_venv_with_its_arguments_and_utf8(self, copy):
        copy.put_uv_on_path()
        ran = copy.run("diff", "3", "--in", "a b/课")
        assert ran.said == [["diff", "3", "--in", "a b/课"], str(copy.venv), 1, ["todo"]]
        assert (
            ran.err == "Installing the course's packages into .venv: once, about half a minute…\n"
        )
        assert "uv = " in (copy.venv / "pyvenv.cfg").read_text()

    def test_the_second_time_installs_nothing_and_says_nothing(self, made):
        again = made.run("lesson", "1")
        assert again.said[1] == str(made.venv)
        assert again.err == ""
        assert made.installs == 1

    def test_the_programs_exit_code_is_the_commands(self, made):
        assert made.run("fail").code == 3

    def test_within_an_activated_venv(self, made):
        ran = made.run("lesson", "1", python=str(made.venv / "bin" / "python"))
        assert ran.said[1:3] == [str(made.venv), 1]
        assert made.installs == 1

    def test_pip_goes_on_where_uv_began(self, made):
        (made.bin / "uv").unlink()
        made.require("todo==1.0\ntool==1.0")
        assert made.run("lesson", "1").said[3] == ["todo", "tool"]


class TestChangedRequirements:
    def test_are_installed_into_the_same_venv(self, made):
        (made.venv / "mine").touch()
        made.require("todo==1.0\ntool==1.0")
        ran = made.run("lesson", "1")
        assert ran.said[3] == ["todo", "tool"]
        assert ANEW not in ran.err
        assert (made.venv / "mine").exists()
        assert made.run("lesson", "1").err == ""

    @pytest.mark.parametrize("file", ["constraints.txt", "vendor/new-1.0-py3-none-any.whl"])
    def test_are_noticed_in_every_file_that_counts(self, made, file):
        (made.root / file).write_text("# changed\n")
        assert made.run("lesson", "1").said
        assert made.installs == 2

    def test_in_an_activated_venv_too(self, made):
        made.require("todo==1.0\ntool==1.0")
        ran = made.run("lesson", "1", python=str(made.venv / "bin" / "python"))
        assert ran.said[3] == ["todo", "tool"]

    def test_that_cannot_be_met_leave_the_venv_as_it_was(self, made):
        before = made.stamp.read_text()
        made.require("todo==2.0")
        made.run("lesson", "1").failed_with(2, "todo==2.0", ".venv/course-install.log")
        assert made.stamp.read_text() == before


class TestThePackagesOfTheSiteAndTheTests:
    @pytest.mark.parametrize(
        ("command", "brought"),
        [
            ("docs", ["page"]),
            ("docs --update", ["page", "tool"]),
            ("test", ["page", "tool"]),
            ("bench", ["page", "tool"]),
        ],
    )
    def test_are_installed_for_the_commands_that_need_them(self, made, command, brought):
        assert made.run(*command.split()).said[3] == ["todo", *brought]
        assert made.installs == 2
        assert made.run(*command.split()).err == made.run("lesson", "1").err == ""
        assert made.installs == 2

    def test_those_of_the_site_are_among_those_of_the_tests(self, made):
        assert made.run("docs").said
        assert made.run("test").said[3] == ["todo", "page", "tool"]
        assert made.run("docs").err == made.run("test").err == ""
        assert made.installs == 3

    def test_matter_to_no_other_command(self, made):
        assert made.run("test").said
        made.require("-r ../docs/requirements.txt", of="tests/requirements.txt")
        assert made.run("lesson", "1").err == made.run("docs").err == ""
        assert made.run("test").err != ""


def dangle(copy: Copy) -> Copy:
    """Upgrade Python, so that the one .venv was made with is gone."""
    for link in (copy.venv / "bin").glob("python*"):
        link.unlink()
        link.symlink_to("/nowhere/python")
    return copy


def lose_the_config(copy: Copy) -> Copy:
    (copy.venv / "pyvenv.cfg").unlink()
    return copy


def leave_half_made(copy: Copy) -> Copy:
    copy.stamp.write_text("")
    return copy


def change_the_python_beneath(copy: Copy) -> Copy:
    lines = copy.stamp.read_text().splitlines()
    copy.stamp.write_text("\n".join([lines[0], "3.1", *lines[2:]]))
    return copy


def move_the_folder(copy: Copy) -> Copy:
    root = copy.root.with_name("elsewhere 别处")
    copy.root.rename(root)
    return Copy(root, copy.bin, copy.env)


def copy_the_folder(copy: Copy) -> Copy:
    root = copy.root.with_name("another 别处")
    shutil.copytree(copy.root, root, symlinks=True)
    return Copy(root, copy.bin, copy.env)


class TestABrokenVenv:
    @pytest.mark.parametrize(
        ("harm", "words"),
        [
            (dangle, "is broken"),
            (lose_the_config, "is broken"),
            (leave_half_made, "was left half made"),
            (change_the_python_beneath, "was made for another Python"),
            (move_the_folder, "was made for another folder"),
            (copy_the_folder, "was made for another folder"),
        ],
    )
    def test_is_made_anew(self, made, harm, words):
        (made.venv / "mine").touch()
        harmed = harm(made)
        ran = harmed.run("lesson", "1")
        assert ran.said[1:] == [str(harmed.venv), 1, ["todo"]]
        assert ran.err.startswith(f"The .venv here {words}: {ANEW}.\nInstalling ")
        assert not (harmed.venv / "mine").exists()
        assert harmed.run("lesson", "1").err == ""

    @pytest.mark.parametrize(("sent", "code"), [(signal.SIGINT, 130), (signal.SIGKILL, -9)])
    def test_is_what_an_interrupted_install_leaves(self, copy, sent, code):
        copy.put_uv_on_path(
            first=f'[ "$1" = venv ] || {{ touch "{copy.bin}/busy"; exec sleep 60; }}'
        )
        process = copy.start("lesson", "1")
        wait_for(copy.bin / "busy")
        os.killpg(process.pid, sent)
        out, err = process.communicate(timeout=30)
        assert process.returncode == code
        if sent == signal.SIGINT:
            Ran(code, out, err).failed_with(130, "Stopped.", "Run the same command again")
        copy.put_uv_on_path()
        ran = copy.run("lesson", "1")
        assert ran.said[3] == ["todo"]
        assert "was left half made" in ran.err

    def test_is_no_link_to_that_of_another_copy_of_the_course(self, made):
        (made.venv / "mine").touch()
        root = made.root.with_name("another 别处")
        shutil.copytree(made.root, root, ignore=shutil.ignore_patterns(".venv"))
        (root / ".venv").symlink_to(made.venv)
        another = Copy(root, made.bin, made.env)
        ran = another.run("lesson", "1")
        assert ran.said[1:] == [str(another.venv), 1, ["todo"]]
        assert ran.err.startswith(f"The .venv here leads to that of {made.root}, which keeps it: ")
        assert (made.venv / "mine").exists()
        assert made.run("lesson", "1").err == ""


class TestAVenvOfSomeoneElses:
    @pytest.fixture
    def foreign(self, copy) -> Copy:
        copy.put_uv_on_path()
        subprocess.run([PYTHON, "-m", "venv", "--without-pip", copy.venv], check=True)
        (copy.venv / "mine").touch()
        return copy

    def test_is_used_and_kept_where_it_works(self, foreign):
        assert foreign.run("lesson", "1").said[3] == ["todo"]
        assert (foreign.venv / "mine").exists()

    def test_is_kept_when_the_install_fails_or_is_interrupted(self, foreign):
        foreign.require("todo==2.0")
        foreign.run("lesson", "1").failed_with(2, "todo==2.0")
        assert not foreign.stamp.exists()
        foreign.require("todo==1.0")
        assert ANEW not in foreign.run("lesson", "1").err
        assert (foreign.venv / "mine").exists()

    def test_is_made_anew_where_it_is_broken(self, foreign):
        ran = dangle(foreign).run("lesson", "1")
        assert ran.said[3] == ["todo"]
        assert "The .venv here is broken" in ran.err

    def test_is_refused_where_its_python_is_too_old(self, foreign):
        fake = foreign.venv / "bin" / "python"
        fake.unlink()
        fake.write_text("#!/bin/sh\nprintf 3.9\n")
        fake.chmod(0o755)
        foreign.run("lesson", "1").failed_with(2, "Python 3.9", "3.11 or newer")
        assert (foreign.venv / "mine").exists()

    def test_is_refused_where_it_is_no_venv(self, copy):
        copy.venv.mkdir()
        (copy.venv / "mine").touch()
        copy.run("lesson", "1").failed_with(2, "no virtual environment", "Move it away")
        assert (copy.venv / "mine").exists()


class TestTwoAtOnce:
    def test_one_installs_and_the_other_waits(self, copy):
        busy, go_on = copy.bin / "busy", copy.bin / "go_on"
        copy.put_uv_on_path(first=f'touch "{busy}"; while [ ! -e "{go_on}" ]; do sleep 0.05; done')
        first = copy.start("lesson", "1")
        wait_for(busy)
        second = copy.start("lesson", "2")
        assert "waiting for it" in second.stderr.readline()
        go_on.touch()
        for process in (first, second):
            out, err = process.communicate(timeout=60)
            assert Ran(process.returncode, out, err).said[3] == ["todo"]
        assert copy.installs == 1


class TestWhenItCannotBeDone:
    @pytest.mark.parametrize("tool", ["uv", "pip"])
    def test_no_network_is_said_and_the_next_run_goes_on(self, copy, tool):
        if tool == "uv":
            copy.put_uv_on_path()
        # What `user = true` in pip's own settings comes to, which would make it refuse a venv.
        copy.env["PIP_USER"] = "1"
        nowhere = "http://127.0.0.1:9/simple"
        names = ("PIP_INDEX_URL", "UV_INDEX_URL", "UV_DEFAULT_INDEX")
        copy.env |= dict.fromkeys(names, nowhere) | {"PIP_CONFIG_FILE": os.devnull}
        (copy.root / "requirements.txt").write_text("todo==1.0\n")
        begun = time.monotonic()
        copy.run("lesson", "1").failed_with(2, "no connection to the package index")
        assert time.monotonic() - begun < 20
        assert (copy.venv / "course-install.log").stat().st_size > 0
        copy.require("todo==1.0")
        ran = copy.run("lesson", "1")
        assert ran.said[3] == ["todo"]
        assert ANEW not in ran.err
        assert ("uv = " in (copy.venv / "pyvenv.cfg").read_text()) == (tool == "uv")

    def test_a_file_that_is_missing_is_named(self, copy):
        (copy.root / "constraints.txt").unlink()
        copy.put_uv_on_path()
        subprocess.run([PYTHON, "-m", "venv", "--without-pip", copy.venv], check=True)
        copy.run("lesson", "1").failed_with(2, "No such file or directory", "constraints.txt")

    def test_a_venv_that_does_not_work_as_one_is_not_entered_for_ever(self, made):
        python = made.venv / "bin" / "python"
        python.unlink()
        python.write_text(f'#!/bin/sh\nexec "{PYTHON}" "$@"\n')
        python.chmod(0o755)
        made.run("lesson", "1").failed_with(2, "Delete .venv")

    @pytest.mark.parametrize(
        ("log", "words"),
        [
            (
                "The virtual environment was not created successfully because ensurepip is not\n"
                "available.  On Debian/Ubuntu systems, you need to install the python3-venv\n",
                f"sudo apt install python{bootstrap.VERSION}-venv",
            ),
            ("/usr/bin/python3: No module named venv\n", "venv module is missing"),
            (
                "ERROR: Could not install packages due to an OSError: [Errno 28] "
                "No space left on device\n",
                "the disk is full",
            ),
            (
                "WARNING: Retrying (Retry(total=0)) after connection broken by 'SSLError(1, "
                "'[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed')'\n",
                "certificate is not trusted",
            ),
            (
                "Collecting nope==1\nERROR: No matching distribution found for nope==1\n\n"
                "[notice] A new release of pip is available\n",
                "could not be installed: No matching distribution found for nope==1 (",
            ),
            ("something else\nand its end\n", "could not be installed: and its end ("),
            ("\n", "could not be installed: no reason given ("),
        ],
    )
    def test_an_installers_words_become_a_sentence(self, log, words):
        said = bootstrap.explain(log)
        assert words in said
        assert "\n" not in said
        assert os.path.join(".venv", "course-install.log") in said


class TestAPythonThatIsTooOld:
    @pytest.fixture
    def old(self, monkeypatch, tmp_path):
        monkeypatch.setattr(sys, "version_info", (3, 8, 18, "final", 0))
        monkeypatch.setattr(sys, "executable", "/usr/bin/python3")
        monkeypatch.setattr(sys, "argv", ["course", "lesson", "1", "--port", "8000"])
        monkeypatch.setattr(front_door, "VENV", str(tmp_path))
        return tmp_path

    @pytest.mark.parametrize(
        ("make", "command"),
        [
            (False, "python3.12 -m course lesson 1 --port 8000"),
            (True, "make lesson-1 PYTHON=python3.12"),
        ],
    )
    def test_is_told_which_one_it_takes(self, old, monkeypatch, capsys, make, command):
        if make:
            monkeypatch.setenv("MAKELEVEL", "1")
        with pytest.raises(SystemExit, match="2"):
            front_door.main()
        assert capsys.readouterr().err == (
            "This course needs Python 3.11 or newer, and `python3` is 3.8.18. "
            f"Install a newer one, or name it: {command}\n"
        )

    def test_gives_way_to_a_venv_that_is_there(self, old, monkeypatch):
        class Replaced(Exception):
            pass

        def execv(path, command):
            raise Replaced(path, command)

        monkeypatch.setattr(os, "execv", execv)
        python = old / "bin" / "python"
        python.parent.mkdir()
        python.write_text("")
        python.chmod(0o755)
        with pytest.raises(Replaced) as replaced:
            front_door.main()
        command = [str(python), "-m", "course", "lesson", "1", "--port", "8000"]
        assert replaced.value.args == (str(python), command)

    @pytest.mark.parametrize("name", ["__init__.py", "__main__.py"])
    def test_can_read_what_comes_before_the_sentence(self, name):
        source = (ROOT / "course" / name).read_text("utf-8")
        assert source.isascii(), "Python 2 asks for a declaration before anything else"
        tree = ast.parse(source, feature_version=(3, 7))
        new = (ast.JoinedStr, ast.NamedExpr, ast.AnnAssign, ast.Nonlocal, ast.AsyncFunctionDef)
        assert not [node for node in ast.walk(tree) if isinstance(node, new)]
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef):
                assert not node.returns
                assert not any(argument.annotation for argument in node.args.args)

    def test_says_it_for_real(self, copy):
        names = ["python2.7", *(f"python3.{minor}" for minor in range(6, 11))]
        on_path = [found for name in names if (found := shutil.which(name))]
        pyenv = Path.home() / ".pyenv" / "versions"
        in_pyenv = [
            str(p) for v in ("2.7", "3.6", "3.8", "3.10") for p in pyenv.glob(f"{v}.*/bin/python")
        ]
        tried = [python for python in on_path + in_pyenv if works(python)]
        if not tried:
            pytest.skip("no Python older than 3.11 here; the tests above stand for it")
        for python in tried:
            copy.run("lesson", "1", python=python).failed_with(2, "needs Python 3.11 or newer")
            assert not copy.venv.exists()


def works(python: str) -> bool:
    """Tell whether `python` is more than a name that a version manager has put on the PATH."""
    return subprocess.run([python, "-c", ""], capture_output=True).returncode == 0


class TestMake:
    """The Makefile with a Python that prints what it is asked to run."""

    @pytest.fixture
    def make(self, copy):
        shutil.copy(ROOT / "Makefile", copy.root)
        python = copy.root / "python"
        python.write_text('#!/bin/sh\nshift 2\nprintf "[%s]" "$@"\n')
        python.chmod(0o755)

        def make(*arguments: str) -> subprocess.CompletedProcess:
            return subprocess.run(
                ["make", *arguments], cwd=copy.root, env=copy.env, capture_output=True, text=True
            )

        return make

    @pytest.mark.parametrize(
        ("target", "command"),
        [
            ("lesson-1", "[lesson][1]"),
            ("lesson-1 PORT=8000", "[lesson][1][--port][8000]"),
            ("lesson-x", "[lesson][x]"),
            ("solution-2 PORT=8000", "[solution][2][--port][8000]"),
            ("lesson-1 PORT=8'0", "[lesson][1][--port][8'0]"),
            ("watch-1", "[watch][1]"),
            ("watch-1 SERVE=1 PORT=8000", "[watch][1][--serve][--port][8000]"),
            ("check", "[check]"),
            ("check-3", "[check][3]"),
            ("hint-3", "[hint][3]"),
            ("diff-3", "[diff][3]"),
            ("diff-3 IN=O'Brien,3 STAT=1", "[diff][3][--in][O'Brien,3][--stat]"),
            ("step-3 STAT=1", "[step][3][--stat]"),
            ("step-3 STAT=0", "[step][3]"),
            ("reset-3", "[reset][3]"),
            ("progress", "[progress]"),
            ("test", "[test]"),
            ("bench", "[bench]"),
        ],
    )
    def test_a_target_is_a_command_even_where_a_file_has_its_name(
        self, make, copy, target, command
    ):
        (copy.root / target.split()[0]).mkdir(exist_ok=True)
        ran = make("PYTHON=./python", *target.split())
        assert (ran.stdout, ran.stderr) == (command, "")

    @pytest.mark.parametrize(
        "said",
        [
            "lesson-1 PROT=8000",
            "grade SUBMISSIONS=x RULE=y",
            "check-1 port=8000",
            "check-1 PORT=8000",
            "reset-4 FROM=3",
            "docs PORT=9000",
        ],
    )
    def test_a_variable_that_no_command_takes_stops_it(self, make, said):
        ran = make("PYTHON=./python", *said.split())
        name = said.split()[-1].partition("=")[0]
        assert (ran.returncode, ran.stdout) == (2, "")
        assert f"There is no {name}= here: make alone lists what each command takes." in ran.stderr

    def test_it_knows_every_variable_that_a_command_takes(self):
        text = (ROOT / "Makefile").read_text("utf-8")
        used = dict(re.findall(r"^([a-z]+) = \$\(if .*?\b([A-Z]+)\)", text, re.MULTILINE))
        known = dict(re.findall(r"^takes\.(\S+) = (.*)$", text, re.MULTILINE))
        for target, recipe in re.findall(r"^([a-z][a-z%-]*):.*\n\t(.*)$", text, re.MULTILINE):
            takes = {name for short, name in used.items() if f"$({short})" in recipe}
            assert set(known.pop(target.removesuffix("-%"), "").split()) == takes, target
        assert not known

    def test_alone_it_lists_every_target_and_needs_no_python(self, make):
        listed = re.findall(r"^  make (\S+) +\S", make("PYTHON=no-python").stdout, re.MULTILINE)
        text = (ROOT / "Makefile").read_text("utf-8")
        targets = re.findall(r"^([a-z][a-z%-]*):", text, re.MULTILINE)
        assert len(targets) > 10
        assert listed == [target.replace("%", "N") for target in targets]

    def test_without_python_it_says_so(self, make):
        ran = make("lesson-1", "PYTHON=no-python")
        said, makes_own = ran.stderr.splitlines()
        assert "there is no no-python here" in said
        assert "make lesson-1 PYTHON=" in said
        assert makes_own.startswith("make: ***")


class TestWhatIsInstalled:
    @pytest.mark.parametrize(
        ("file", "least"),
        [("requirements.txt", 12), ("docs/requirements.txt", 1), ("tests/requirements.txt", 4)],
    )
    def test_every_requirement_is_an_exact_pin_with_a_comment(self, file, least):
        lines = [line for line in lines_of(file) if not line.startswith("-")]
        assert len(lines) >= least
        pin = r"[a-z0-9-]+(\[[a-z]+\])?==[\d.]+  # \S.*"
        assert [line for line in lines if not re.fullmatch(pin, line)] == []

    def test_every_constraint_is_an_exact_pin(self):
        lines = lines_of("constraints.txt")
        assert len(lines) > 20
        assert [
            line for line in lines if not re.fullmatch(r"[a-z0-9-]+==[\w.]+( ; .+)?", line)
        ] == []

    def test_nothing_is_pinned_twice(self):
        names = [pin.name for pin in pins()]
        assert len(names) == len(set(names))

    def test_all_that_comes_with_the_requirements_is_pinned_and_nothing_else(self):
        pinned = {pin.name: str(pin.specifier) for pin in pins() if applies(pin)}
        asked = pins(*REQUIREMENTS)
        assert {name: f"=={version}" for name, version in installed(asked)} == pinned

    def test_the_vendored_wheel_is_the_one_that_its_page_describes(self):
        (wheel,) = (ROOT / "vendor").glob("*.whl")
        page = (ROOT / "vendor" / "README.md").read_text("utf-8")
        (row,) = (line for line in page.splitlines() if line.startswith("| the wheel"))
        assert wheel.name in row
        assert re.findall(r"[0-9a-f]{64}", row) == [hashlib.sha256(wheel.read_bytes()).hexdigest()]

    def test_the_vendored_wheel_is_pinned_and_has_its_licence(self):
        (path,) = (ROOT / "vendor").glob("*.whl")
        assert "flask-script==2.0.6" in [str(pin) for pin in pins("requirements.txt")]
        with zipfile.ZipFile(path) as wheel:
            licence = wheel.read("flask_script-2.0.6.dist-info/licenses/LICENSE").decode()
        assert "Redistribution and use in source and binary forms" in licence


def lines_of(file: str) -> list[str]:
    """Return the lines of `file` that say something to an installer."""
    lines = (ROOT / file).read_text("utf-8").splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def pins(*files: str) -> list[Requirement]:
    """Return what `files`, or else all files, pin."""
    files = files or (*REQUIREMENTS, "constraints.txt")
    lines = [line for file in files for line in lines_of(file) if not line.startswith("-")]
    return [Requirement(line.split("  #")[0]) for line in lines]


def applies(requirement: Requirement, extra: str = "") -> bool:
    return requirement.marker is None or requirement.marker.evaluate({"extra": extra})


def installed(asked: list[Requirement]) -> Iterator[tuple[str, str]]:
    """Yield name and version of the packages `asked` for here, and of all that they bring in."""
    waiting, seen = list(asked), set()
    while waiting:
        requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        if name not in seen:
            seen.add(name)
            distribution = importlib.metadata.distribution(name)
            yield name, distribution.version
            brought = [Requirement(line) for line in distribution.requires or ()]
            extras = ("", *requirement.extras)
            waiting += [each for each in brought if any(applies(each, extra) for extra in extras)]
