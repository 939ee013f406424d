"""A place of its own for code that nobody trusts: no network, nothing to read but what it needs.

bubblewrap makes it (https://github.com/containers/bubblewrap), out of Linux's namespaces.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

from course import seccomp
from course.catalog import ROOT

DISK = 256 * 1024 * 1024
"""Bytes that the files in it may have."""

FILES = 20_000
"""How many files and folders it may hold. A lesson has about a hundred."""

MEMORY = 1536 * 1024 * 1024
"""Bytes that all processes in it may have for themselves."""

THREADS = 200
"""How many threads all of them may have. All our own processes together have a dozen or two."""

DESCRIPTORS = 1000
"""How many files, pipes and sockets they may have open: the kernel keeps up to a few hundred KiB
for each, which nobody counts, and to look at each takes time."""

PROGRAMS = "/usr/local/bin:/usr/bin:/bin"
"""Where a student's program finds others, on every machine."""

_SYSTEM = ("/usr", "/bin", "/lib", "/lib64", "/etc/ld.so.cache", "/etc/localtime")
_DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
_NAMES = ("/etc/hosts", "/etc/nsswitch.conf")  # for localhost
_FIRST_TO_GO = 'echo 1000 >/proc/self/oom_score_adj; exec "$@"'
"""A shell's command: where memory runs short, the kernel ends this program and what it starts."""
_OURS = ("__init__.py", "forkserver.py", "job.py", "sql.py", "supervisor.py")
_EVERY = 0.05  # seconds between two looks at what it uses
_CORES = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set()
"""Those that we may use before a process is given one of them."""


class Sandbox:
    """One such place. Whatever is started in it ends with it."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._first = 0
        self._closed = threading.Event()

    def popen(
        self, argv: list[str], folder: Path, options: dict[str, Any]
    ) -> subprocess.Popen[bytes]:
        """Start a program in it, as `subprocess.Popen` does.

        It may write in `folder` alone, which is not the folder that has that path elsewhere: it is
        in memory, empty, and goes with the sandbox.
        """
        read, write = os.pipe()
        with tempfile.TemporaryFile() as rules:
            rules.write(seccomp.rules())
            rules.seek(0)
            fds = [write, rules.fileno()]
            command = [*_command(folder, *fds), "--", *argv]
            options = options | {"pass_fds": [*options.get("pass_fds", ()), *fds]}
            self._process = subprocess.Popen(command, **options)
        os.close(write)
        with open(read, "rb") as info:
            said = info.read()
        if said:  # else bubblewrap has ended, and has said why
            self._first = int(json.loads(said)["child-pid"])
        return self._process

    def guard(self, folders: list[int]) -> None:
        """End everything as soon as it uses more than it may; `folders` are where it writes."""
        args = [self._process, [os.dup(folder) for folder in folders]]
        threading.Thread(target=self._guard, args=args, daemon=True).start()

    def close(self) -> None:
        """End everything in it."""
        self._closed.set()
        if self._process and self._process.returncode is None:
            # The first process goes with it, and with that all the others. Popen.kill() does
            # nothing in a process that was forked off the one that has started it.
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._process.pid, signal.SIGKILL)

    def _guard(self, process: subprocess.Popen[bytes], folders: list[int]) -> None:
        with contextlib.suppress(OSError):  # as where none of those is left
            os.sched_setaffinity(0, _CORES)  # this thread alone: its sandbox can keep one core busy
        while not self._closed.wait(_EVERY) and process.poll() is None:
            if self._too_much() or any(map(_holds_too_much, folders)):
                process.kill()
        for folder in folders:
            os.close(folder)

    def _too_much(self) -> bool:
        """Tell whether its processes have too much. No look at them takes long, however many."""
        proc = f"/proc/{self._first}/root/proc"  # where only its own processes are
        processes: list[str] = []
        with contextlib.suppress(OSError):
            processes = [f"{proc}/{name}" for name in filter(str.isdecimal, os.listdir(proc))]
        return len(processes) > THREADS or _have_too_much(processes)


def _have_too_much(processes: list[str]) -> bool:
    """Tell whether the processes of these folders have too many threads, descriptors or bytes."""
    memory = threads = descriptors = 0
    unnamed: dict[tuple[int, int], int] = {}
    for process in processes:
        with contextlib.suppress(OSError):
            numbers = _numbers(Path(process))
            memory += 1024 * sum(int(numbers.get(key, 0)) for key in _OWN_MEMORY)
            threads += int(numbers.get(b"Threads", 0))
            opened = os.listdir(f"{process}/fd")
            descriptors += len(opened)
            if threads > THREADS or descriptors > DESCRIPTORS:  # before they become more
                return True
            unnamed |= _unnamed(f"{process}/fd", opened)
    held = sum(unnamed.values())
    return memory + held > MEMORY or held > DISK


_NUMBERS = re.compile(rb"^(\w+):\s+(\d+)", re.MULTILINE)
_OWN_MEMORY = (b"RssAnon", b"RssShmem", b"VmSwap")
"""Names of numbers in KiB. What else a process has in memory is files', which all share."""


def _numbers(process: Path) -> dict[bytes, bytes]:
    """Return what the kernel tells of a process. Of a thread that has ended, it tells no memory."""
    numbers = dict(_NUMBERS.findall((process / "status").read_bytes()))
    for thread in os.listdir(process / "task") if _OWN_MEMORY[0] not in numbers else ():
        with contextlib.suppress(OSError):
            status = (process / "task" / thread / "status").read_bytes()
            numbers = dict(_NUMBERS.findall(status)) | {b"Threads": numbers[b"Threads"]}
            if _OWN_MEMORY[0] in numbers:
                break
    return numbers


def _unnamed(folder: str, descriptors: list[str]) -> dict[tuple[int, int], int]:
    """Return the bytes of each open file without a name, in memory or on disk: no folder has it."""
    found = {}
    for fd in descriptors:
        with contextlib.suppress(OSError):
            file = os.stat(f"{folder}/{fd}")
            if file.st_nlink == 0:
                found[file.st_dev, file.st_ino] = file.st_blocks * 512
    return found


def _holds_too_much(folder: int) -> bool:
    """Tell whether the file system of a folder holds too much, under whatever name or none."""
    held = os.statvfs(folder)
    bytes_ = (held.f_blocks - held.f_bfree) * held.f_frsize
    return bytes_ > DISK or held.f_files - held.f_ffree > FILES


def missing() -> str:
    """Return why there can be no sandbox here, or nothing where there can."""
    if not shutil.which("bwrap"):
        return "bubblewrap is not installed"
    with tempfile.TemporaryDirectory() as folder:
        sandbox = Sandbox()
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        process = sandbox.popen([sys.executable, "-I", "-c", "pass"], Path(folder), pipes)
        said = process.communicate()[1].decode("utf-8", "replace").strip()
        sandbox.close()
    return f"bubblewrap cannot work here: {said}" if process.returncode else ""


def _command(folder: Path, info: int, rules: int) -> list[str]:
    """Return the command to which a program is added. It says on `info` which process it becomes.

    Only the system's programs, Python and its packages can be read, and only `folder` written. What
    may be asked of the system is read from `rules`.
    """
    words = ["sh", "-c", _FIRST_TO_GO, "sh"]
    words += ["bwrap", "--unshare-all", "--unshare-user", "--uid", "1000", "--gid", "1000"]
    # The program is the first process itself: bubblewrap's own could be changed by any other.
    words += ["--as-pid-1", "--cap-drop", "ALL", "--die-with-parent", "--info-fd", str(info)]
    words += ["--seccomp", str(rules), "--setenv", "PATH", PROGRAMS]
    for path in _SYSTEM:
        if os.path.islink(path):
            words += ["--symlink", os.readlink(path), path]
        else:
            words += ["--ro-bind-try", path, path]
    small = ["--size", str(1024 * 1024), "--tmpfs"]
    # Root could write there, and have the system start a program of its own (core_pattern).
    words += ["--proc", "/proc", "--ro-bind", "/proc/sys", "/proc/sys"]
    words += ["--dev", "/dev", *small, "/tmp", *small, "/dev/shm"]
    for path in (*_NAMES, sys.base_prefix):
        words += ["--ro-bind-try", path, path]
    words += [*small, str(ROOT)]  # whatever it stands in, nothing else of it is there
    for path in (sys.prefix, *(str(ROOT / "course" / name) for name in _OURS)):
        words += ["--ro-bind", path, path]
    words += ["--size", str(2 * DISK), "--tmpfs", str(folder)]  # `_guard` ends it before it is full
    # Where the grader is root, the mode of a device could be changed, for the system as a whole. In
    # /proc a process could take back that it is the first to go. A device that is read-only cannot
    # be opened: of /dev/zero, one could map memory that nobody counts.
    devices = _DEVICES if os.geteuid() == 0 else ("zero",)
    for path in (*(f"/dev/{name}" for name in devices), "/dev", "/proc", str(ROOT), "/"):
        words += ["--remount-ro", path]
    return [*words, "--chdir", str(folder)]
