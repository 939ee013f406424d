"""See that .venv holds the course's packages, and go on in its Python.

Every command passes through here, twice. So where .venv is complete, this reads a few small files
and starts nothing, and what is slow to import is imported where it is used.
"""

from __future__ import annotations

import hashlib
import os
import sys
from io import BufferedRandom

from course.errors import CourseError

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
VENV = os.path.join(ROOT, ".venv")
PYTHON = os.path.join(VENV, "bin", "python")
STAMP = os.path.join(VENV, "course.stamp")
LOG = os.path.join(VENV, "course-install.log")

VERSION = "{}.{}".format(*sys.version_info)
# The Python beneath a venv: the venv's own goes away when the venv is made anew.
BASE = getattr(sys, "_base_executable", None) or sys.executable

AGAIN = "and run the same command again."

# Beside the course's own packages, those of docs/requirements.txt and of tests/requirements.txt:
# each of these sets holds the one before it.
SETS = ("", "docs", "tests")
NEEDED = {"docs": "docs", "test": "tests", "bench": "tests"}
WHAT = {"": "the course's packages", "docs": "what the site needs", "tests": "what the tests need"}
# What an installer's words mean, the most telling first.
MEANINGS = (
    (
        r"ensurepip\s+is\s+not\s+available|No module named '?(venv|ensurepip)\b",
        "Python's venv module is missing. Install it "
        f"(on Debian and Ubuntu: sudo apt install python{VERSION}-venv) {AGAIN}",
    ),
    (
        r"No space left on device|Disk quota exceeded",
        f"The packages could not be installed: the disk is full. Make room {AGAIN}",
    ),
    (
        r"CERTIFICATE_VERIFY_FAILED|invalid peer certificate",
        "The packages could not be fetched: the package index's certificate is not trusted here. "
        f"Ask whoever looks after this network, {AGAIN}",
    ),
    (
        r"Retrying \(Retry|Max retries|ReadTimeout|error sending request|dns error",
        "The packages could not be fetched: no connection to the package index. "
        f"Check the network {AGAIN}",
    ),
)


def enter(arguments: list[str]) -> None:
    """Go on in .venv's Python with every package in place; return where that is so already."""
    sent = os.environ.pop("COURSE_VENV", None) == VENV
    try:
        changed = see_to_packages(needed(arguments))
        if not changed and inside() and os.environ.get("PYTHONUTF8") == "1":
            return
        if not changed and sent:
            raise CourseError(f"The Python in .venv runs outside it. Delete .venv {AGAIN}")
        go_on_in_venv(arguments)
    except CourseError as error:
        stop(str(error), 2)
    except OSError as error:
        words = f"{error.strerror or error}: {error.filename or VENV}"
        advice = "They need a folder that can be written to, on a disk with room for them."
        stop(f"The course's packages could not be installed ({words}). {advice}", 2)
    except KeyboardInterrupt:
        stop("Stopped. Run the same command again: it mends what is half done.", 130)


def say(words: str) -> None:
    """Tell the person, beside what the command itself prints."""
    print(words, file=sys.stderr, flush=True)


def stop(words: str, code: int) -> None:
    """End here, and say why."""
    say(words)
    sys.exit(code)


def go_on_in_venv(arguments: list[str]) -> None:
    """Run the same command in .venv's Python, in this one's place."""
    command = [PYTHON, "-m", "course", *arguments]
    os.execve(PYTHON, command, environment() | {"COURSE_VENV": VENV})


def needed(arguments: list[str]) -> str:
    """Return the set that a command needs. `docs --update` runs what pages show, tests too."""
    if arguments[:1] == ["docs"] and "--update" in arguments:
        return "tests"
    return NEEDED.get("".join(arguments[:1]), "")


def environment() -> dict[str, str]:
    """Return the environment of what runs in .venv: UTF-8, and no other Python's home."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONHOME"}
    return kept | {"PYTHONUTF8": "1"}


def see_to_packages(of: str) -> bool:
    """Complete .venv where it is not, with the set `of`; tell whether that was needed."""
    if complete(of):
        return False
    with locked():
        # Whoever had the lock before may have done it.
        if not complete(of):
            mend(of)
    return True


def locked() -> BufferedRandom:
    """Return a file that is locked while it is open, where the system can lock one."""
    import fcntl

    # One that is always there, and open to write because a lock on NFS asks for that.
    file = open(requirements(), "r+b")  # noqa: SIM115
    # An installer that outlives this command goes on holding the lock.
    os.set_inheritable(file.fileno(), True)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        say("Another command is installing the course's packages: waiting for it…")
        fcntl.flock(file, fcntl.LOCK_EX)
    except OSError:
        pass
    return file


def complete(of: str) -> bool:
    """Tell whether .venv is sound and holds what is asked for, as far as files show."""
    return fault() is None and digest(of) in (read_stamp() or [])


def fault() -> str | None:
    """Say why .venv must be made anew; None where it need not be, as far as files show."""
    stamp = read_stamp()
    if stamp is not None and len(stamp) < 2:
        return "was left half made"
    if not (os.access(PYTHON, os.X_OK) and os.path.isfile(os.path.join(VENV, "pyvenv.cfg"))):
        return "is broken"
    if stamp and not same(stamp[0], ROOT):
        return "was made for another folder"
    if stamp and inside() and stamp[1] != VERSION:
        return "was made for another Python"
    return None


def inside() -> bool:
    """Tell whether this Python is .venv's."""
    return same(sys.prefix, VENV)


def same(one: str, other: str) -> bool:
    """Tell whether two paths lead to one folder, however they are written."""
    try:
        return os.path.samefile(one, other)
    except OSError:
        return False


def read_stamp() -> list[str] | None:
    """Return what .venv is for: its folder, its Python, and a digest for each set of packages.

    Empty while .venv is being changed; None where the course has no part in it.
    """
    try:
        with open(STAMP, encoding="utf-8", errors="surrogateescape") as file:
            return file.read().splitlines()
    except (FileNotFoundError, NotADirectoryError):
        return None


def write_stamp(*lines: str) -> None:
    """Write what `read_stamp` returns."""
    with open(STAMP, "w", encoding="utf-8", errors="surrogateescape") as file:
        file.write("\n".join(lines))


def requirements(of: str = "") -> str:
    """Return the file that names the packages of a set."""
    return os.path.join(ROOT, of, "requirements.txt")


def up_to(of: str) -> tuple[str, ...]:
    """Return a set and those that it holds."""
    return SETS[: SETS.index(of) + 1]


def digest(of: str) -> str:
    """Return a text that is another one once the packages are others."""
    files = [*map(requirements, up_to(of)), os.path.join(ROOT, "constraints.txt")]
    with os.scandir(os.path.join(ROOT, "vendor")) as vendor:
        files += sorted(entry.path for entry in vendor if entry.name.endswith(".whl"))
    found = hashlib.sha256()
    for path in files:
        with open(path, "rb") as file:
            found.update(hashlib.sha256(file.read()).digest())
    return found.hexdigest()


def mend(of: str) -> None:
    """Make .venv where there is none that works, and install into it."""
    version = version_of_venv()
    wrong = fault() or ("" if version else "is broken")
    if wrong and os.path.lexists(VENV):
        clear(wrong)
    if not wrong and tuple(map(int, version.split("."))) < (3, 11):
        raise CourseError(
            f"The .venv here has Python {version}, and the course needs 3.11 or newer. "
            f"Move it away {AGAIN}"
        )
    say(f"Installing {WHAT[of]} into .venv: once, about half a minute…")
    if wrong:
        create()
    install(of)


def version_of_venv() -> str:
    """Return the version of .venv's Python, such as 3.11; nothing where it does not run."""
    return ask("import sys; print('{}.{}'.format(*sys.version_info), end='')")


def ask(code: str) -> str:
    """Return what .venv's Python prints for `code`; nothing where that fails."""
    import subprocess

    try:
        return subprocess.run([PYTHON, "-I", "-c", code], capture_output=True, text=True).stdout
    except OSError:
        return ""


def clear(wrong: str) -> None:
    """Empty a .venv that is of no use, unless it may be something else."""
    import shutil

    stamp = read_stamp()
    if stamp and os.path.islink(VENV) and same(os.path.join(stamp[0], ".venv"), VENV):
        say(f"The .venv here leads to that of {stamp[0]}, which keeps it: making one.")
        os.remove(VENV)
        return
    is_venv = stamp is not None or os.path.isfile(os.path.join(VENV, "pyvenv.cfg"))
    entries = list(os.scandir(VENV)) if os.path.isdir(VENV) else None
    if entries is None or (entries and not is_venv):
        raise CourseError(
            f"There is a .venv here that is no virtual environment. Move it away {AGAIN}"
        )
    if entries:
        say(f"The .venv here {wrong}: making it anew.")
    # Its contents alone: .venv may be a link, or a disk of its own. Not the stamp, which says whose
    # it is should this be interrupted.
    write_stamp()
    for entry in entries:
        delete = shutil.rmtree if entry.is_dir(follow_symlinks=False) else os.remove
        if entry.path != STAMP:
            delete(entry.path)


def create() -> None:
    """Make a .venv without packages, the course's own from its first moment."""
    os.makedirs(VENV, exist_ok=True)
    write_stamp()
    if uv := uv_on_path():
        run(uv, "venv", "--allow-existing", "--python", BASE, VENV)
    else:
        run(BASE, "-m", "venv", os.path.realpath(VENV))  # It refuses a link.
    write_stamp(ROOT, version_of_venv())


def install(of: str) -> None:
    """Install a set into .venv, with a stamp that says so from the end on and not before."""
    version, stamp = version_of_venv(), read_stamp()
    # What the course did not make is not marked as half made, lest it be deleted for that.
    if stamp is not None:
        write_stamp()
    command = installer()
    packages = os.path.join(VENV, "lib", f"python{version}", "site-packages")
    before = os.stat(packages).st_mtime_ns
    try:
        run(*command, "-r", requirements(of))
    except CourseError:
        # It has mostly failed before it changed anything: then all is as it was.
        if stamp is not None and os.stat(packages).st_mtime_ns == before:
            write_stamp(*stamp)
        raise
    write_stamp(ROOT, version, *map(digest, up_to(of)))


def uv_on_path() -> str | None:
    """Return the path of uv, where it is installed."""
    import shutil

    return shutil.which("uv")


def installer() -> list[str]:
    """Return the command that installs into .venv: uv where there is one, else pip."""
    if uv := uv_on_path():
        return [uv, "pip", "install", "--python", PYTHON]
    if not ask("import pip; print(pip)"):
        run(PYTHON, "-m", "ensurepip")  # uv made this .venv, and uv is gone.
    return [PYTHON, "-m", "pip", "install", "--no-input"]


def run(*command: str) -> None:
    """Run `command` with its words in the log; raise `CourseError` where it fails."""
    import subprocess

    # Few retries, or no network would be a long silence; and pip set to --user refuses a venv.
    env = {"PIP_RETRIES": "1", "UV_HTTP_RETRIES": "1"} | environment() | {"PIP_USER": "0"}
    with open(LOG, "wb") as log:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=env,
            close_fds=False,
        )
    if done.returncode:
        with open(LOG, encoding="utf-8", errors="replace") as log:
            raise CourseError(explain(log.read()))


def explain(log: str) -> str:
    """Return in a sentence why an installer failed, from its words."""
    import re
    import shutil

    if not log and shutil.disk_usage(VENV).free < 10_000_000:
        log = "No space left on device"  # Not even for these words.
    where = f"(The installer's own words are in {os.path.relpath(LOG, ROOT)}.)"
    for pattern, meaning in MEANINGS:
        if re.search(pattern, log):
            return f"{meaning} {where}"
    lines = [line.strip() for line in log.splitlines() if line.strip()] or ["no reason given"]
    errors = [line for line in lines if re.match(r"\W*(error|cause)", line, re.IGNORECASE)]
    words = re.sub(r"^\W*(error|cause)\w*:\s*", "", (errors or lines)[-1], flags=re.IGNORECASE)
    return f"The packages could not be installed: {words} {where}"
