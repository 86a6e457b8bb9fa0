"""A Wherry server in a process of its own, which a test can kill and start again.

with serving(folder) as server:
    ... server.url ...
    server.kill()
    server.start()
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Protocol

import httpx2

from wherry.testing.ports import free_port

#: How long a server may take to start, and to end by itself, in seconds, on a busy machine.
START_TIMEOUT, STOP_TIMEOUT = 120.0, 20.0


class Process(Protocol):
    """What it needs of a `subprocess.Popen`."""

    @property
    def pid(self) -> int: ...
    def poll(self) -> int | None: ...
    def wait(self, timeout: float | None = None) -> int: ...
    def kill(self) -> None: ...
    def terminate(self) -> None: ...


class Server:
    """`wherry serve` on a free port of 127.0.0.1 or `host`, with the data folder `data`.

    `options`: options of the command, as in `max_open=2` for `--max-open 2`. Its output is
    appended to `log`. `before` is a command that runs it, as `nsenter` does; empty: none.
    `launch` starts a command as `subprocess.Popen` does.
    """

    before: Sequence[str] = ()
    launch: Callable[..., Process] = staticmethod(subprocess.Popen)

    def __init__(self, data: Path, **options: object) -> None:
        self.data = data
        self.log = data.parent / f"{data.name}.log"
        self.port = free_port()
        options = {"host": "127.0.0.1", "port": self.port, "data": data} | options
        self.url = f"http://{options['host']}:{self.port}"
        self._command = [sys.executable, "-m", "wherry", "serve"]
        for name, value in options.items():
            self._command += [f"--{name.replace('_', '-')}", str(value)]
        self._process: Process | None = None

    @property
    def pid(self) -> int:
        """The id of its process. Raises `RuntimeError` if it is not running."""
        if self._process is None:
            raise RuntimeError("the server is not running")
        return self._process.pid

    def start(self) -> None:
        """Start it and wait until it answers. Raises `RuntimeError` with the end of its log."""
        with self.log.open("ab") as log:
            self._process = self.launch([*self.before, *self._command], stdout=log, stderr=log)
        deadline = time.monotonic() + START_TIMEOUT
        while time.monotonic() < deadline and self._process.poll() is None:
            try:
                if httpx2.get(f"{self.url}/healthz").status_code == httpx2.codes.OK:
                    return
            except httpx2.TransportError:
                time.sleep(0.02)
        self.kill()
        raise RuntimeError(f"the server did not start:\n{self.log.read_text()[-2000:]}")

    def kill(self) -> None:
        """End it with SIGKILL, like `kill -9`."""
        if self._process is not None:
            self._process.kill()
            self._forget()

    def stop(self) -> None:
        """End it with SIGTERM, and with SIGKILL if it takes longer than `STOP_TIMEOUT`."""
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(STOP_TIMEOUT)
            except subprocess.TimeoutExpired:
                self._process.kill()
            self._forget()

    def _forget(self) -> None:
        if self._process is not None:
            self._process.wait()
            self._process = None
            with suppress(OSError):  # taken by now: only the next start needs it
                free_port(self.port)


@contextmanager
def serving(data: Path, **options: object) -> Iterator[Server]:
    """Start a server, and stop it at the end."""
    server = Server(data, **options)
    try:
        server.start()
        yield server
    finally:
        server.stop()
