"""A Wherry server as a process of its own, to be killed and started again.

with serving(folder) as server:
    ... server.url ...
    server.kill()
    server.start()
"""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2

#: How long a server may take to start, in seconds.
PATIENCE = 120.0


class Server:
    """`wherry serve` on a free port of this machine, with its state in `data`.

    `options` are those of the command, without their dashes: `max_open=2`.
    """

    def __init__(self, data: Path, **options: object) -> None:
        self.data = data
        self.log = data.parent / f"{data.name}.log"
        self.port = _free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._command = [sys.executable, "-m", "wherry", "serve", "--port", str(self.port)]
        self._command += ["--data", str(data)]
        for name, value in options.items():
            self._command += [f"--{name.replace('_', '-')}", str(value)]
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Raises `RuntimeError` when it is not running."""
        if self._process is None:
            raise RuntimeError("the server is not running")
        return self._process.pid

    def start(self) -> None:
        """Start it and wait until it is ready. Raises `RuntimeError` with its log."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(self._command, stdout=log, stderr=log)
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline and self._process.poll() is None:
            try:
                if httpx2.get(f"{self.url}/healthz").status_code == httpx2.codes.OK:
                    return
            except httpx2.TransportError:
                time.sleep(0.02)
        self.kill()
        raise RuntimeError(f"the server did not start:\n{self.log.read_text()[-2000:]}")

    def kill(self) -> None:
        """End it as `kill -9` does."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def stop(self) -> None:
        """End it as a supervisor does: SIGTERM, and kill it when it takes over 10 seconds."""
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                self.kill()
            self._process = None


@contextmanager
def serving(data: Path, **options: object) -> Iterator[Server]:
    """A started server, stopped at the end."""
    server = Server(data, **options)
    try:
        server.start()
        yield server
    finally:
        server.stop()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])
