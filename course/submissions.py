"""What students have handed in: one folder or archive each, of which nothing is to be trusted."""

from __future__ import annotations

import bz2
import contextlib
import gzip
import hashlib
import io
import lzma
import os
import stat
import struct
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import IO, Any

from course.catalog import Course, Lesson
from course.errors import CourseError
from course.files import NAME_LIMIT
from course.git import GitFailed, as_nobody, first, run
from course.snapshot import Snapshot, is_made, plain_line_ends, read_file, take
from course.verdicts import PROBE

SIZE_LIMIT = 64 * 1024 * 1024
"""Bytes that a submission may have in the folders of lessons."""

ARCHIVE_LIMIT = 256 * 1024 * 1024
"""Bytes of an archive, and of a tar unpacked: one of the whole course has its .venv too."""

ENTRIES_LIMIT = 20_000
"""How many files and folders it may have."""

_ENTRY_LIMIT = 512  # bytes of an entry in a zip's list; many have fewer than 100

_PATH_LIMIT = 400  # characters; Linux takes 4096, and the scratch folder's come first
_ENDS = (".zip", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".tar")
_ELSEWHERE = ("commondir", "objects/info/alternates", "worktrees")
"""What in a repository names others."""

_EXACTLY = "--upload-pack=git upload-pack --strict"
"""For git to read the repository that it is told, and none in it or beside it, as ADDRESS.git."""

_AS_THEY_ARE = "* !export-ignore !export-subst !text !eol !ident !filter !working-tree-encoding\n"
"""For git to leave out no file of a repository and to change none, whatever .gitattributes says."""

_STREAMS: dict[bytes, Any] = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7z": lzma.open}
_DAMAGED = (
    zipfile.BadZipFile, zlib.error, lzma.LZMAError, tarfile.TarError,
    struct.error, OverflowError, ValueError,  # numbers in it that nothing can have
)  # fmt: skip
_OTHERS = {
    b"PK": "damaged zip",
    b"Rar!": "rar archive, which is not opened",
    b"7z\xbc\xaf": "7z archive, which is not opened",
}
_OURS = ("checks", "course", "lessons", "solutions", "tests")
"""Folders of the course, which someone may hand in with the whole of it: none has their work."""

_LITTER = frozenset({"desktop.ini", "thumbs.db", "__macosx"})
"""What systems leave in folders, as well as names that begin with a dot, or, of Office, with ~$."""

_HOOKS = frozenset({"sitecustomize.py", "usercustomize.py", PROBE})
"""Files that Python, or a check, would run by their names: no lesson has them."""


_TOO_MANY = f"It has more than {ENTRIES_LIMIT} files and folders."
_ONE_EACH = "Name the folder that holds a folder or an archive for each student."


class Unreadable(CourseError):
    """A submission of which nothing can be graded."""


@dataclass(frozen=True)
class Submission:
    """One entry of the folder with the submissions."""

    name: str
    path: Path


@dataclass
class Work:
    """What a submission holds of each lesson, and what in it has no business to be there."""

    copies: dict[int, Snapshot] = field(default_factory=dict)
    tampered: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    places: dict[int, list[str]] = field(default_factory=dict)
    """Where in it each lesson is, the one that counts first."""

    @property
    def digest(self) -> str:
        """A name for all this: two have the same one if they are the same."""
        copies = [f"{number} {copy.digest}" for number, copy in sorted(self.copies.items())]
        text = "\0".join([*copies, *self.tampered, *self.left_out])
        return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


def find(folder: Path, course: Course) -> tuple[Submission, ...]:
    """Return the submissions in `folder`, by name: each folder or file in it is one.

    Raises `CourseError` where there is no such folder, nothing in it, or one student's work.
    """
    try:
        paths = sorted(path for path in folder.iterdir() if not _is_litter(path.name))
    except NotADirectoryError:
        raise CourseError(f"{folder} is no folder. {_ONE_EACH}") from None
    except OSError as error:
        raise CourseError(f"{folder} cannot be read: {error.strerror}.") from error
    lessons = {lesson.folder for lesson in course.lessons}
    if any(path.name in {"work", *lessons} for path in paths):
        raise CourseError(f"{folder} is the work of one student. {_ONE_EACH}")
    if not paths:
        raise CourseError(f"There is no submission in {folder}. {_ONE_EACH}")
    found: dict[str, Submission] = {}
    for path in paths:
        name = path.name if path.is_dir() else without_end(path.name)
        name = path.name if name in found else name  # ada/ and ada.zip
        found[name] = Submission(name, _unwrapped(path))
    return tuple(found.values())


def _unwrapped(path: Path) -> Path:
    """Return the archive that is all that a folder holds, as learning platforms wrap them."""
    inside: list[str] = []
    if path.is_symlink():  # which is none's work, whatever it leads to
        return path
    with contextlib.suppress(OSError):  # no folder, or none that can be read
        inside = [name for name in os.listdir(path) if not _is_litter(name)]
    alone = len(inside) == 1 and inside[0].lower().endswith(_ENDS)
    return path / inside[0] if alone and (path / inside[0]).is_file() else path


def _is_litter(name: str) -> bool:
    return name.startswith((".", "~$")) or name.lower() in _LITTER


def read(submission: Submission, course: Course) -> Work:
    """Read the lessons that a submission holds; raise `Unreadable` where it holds none."""
    path = submission.path
    try:
        if path.is_symlink():
            raise Unreadable("It is a link.")
        if path.is_dir():
            with _folder(path) as files:
                return _work(files, course)
        with _archive(path) as files:
            return _work(files, course)
    except GitFailed:  # its words name folders of ours, which are others each time
        raise Unreadable("It is a repository that git cannot read. Ask for a zip.") from None
    except tarfile.ReadError:
        raise Unreadable(_no_archive(path)) from None
    except OSError as error:
        raise Unreadable(f"It cannot be read: {error.strerror or error}.") from error
    except (EOFError, RuntimeError, NotImplementedError, MemoryError) as error:
        raise Unreadable(f"It cannot be read: {error}.") from error
    except _DAMAGED as error:
        raise Unreadable(f"The archive is damaged: {error}.") from error


def copy_in(path: Path, lesson: Lesson, course: Course) -> Snapshot:
    """Return the copy of a lesson in the folder `path`, or in the submission that `path` is.

    Raises `CourseError` where there is none.
    """
    starter = take(lesson.starter)
    if not path.exists() or any((path / name).exists() for name in starter.files):
        return take(path)
    try:
        work = read(Submission(path.name, path), course)
    except CourseError as error:
        raise CourseError(f"{path}: {error}") from error
    if lesson.number not in work.copies:
        raise CourseError(f"{path} holds no {lesson.folder}.")
    if len(places := work.places[lesson.number]) > 1:
        shown = ", ".join(map(_shown, places[:3]))
        raise CourseError(f"{path} holds more than one {lesson.folder}, such as {shown}: name one.")
    return work.copies[lesson.number]


def _no_archive(path: Path) -> str:
    """Say what something is of which no tar can be read."""
    if path.is_dir():  # a repository, of whose last commit git has made a tar without a file
        return "It is empty."
    start = read_file(path, 8)
    for begins, kind in _OTHERS.items():
        if start.startswith(begins):
            return f"It is a {kind}. Ask for a zip."
    if path.is_file() and not path.stat().st_size:
        return "It is an empty file."
    return "It is neither a folder nor a zip or tar archive. Ask for a zip."


@dataclass
class _Files:
    """The files of a submission, and how to read one."""

    read: Callable[[str], bytes]
    paths: dict[str, str] = field(default_factory=dict)
    """What `read` takes for each of them, by a path that is relative and in its plain form."""
    left_out: list[str] = field(default_factory=list)
    _seen: int = 0

    def count(self) -> None:
        """Note that there is one entry more."""
        self._seen += 1
        if self._seen > ENTRIES_LIMIT:
            raise Unreadable(_TOO_MANY)

    def add(self, path: str, *, regular: bool = True) -> None:
        """Note an entry, unless it is none that a lesson can have."""
        self.count()
        written = path.replace("\\", "/")  # some programs on Windows write those
        # What follows a lesson's folder must be no absolute path, as in 00_request//etc/passwd.
        parts = [part for part in written.split("/") if part not in ("", ".")]
        name = "/".join(parts)
        if not parts or is_made(PurePosixPath(name)) or any(map(_is_a_systems, parts)):
            return
        if not regular:
            self.left_out.append(f"{_shown(name)} is a link or a special file.")
        elif written.startswith("/") or ".." in parts or ":" in name[:2]:
            self.left_out.append(f"{_shown(written)} leads outside.")
        elif not name.isprintable() or len(name) > _PATH_LIMIT or any(map(_is_no_name, parts)):
            self.left_out.append(f"{_shown(name)} is no name for a file of a lesson.")
        else:
            self.paths[name] = path


def _is_a_systems(part: str) -> bool:
    """Tell whether a system has put it there: macOS keeps what it knows of a file as `._` NAME."""
    return part.lower() in _LITTER or part.startswith("._")


def _is_no_name(part: str) -> bool:
    """Tell whether no file has such a name, or git, by which it is compared, refuses it.

    Some file systems take it for .git: they ignore case, dots and spaces at its end, or a `:` and
    what follows.
    """
    meant = part.lower().partition(":")[0].rstrip(". ")
    return meant in (".git", "git~1") or len(os.fsencode(part)) > NAME_LIMIT


def _shown(name: str) -> str:
    return ascii(name[:100])


def without_end(name: str) -> str:
    """Return the name of an archive without the ending that says of which kind it is."""
    return next((name[: -len(end)] for end in _ENDS if name.lower().endswith(end)), name)


def _refuse(error: OSError) -> None:
    """Raise `Unreadable` for a folder that cannot be read, and so may hold anything."""
    name = _shown(os.path.basename(error.filename))
    raise Unreadable(f"The folder {name} cannot be read: {error.strerror}.")


# Where the files are


@contextlib.contextmanager
def _folder(folder: Path) -> Iterator[_Files]:
    """Give the files of a folder; of a git repository without any, those of its last commit."""
    names = {entry.name for entry in os.scandir(folder)}
    if names == {".git"} or {"HEAD", "objects", "refs"} <= names:
        with _commit(folder / ".git" if names == {".git"} else folder) as files:
            yield files
        return
    files = _Files(lambda path: read_file(folder / path, SIZE_LIMIT))
    for parent, folders, here in os.walk(folder, onerror=_refuse):
        inside = Path(parent).relative_to(folder)
        for name in sorted(folders):
            if is_made(inside / name):
                folders.remove(name)
            elif Path(parent, name).is_symlink():
                files.add((inside / name).as_posix(), regular=False)
        for name in sorted(here):
            path = Path(parent, name)
            regular = path.is_file() and not path.is_symlink()
            files.add((inside / name).as_posix(), regular=regular)
    yield files


@contextlib.contextmanager
def _commit(repository: Path) -> Iterator[_Files]:
    """Give the files of a repository's HEAD. Its own settings and hooks have no say in it."""
    _refuse_another(repository)
    with tempfile.TemporaryDirectory() as scratch:
        trusted = Path(scratch, "gitconfig")  # git reads a stranger's repository only if told
        trusted.write_text("[safe]\n\tdirectory = *\n", "utf-8")
        env = as_nobody() | {"GIT_CONFIG_GLOBAL": str(trusted), "GIT_TERMINAL_PROMPT": "0"}
        clone = Path(scratch, "clone")
        words = ("clone", "-q", "--bare", "--no-local", "--depth=1", "--template=", _EXACTLY)
        run(*words, "--", repository.resolve().as_uri(), str(clone), cwd=Path(scratch), env=env)
        if not run("rev-parse", "--verify", "-q", "HEAD", cwd=clone, env=env, allowed=(0, 1)):
            raise Unreadable("The repository has no commit.")
        (clone / "info").mkdir(exist_ok=True)
        (clone / "info" / "attributes").write_text(_AS_THEY_ARE, "utf-8")
        # Of a clone without a worktree, that option means to look for no attributes in HEAD: for
        # them git reads all of it before it prints a byte, and a small tree can have any number.
        tar = ("archive", "--format=tar", "--worktree-attributes", "HEAD")
        archive = _bounded(lambda size: first(size, *tar, cwd=clone, env=env))
        with _tar(io.BytesIO(archive)) as files:
            yield files


def _refuse_another(repository: Path) -> None:
    """Raise `Unreadable` where git would read another repository too, such as a classmate's."""
    leads = next((name for name in _ELSEWHERE if os.path.lexists(repository / name)), "")
    is_none = repository.is_symlink() or not repository.is_dir()
    leads = repository.name if is_none else leads
    for parent, folders, names in () if is_none else os.walk(repository, onerror=_refuse):
        links = [name for name in folders if Path(parent, name).is_symlink()]
        links += [name for name in names if not stat.S_ISREG(Path(parent, name).lstat().st_mode)]
        leads = Path(parent, links[0]).relative_to(repository).as_posix() if links else leads
    if leads:
        raise Unreadable(f"The repository's {_shown(leads)} leads to another one.")


@contextlib.contextmanager
def _archive(path: Path) -> Iterator[_Files]:
    """Give the files of an archive. What is in it tells of which kind it is."""
    if path.stat().st_size > ARCHIVE_LIMIT:
        raise Unreadable(f"It has more than {ARCHIVE_LIMIT >> 20} MiB. Ask for work/ alone.")
    with io.BytesIO(read_file(path, ARCHIVE_LIMIT)) as file:
        if zipfile.is_zipfile(file):
            if _length_of_list(file) > ENTRIES_LIMIT * _ENTRY_LIMIT:
                raise Unreadable(_TOO_MANY)
            with _zip(file) as files:
                yield files
            return
        with _tar(_unpacked(file)) as files:
            yield files


def _length_of_list(file: io.BytesIO) -> int:
    """Return how many bytes a zip's list of entries has, which zipfile reads whole.

    The record that says it is the last of the file, before a comment (APPNOTE.TXT, 4.3.16). Of a
    large archive, another says it, which stands before one that tells where (4.3.14 and 4.3.15).
    """
    data = file.getbuffer()
    start = max(len(data) - (22 + (1 << 16)), 0)
    at = start + bytes(data[start:]).rfind(b"PK\5\6", 0, len(data) - start - 22 + 4)
    told = [_number(data[at + 12 : at + 16])]
    where = bytes(data[max(at - 20, 0) : at])
    if where.startswith(b"PK\6\7"):
        # Some Pythons go by what is told, others look before the record that tells.
        places = (_number(where[8:16]), max(at - 20 - 56, 0))
        records = [bytes(data[place : place + 56]) for place in places]
        large = [_number(each[40:48]) for each in records if each.startswith(b"PK\6\6")]
        told = large or told
    return max(told)


def _number(data: bytes | memoryview) -> int:
    return int.from_bytes(data, "little")


def _unpacked(file: io.BytesIO) -> io.BytesIO:
    for start, opener in _STREAMS.items():
        if file.getvalue().startswith(start):
            file.seek(0)
            with opener(file) as stream:
                return io.BytesIO(_bounded(stream.read, ARCHIVE_LIMIT))
    return file


@contextlib.contextmanager
def _zip(file: IO[bytes]) -> Iterator[_Files]:
    with zipfile.ZipFile(file) as archive:

        def read_one(path: str) -> bytes:
            with archive.open(path) as opened:
                return _bounded(opened.read)

        files = _Files(read_one)
        for info in archive.infolist():
            kind = info.external_attr >> 28  # of a Unix file's mode; 0 where none is told
            if info.filename.endswith(("/", "\\")):  # some programs on Windows write those
                files.count()
            else:
                files.add(info.filename, regular=kind in (0, 8))
        yield files


@contextlib.contextmanager
def _tar(file: IO[bytes]) -> Iterator[_Files]:
    file.seek(0)
    with tarfile.open(fileobj=file, mode="r:") as archive:

        def read_one(path: str) -> bytes:
            opened = archive.extractfile(members[path])
            return _bounded(opened.read) if opened else b""

        files = _Files(read_one)
        members = {}
        for member in archive:
            if member.isdir():
                files.count()
            else:
                files.add(member.name, regular=member.isreg())
            if member.isreg():  # it may be there again, as a link to nothing
                members[member.name] = member
        yield files


def _bounded(read: Callable[[int], bytes], limit: int = SIZE_LIMIT) -> bytes:
    """Read to the end, unless it is too far away: a small archive can hold a gigabyte of zeros."""
    data = read(limit + 1)
    if len(data) > limit:
        raise Unreadable(f"Unpacked, it has more than {limit >> 20} MiB.")
    return data


# What is in them


def _work(files: _Files, course: Course) -> Work:
    work = Work(left_out=files.left_out)
    paths = files.paths
    left = SIZE_LIMIT
    for lesson in course.lessons:
        places = _places(lesson, paths)
        if not places:
            continue
        place = places[0]
        work.places[lesson.number] = places
        if places[1:]:
            others = ", ".join(_shown(each) for each in places[1:])
            work.left_out.append(f"{_shown(place)} was graded, and not {others}.")
        taken = {}
        for path in sorted(path for path in paths if path.startswith(place)):
            name = path.removeprefix(place)
            if _is_hook(name):
                work.tampered.append(f"{_shown(path)} would run by its name. It was left out.")
                continue
            taken[name] = files.read(paths[path])
            left -= len(taken[name])
            if left < 0:
                limit = f"{SIZE_LIMIT >> 20} MiB"
                raise Unreadable(f"With {_shown(path)}, its lessons have more than {limit}.")
        work.copies[lesson.number] = Snapshot(_without_clashes(taken))
    if not work.copies:
        raise Unreadable(_why_nothing(paths, course))
    work.tampered += _edited(files, paths, course)
    return work


def _places(lesson: Lesson, paths: dict[str, str]) -> list[str]:
    """Return where the lesson's folder is, the one that counts first: in a work/, or the highest.

    Those that come with the course are nobody's work.
    """
    found = set()
    for path in paths:
        parts = PurePosixPath(path).parts[:-1]
        if lesson.folder in parts:
            at = parts.index(lesson.folder)
            if not _is_ours(parts[:at]):
                found.add(parts[: at + 1])
    best = sorted(found, key=lambda parts: ("work" not in parts[:-1], len(parts), parts))
    return ["/".join(parts) + "/" for parts in best]


def _is_ours(folders: tuple[str, ...]) -> bool:
    """Tell whether what these folders hold came with the course, whatever it was cloned into."""
    if "work" in folders or not folders:
        return False
    above = [each for each in folders if each != "course"]  # which a clone may be called
    return folders[-1] == "course" or any(each in _OURS for each in above)


def _why_nothing(paths: dict[str, str], course: Course) -> str:
    """Say why no lesson was found, and what to ask for."""
    first, last = course.lessons[0].folder, course.lessons[-1].folder
    parts = [PurePosixPath(path) for path in sorted(paths)]
    archives = [str(path) for path in parts if path.name.lower().endswith(_ENDS)]
    if not parts:
        return "It is empty."
    if any(path.parts[-2:-1] == ("lessons",) and path.name == "course.toml" for path in parts):
        return (
            "It is the course, without work/. Who wrote in lessons/ by mistake types "
            "make rescue-1, and hands in work/."
        )
    if archives:
        return f"It holds an archive, {_shown(archives[0])}, which is not opened: take it out."
    if near := [said for path in parts if (said := _nearly_a_lesson(path, course))]:
        return near[0]
    if code := [str(path) for path in parts if path.name in ("app.py", "manage.py")]:
        return f"There is {_shown(code[0])}, without a lesson's folder, such as {first}, around it."
    return f"It holds no folder of a lesson ({first} … {last}), in work/ or elsewhere."


def _nearly_a_lesson(path: PurePosixPath, course: Course) -> str:
    """Say why a folder that looks like a lesson's is none; nothing where there is none."""
    folders = path.parts[:-1]
    for lesson in course.lessons:
        for number, name in enumerate(folders):
            where = _shown("/".join(folders[: number + 1]))
            if name == lesson.folder:
                return f"{where} came with the course: hand in work/."
            if name.lower().startswith(lesson.folder):
                return f"{where} is not called {lesson.folder}."
    return ""


def _is_hook(path: str) -> bool:
    first, *inside = PurePosixPath(path).parts
    return path in _HOOKS or path.endswith(".pth") or (bool(inside) and first == "course")


def _without_clashes(files: dict[str, bytes]) -> dict[str, bytes]:
    """Leave out a file where another path has it as a folder: an archive can say both."""
    folders = {str(parent) for path in files for parent in PurePosixPath(path).parents}
    return {path: data for path, data in files.items() if path not in folders}


def _edited(files: _Files, paths: dict[str, str], course: Course) -> list[str]:
    """Return what is said of files that pass for the course's checks, and are others.

    A lesson may have a folder of that name too, which is the student's own.
    """
    said = []
    lessons = {lesson.folder for lesson in course.lessons}
    for path in sorted(paths):
        *above, folder, name = ("", *PurePosixPath(path).parts)
        if folder == "checks" and name.endswith(".py") and lessons.isdisjoint(above):
            own = course.root / "checks" / name
            if not own.is_file() or not _are_alike(files.read(paths[path]), own.read_bytes()):
                said.append(f"{_shown(path)} is not the course's own. It was not used.")
    return said


def _are_alike(one: bytes, other: bytes) -> bool:
    return plain_line_ends(one) == plain_line_ends(other)
