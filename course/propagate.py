"""Carry a change made in one solution into every later starter and solution.

Each folder grew out of the one before it: solution N, starter N+1, solution N+1, starter N+2 and so
on. So a change in solution N is merged into starter N+1 and into solution N+1, and what that makes
of solution N+1 is merged into the next two. Nothing grows out of a starter: a conflict in one stops
nothing. A conflict in solution N+1 does, for all that follows needs it mended; going on is then
`propagate N+1` since the same commit, and no folder is merged twice.

What lesson N gives stands in starter N and in solution N. Where the two were one text, they are so
afterwards too.

The merges are git's own, of whole folders, so that a change follows a file that a lesson moved.
They are made in a store of objects that is thrown away: the maintainer's index, commits, refs and
stash are never touched, and nobody's configuration has a say in them.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from course.catalog import Course, Lesson
from course.errors import CourseError
from course.git import as_nobody, as_set_up, run

LAST_COMMIT = "HEAD"

_OLDEST_GIT = (2, 38)  # the first with `merge-tree --write-tree`
_MARKER = re.compile(rb"^(?:<{7}|>{7}) ", re.MULTILINE)

# Takes back what any .gitattributes says, the user's own too: the bytes are merged as they are.
_ATTRIBUTES = "* !text !eol !filter !ident !working-tree-encoding !merge !conflict-marker-size\n"


@dataclass(frozen=True)
class Conflict:
    """A file (named from the course's root) that a person must look at, and why, in git's words."""

    file: str
    why: str


@dataclass(frozen=True)
class Merged:
    """What the change did to one folder; all names are from the course's root.

    `files` were written or removed: none where the folder had the change already. `then` says what
    to do about the conflicts, and is empty where there are none.
    """

    folder: str
    files: tuple[str, ...]
    conflicts: tuple[Conflict, ...]
    then: str


def propagate(course: Course, number: int, since: str = LAST_COMMIT) -> list[Merged]:
    """Merge what changed in solution `number` since the commit `since` into the later lessons.

    Return what became of each folder, in the order of the chain, up to the first solution with a
    conflict. Where nothing has changed since an earlier commit, that is nothing: a conflict was
    mended by keeping what stood there. Everything is merged before anything is written. Raise
    `CourseError`, with nothing written, where git cannot do it, nothing has changed since the last
    commit, or an earlier conflict still stands.
    """
    lesson = course.lesson(number)
    later = course.lessons[course.lessons.index(lesson) + 1 :]
    _require_git()
    with TemporaryDirectory() as scratch:
        git = _Git(course.root, Path(scratch) / "store", since)
        _refuse_markers(git, (lesson, *later))
        old, new = _trees(git, lesson)
        if old == new:
            if since != LAST_COMMIT:
                return []
            raise CourseError(
                f"Nothing has changed in {git.name(lesson.solution)} since {git.since}: if the "
                "change is committed, name the commit before it "
                f"(python -m course propagate {number} --since HEAD~1)."
            )
        merges = [*_given(git, lesson, old, new), *_merge_chain(git, lesson, later, old, new)]
        for only_try in (True, False):
            for merge in merges:
                git.write(merge, only_try=only_try)
        return [_report(git, merge, last=course.lessons[-1]) for merge in merges]


@dataclass(frozen=True)
class _Merge:
    """A merge into `folder`: the trees before and after, and (file, git's reason) of conflicts."""

    lesson: Lesson
    folder: Path
    before: str
    after: str
    conflicts: tuple[tuple[str, str], ...]


def _merge_chain(
    git: _Git, lesson: Lesson, later: tuple[Lesson, ...], old: str, new: str
) -> list[_Merge]:
    source = lesson.solution
    merges: list[_Merge] = []
    for step in later:
        # A lesson that is still being written may lack a folder: the chain is as long as it is.
        folders = [folder for folder in (step.starter, step.solution) if folder.is_dir()]
        base, theirs = git.change(source, old, new)
        merges += [git.merge(step, folder, base, theirs) for folder in folders]
        if step.solution not in folders or merges[-1].conflicts:
            break
        # Old is what the commit has, not what stood there a moment ago: so a second run reaches
        # what a first one did not, and a mend made by hand on the way is not left behind.
        source, new = step.solution, merges[-1].after
        old = git.tree_then(source) or merges[-1].before
    return merges


def _given(git: _Git, lesson: Lesson, old: str, new: str) -> list[_Merge]:
    """Bring the files that the lesson gives, as its solution has them now, to its starter.

    That is where both had one text. What a task goes on with is another in the starter, and stays.
    """
    if not lesson.starter.is_dir():
        return []
    then, now, here = map(git.entries, (old, new, git.tree_now(lesson.starter)))
    changed = {
        path: now[path]
        for path in lesson.given
        if path in then.keys() & now.keys()
        and then[path] != now[path]
        and here.get(path) in (then[path], now[path])
    }
    return [git.replace(lesson, lesson.starter, changed)] if changed else []


def _trees(git: _Git, lesson: Lesson) -> tuple[str, str]:
    """Return the trees of the lesson's solution then and now; `CourseError` where one is not."""
    name = git.name(lesson.solution)
    old = git.tree_then(lesson.solution)
    if old is None or not lesson.solution.is_dir():
        where = "on disk" if old else f"in commit {git.since}"
        raise CourseError(f"There is no {name} {where}, so there is no change to carry on.")
    return old, git.tree_now(lesson.solution)


def _refuse_markers(git: _Git, lessons: tuple[Lesson, ...]) -> None:
    folders = [folder for step in lessons for folder in (step.starter, step.solution)]
    paths = [folder / file for folder in folders if folder.is_dir() for file in git.files(folder)]
    marked = [git.name(path) for path in paths if path.is_file() and _has_marker(path)]
    if marked:
        raise CourseError(f"Mend the conflicts that still stand in {', '.join(marked)} first.")


def _has_marker(path: Path) -> bool:
    return _MARKER.search(path.read_bytes()) is not None


def _report(git: _Git, merge: _Merge, last: Lesson) -> Merged:
    folder = git.name(merge.folder)
    conflicts = tuple(Conflict(f"{folder}/{file}", why) for file, why in merge.conflicts)
    files = tuple(f"{folder}/{file}" for file in git.differing(merge.before, merge.after))
    return Merged(folder, files, conflicts, _then(git, merge, last) if conflicts else "")


def _then(git: _Git, merge: _Merge, last: Lesson) -> str:
    mend = "Mend these files, and delete one that this folder has no place for; then"
    # Commit: a merge remembers nothing, so the same change merged once more would ask once more.
    if merge.folder == merge.lesson.starter:
        return f"{mend} commit all of it: no other folder waits for them."
    if merge.lesson == last:
        return f"{mend} commit all of it: this was the last lesson."
    return f"{mend} go on: python -m course propagate {merge.lesson.number} --since {git.since}"


class _Git:
    """The checkout at `root`, which is only read, and a `store` where the merges are made.

    Raises `CourseError` where `root` is not a checkout or `since` is not a commit in it.
    """

    def __init__(self, root: Path, store: Path, since: str) -> None:
        self._root, self._store = root, store
        self._reading = as_set_up()
        self._making = as_nobody() | _somebody() | {"GIT_DIR": str(store)}
        self._open()
        commit = self._resolve(f"{since}^{{commit}}")
        if commit is None:
            raise CourseError(f"{since} is not a commit here; git log shows those that there are.")
        self._commit = commit
        self.since = self._read("rev-parse", "--short", commit).strip()

    def _open(self) -> None:
        """Make the store: empty, and able to read every object that the checkout has."""
        found = self._read("rev-parse", "--show-object-format", "--git-path", "objects")
        kind, objects = found.rstrip("\n").split("\n", 1)
        self._make("init", "-q", "--bare", "--template=", "-b", "main", f"--object-format={kind}")
        # A file that is new in a folder which a later lesson moved goes where the others went.
        self._make("config", "merge.directoryRenames", "true")
        (self._store / "info").mkdir()
        (self._store / "info/attributes").write_text(_ATTRIBUTES, "utf-8")
        borrowed = os.fsencode((self._root / objects).resolve())
        (self._store / "objects/info/alternates").write_bytes(borrowed + b"\n")

    def name(self, path: Path) -> str:
        """Return `path` as a person names it, from the course's root."""
        return path.relative_to(self._root).as_posix()

    def files(self, folder: Path) -> list[str]:
        """Return the files in `folder` that git tracks or, being new and not ignored, would."""
        which = ("--cached", "--others", "--exclude-standard")
        listed = self._read("ls-files", "-z", *which, cwd=folder).split("\0")
        # A tracked file that was deleted is listed too; one in an index with conflicts, thrice.
        return sorted({name for name in listed if name and os.path.lexists(folder / name)})

    def tree_then(self, folder: Path) -> str | None:
        """Return the tree of `folder` in the commit; None where it was not there yet."""
        return self._resolve(f"{self._commit}:./{self.name(folder)}")

    def tree_now(self, folder: Path) -> str:
        """Return the tree of `folder` as it stands, and remember in an index that it stood so."""
        names = "\0".join(self.files(folder))
        self._make("update-index", "-z", "--add", "--stdin", folder=folder, data=names)
        return self._make("write-tree", folder=folder).strip()

    def change(self, source: Path, old: str, new: str) -> tuple[str, str]:
        """Commit what `source` was and has become; return the revisions that name the two."""
        base = self._commit_tree(old)
        return base, self._branch(f"the-change-from/{self.name(source)}", new, base)

    def merge(self, lesson: Lesson, folder: Path, base: str, theirs: str) -> _Merge:
        """Merge the change from the revision `base` to `theirs` into `folder` as it stands."""
        before = self.tree_now(folder)
        ours = self._branch(f"{self.name(folder)}/as-it-stands", before, base)
        options = ("--write-tree", "--name-only", "-z")
        said = self._make("merge-tree", *options, ours, theirs, fine=(0, 1))
        after, *details = said.split("\0")
        return _Merge(lesson, folder, before, after, _conflicts(details))

    def entries(self, tree: str) -> dict[str, str]:
        """Return the files of a tree, each with what it is there, in git's words."""
        listed = self._make("ls-tree", "-r", "-z", tree).split("\0")[:-1]
        return {path: what for what, _, path in (entry.partition("\t") for entry in listed)}

    def replace(self, lesson: Lesson, folder: Path, entries: dict[str, str]) -> _Merge:
        """Return `folder` as it stands, but that these files are what `entries` says."""
        before = self.tree_now(folder)
        lines = "\0".join(f"{what}\t{path}" for path, what in entries.items())
        self._make("update-index", "-z", "--index-info", folder=folder, data=lines)
        after = self._make("write-tree", folder=folder).strip()
        self.tree_now(folder)  # the index is that of what stands there again
        return _Merge(lesson, folder, before, after, ())

    def _branch(self, name: str, tree: str, base: str) -> str:
        """Commit `tree` on `base`, on a branch for its name: git labels a conflict's sides so."""
        branch = re.sub(r"[^\w/-]", "_", name)
        self._make("update-ref", f"refs/heads/{branch}", self._commit_tree(tree, "-p", base))
        return branch

    def _commit_tree(self, tree: str, *options: str) -> str:
        return self._make("commit-tree", tree, *options, "-m", "Only to be merged").strip()

    def differing(self, before: str, after: str) -> list[str]:
        """Return the files that are not the same in the two trees."""
        options = ("-r", "-z", "--no-renames", "--name-only")
        return self._make("diff-tree", *options, before, after).split("\0")[:-1]

    def write(self, merge: _Merge, *, only_try: bool) -> None:
        """Bring the merge's folder from its tree before to the one after, or see whether one can.

        git refuses, and `CourseError` is raised, where a file has changed since it was read, or
        where a new file would take the place of one that is ignored.
        """
        options = ("-m", "-u", *(("-n",) if only_try else ()))
        self._make("read-tree", *options, merge.before, merge.after, folder=merge.folder)

    def _resolve(self, revision: str) -> str | None:
        found = self._read("rev-parse", "--verify", "--quiet", revision, fine=(0, 1, 128))
        return found.strip() or None

    def _read(self, *args: str, cwd: Path | None = None, fine: tuple[int, ...] = (0,)) -> str:
        """Ask about the checkout. What the user's own configuration ignores stays ignored."""
        return _git(args, cwd or self._root, self._reading, fine)

    def _make(
        self,
        *args: str,
        folder: Path | None = None,
        data: str = "",
        fine: tuple[int, ...] = (0,),
    ) -> str:
        """Work in the store and, if one is given, on `folder`, which has an index of its own."""
        if folder is None:
            return _git(args, self._root, self._making, fine)
        index = self._store / f"index-{folder.parent.name}-{folder.name}"
        env = self._making | {"GIT_WORK_TREE": ".", "GIT_INDEX_FILE": str(index)}
        return _git(args, folder, env, fine, data)


def _git(
    args: tuple[str, ...], cwd: Path, env: dict[str, str], fine: tuple[int, ...], data: str = ""
) -> str:
    """Return what git printed; raise `CourseError` where it ends with a code that is not `fine`."""
    return os.fsdecode(run(*args, cwd=cwd, env=env, data=os.fsencode(data), allowed=fine))


def _require_git() -> None:
    oldest = ".".join(map(str, _OLDEST_GIT))
    if shutil.which("git") is None:
        raise CourseError(f"This needs git, {oldest} or newer, and there is none on the PATH.")
    said = subprocess.run(["git", "version"], capture_output=True, text=True).stdout.strip()
    found = re.search(r"(\d+)\.(\d+)", said)
    if found is None or (int(found[1]), int(found[2])) < _OLDEST_GIT:
        raise CourseError(f"This needs git {oldest} or newer; there is {said}.")


def _somebody() -> dict[str, str]:
    """Return who commits what is only to be merged."""
    roles = ("GIT_AUTHOR", "GIT_COMMITTER")
    person = {f"{role}_NAME": "course" for role in roles}
    return person | {f"{role}_EMAIL": "course@example.invalid" for role in roles}


def _conflicts(details: list[str]) -> tuple[tuple[str, str], ...]:
    """Return (file, reasons) for each file in conflict, from what merge-tree said after the tree.

    That is: the files, an empty field, and then messages, each of them a count, as many paths,
    the kind and the text. A merge without conflicts says nothing.
    """
    files = details[: details.index("")]
    reasons: dict[str, list[str]] = {file: [] for file in files}
    fields = iter(details[len(files) + 1 :])
    while count := next(fields, ""):
        paths = [next(fields) for _ in range(int(count))]
        kind, text = next(fields), next(fields)
        for path in reasons.keys() & paths if kind.startswith("CONFLICT") else ():
            reasons[path].append(" ".join(text.split()))
    return tuple((file, " ".join(texts)) for file, texts in reasons.items())
