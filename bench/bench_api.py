"""The API beside a bare Flask view that does the same, and /stats beside an empty one.

Both are served by gunicorn: one worker, connections that are kept. The client is a few lines of
its own, since the usual ones take longer for a request than the server does.
"""

from __future__ import annotations

import os
import selectors
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from timing import report

ROOT = Path(__file__).resolve().parent.parent
CONNECTIONS = 8
REQUESTS = 400  # in a round
ROUNDS = 9
TODOS = 1_000_000


def main() -> None:
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch, "lesson")
        shutil.copytree(ROOT / "solutions" / "07_restful", folder)
        shutil.copy(Path(__file__).with_name("served.py"), folder)
        for command in (["db", "upgrade"], ["seed", str(TODOS)]):
            subprocess.run(
                [sys.executable, "manage.py", *command], cwd=folder, check=True, capture_output=True
            )
        with served(folder, "course") as course, served(folder, "bare") as bare:
            api(course, bare)
            stats(course, folder)


@contextmanager
def served(folder: Path, app: str) -> Iterator[tuple[str, int]]:
    """Serve an app of served.py with gunicorn; yield its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = probe.getsockname()
    command = [
        *[sys.executable, "-m", "gunicorn", "--worker-class", "gthread"],
        *["--threads", str(CONNECTIONS), "--keep-alive", "60"],
        *["--bind", f"127.0.0.1:{address[1]}", f"served:{app}"],
    ]
    env = os.environ | {"APP_ENV": "development"}
    with open(folder / f"{app}.log", "w") as log:
        process = subprocess.Popen(command, cwd=folder, env=env, stderr=log)
    try:
        while True:
            try:
                socket.create_connection(address).close()
                break
            except ConnectionRefusedError:
                if process.poll() is not None:
                    sys.exit((folder / f"{app}.log").read_text())
                time.sleep(0.01)
        yield address
    finally:
        process.terminate()
        process.wait()


def request(method: str, path: str, body: str = "") -> bytes:
    head = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\n"
    if body:
        head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    return f"{head}\r\n{body}".encode()


def read(connection: socket.socket, status: bytes) -> bytes:
    """Read an answer to its end, see that it has the status, and return its head."""
    data = b""
    while b"\r\n\r\n" not in data:
        data += receive(connection)
    head, _, body = data.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 " + status), head
    length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n", 1)[0])
    while len(body) < length:
        body += receive(connection)
    return head


def receive(connection: socket.socket) -> bytes:
    data = connection.recv(65536)
    assert data, "the server has closed the connection"
    return data


def load(address: tuple[str, int], message: bytes, status: bytes) -> float:
    """Send REQUESTS on CONNECTIONS, each one's next when its last is answered; return seconds."""
    with selectors.DefaultSelector() as selector:
        connections = [socket.create_connection(address) for _ in range(CONNECTIONS)]
        for connection in connections:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            selector.register(connection, selectors.EVENT_READ)
        began = time.perf_counter()
        for connection in connections:
            connection.sendall(message)
        left, waiting = REQUESTS - CONNECTIONS, CONNECTIONS
        while waiting:
            for key, _ in selector.select():
                read(key.fileobj, status)
                if left:
                    key.fileobj.sendall(message)
                    left -= 1
                else:
                    waiting -= 1
        took = time.perf_counter() - began
        for connection in connections:
            connection.close()
    return took


def api(course: tuple[str, int], bare: tuple[str, int]) -> None:
    for name, message, status in (
        ("GET a list of 20", request("GET", "/api/todos"), b"200"),
        ("GET one", request("GET", "/api/todos/5000"), b"200"),
        ("POST", request("POST", "/api/todos", '{"title": "Buy milk"}'), b"201"),
    ):
        took: dict[str, list[float]] = {"course": [], "bare": []}
        for i in range(ROUNDS + 1):
            for which, address in (("course", course), ("bare", bare)):
                seconds = load(address, message, status)
                if i:
                    took[which].append(seconds)
        rate = {which: REQUESTS / statistics.median(seconds) for which, seconds in took.items()}
        of = f"{rate['course'] / rate['bare']:5.2f} × a bare view ({rate['bare']:.0f} /s)"
        print(f"{name:<44} {rate['course']:6.0f} /s     {of}")


def stats(address: tuple[str, int], folder: Path) -> None:
    """Measure /stats on one connection: a miss, a hit, and beside them a view that does nothing."""

    def timed(connection: socket.socket, path: str, cached: bytes) -> float:
        began = time.perf_counter()
        connection.sendall(request("GET", path))
        head = read(connection, b"200")
        took = time.perf_counter() - began
        assert cached in head, head
        return took

    with socket.create_connection(address) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        misses = []
        for _ in range(5):
            clear = [sys.executable, "manage.py", "clear_cache"]
            subprocess.run(clear, cwd=folder, check=True, capture_output=True)
            misses.append(timed(connection, "/stats", b"X-Cache: miss"))
        took: dict[str, list[float]] = {"hit": [], "empty": []}
        for _ in range(500):
            took["hit"].append(timed(connection, "/stats", b"X-Cache: hit"))
            took["empty"].append(timed(connection, "/empty", b""))
    hit, empty = (statistics.median(seconds) for seconds in took.values())
    report(f"/stats, {TODOS:,} todos, a miss", statistics.median(misses), hit, "a hit")
    report("/stats, a hit", hit, empty, "an empty view")


if __name__ == "__main__":
    main()
