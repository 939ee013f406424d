"""The processes that run students' programs: what supervises them is used again, and replaced."""

from __future__ import annotations

import os
import select
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from course import processes
from course.processes import MEMORY_ROOM, ForkServer, Job, ScratchFolder

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="it reads /proc")


@pytest.fixture
def forks() -> Iterator[ForkServer]:
    with ForkServer(()) as forks:
        yield forks


def supervisor(forks: ForkServer, folder: Path) -> int:
    """Run a job, and return the process that has supervised it."""
    (folder / "parent.py").write_text("import os\nprint(os.getppid())\n")
    finished = forks.start(Job(["parent.py"], folder), folder).wait()
    assert (finished.code, finished.err) == (0, "")
    return int(finished.out)


def test_one_supervisor_has_one_job_after_another(forks: ForkServer, tmp_path: Path) -> None:
    found = {supervisor(forks, tmp_path) for _ in range(30)}
    assert len(found) < 10  # one has a job, one is idle; a slow one may not have ended its last


@pytest.mark.skipif(os.getuid() != 0, reason="only root may look into what watches over jobs")
def test_a_supervisor_keeps_nothing_open(forks: ForkServer, tmp_path: Path) -> None:
    first = supervisor(forks, tmp_path)
    opened = len(os.listdir(f"/proc/{first}/fd"))
    for process in {supervisor(forks, tmp_path) for _ in range(30)}:
        assert len(os.listdir(f"/proc/{process}/fd")) < opened + 10


def test_a_job_finds_none_of_the_jobs_before(forks: ForkServer, tmp_path: Path) -> None:
    (tmp_path / "leaves.py").write_text(
        "import os, subprocess, sys\n"
        "argv = [sys.executable, '-c', 'import signal; signal.pause()']\n"
        "print(subprocess.Popen(argv, start_new_session=True).pid)\n"
    )
    left = forks.start(Job(["leaves.py"], tmp_path), tmp_path).wait()
    assert not Path("/proc", left.out.strip()).exists()
    supervisor(forks, tmp_path)


def test_jobs_run_side_by_side(forks: ForkServer, tmp_path: Path) -> None:
    (tmp_path / "waits.py").write_text("import signal\nsignal.pause()\n")
    programs = [forks.start(Job(["waits.py"], tmp_path), tmp_path) for _ in range(5)]
    supervisor(forks, tmp_path)  # though none of them has ended
    assert not any(program.ended() for program in programs)
    assert {program.kill().reason for program in programs} == {"stopped"}


def test_a_supervisor_that_is_killed_is_replaced(forks: ForkServer, tmp_path: Path) -> None:
    for _ in range(3):
        os.kill(supervisor(forks, tmp_path), signal.SIGKILL)
    supervisor(forks, tmp_path)


def test_who_closes_before_all_is_read_ends_the_job_alone(
    forks: ForkServer, tmp_path: Path
) -> None:
    (tmp_path / "waits.py").write_text(
        "import os, signal\nprint(os.getpid(), os.getppid(), flush=True)\nsignal.pause()\n"
    )
    program = forks.start(Job(["waits.py"], tmp_path), tmp_path)
    while not (told := program.output()[0]):
        pass
    job, supervisor = map(int, told.split())
    ended = os.pidfd_open(job)
    program._control.sendall(b"o")
    select.select([program._control], [], [])
    program._replies.close()
    program._control.close()
    assert select.select([ended], [], [], 10)[0]
    os.close(ended)
    os.kill(supervisor, 0)  # it lives


def test_a_program_may_wrap_its_output_anew(forks: ForkServer, tmp_path: Path) -> None:
    (tmp_path / "wraps.py").write_text(
        "import io, sys\n"
        "sys.stdout = io.TextIOWrapper(sys.stdout.buffer, encoding='utf-8')\n"
        "print('wrapped')\n"
    )
    finished = forks.start(Job(["wraps.py"], tmp_path), tmp_path).wait()
    assert (finished.code, finished.out, finished.err) == (0, "wrapped\n", "")


def test_scratch_is_in_memory_whatever_made_a_temporary_file_before() -> None:
    memory = Path("/dev/shm")
    if not os.access(memory, os.W_OK) or shutil.disk_usage(memory).free < MEMORY_ROOM:
        pytest.skip("no memory for files here")
    tempfile.gettempdir()
    with ScratchFolder() as folder:
        assert Path(folder).parent == memory


def test_scratch_that_a_killed_one_has_left_goes_with_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "LOST_SECONDS", 0.0)
    monkeypatch.setattr(processes, "scratch_root", tmp_path)
    (tmp_path / "another").mkdir()
    with ScratchFolder() as used:
        pid = os.fork()
        if pid == 0:
            try:
                lost = ScratchFolder()
                Path(lost.name, "file").touch()
            finally:
                os.kill(os.getpid(), signal.SIGKILL)
        os.waitpid(pid, 0)
        assert len(list(tmp_path.iterdir())) == 3
        processes._remove_lost(tmp_path)
        assert {path.name for path in tmp_path.iterdir()} == {"another", Path(used).name}
    assert [path.name for path in tmp_path.iterdir()] == ["another"]
