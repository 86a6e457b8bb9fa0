"""A real PostgreSQL with temporary data.

    with postgres() as server:
        catalog = PostgresCatalog(server.new_database())

Rule 1: of the installed PostgreSQL, only the programs are used, and nothing of its configuration,
data or service.

Rule 2: unless it is `durable`, nothing is synced, so that tests are fast. What a `kill -9` of the
server leaves is whole all the same; only a power cut would not be survived.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
import unittest
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

from wherry.testing.ports import free_port

#: How long PostgreSQL may take to start, and to stop, in seconds.
_TIMEOUT = 60.0
#: Where Debian keeps the programs, by version.
_DEBIAN = Path("/usr/lib/postgresql")
#: PostgreSQL refuses to run as root. Debian's package makes this user.
_USER = "postgres"
_UNSYNCED = {"fsync": "off", "full_page_writes": "off"}
_OPTIONS = {
    "unix_socket_directories": "",
    "max_connections": "200",
    "shared_buffers": "64MB",
    "timezone": "UTC",
}


class Postgres:
    """A running server. `stop` and `start` may be called again and again; the data stays."""

    def __init__(self, programs: Path, folder: Path, durable: bool, address: str) -> None:
        self.address, self.port = address, 0
        self._options = _OPTIONS if durable else _OPTIONS | _UNSYNCED
        self._options |= {"listen_addresses": address}
        self._programs, self._data = programs, folder / "data"
        self._log = folder / "log"
        self._user = _USER if os.geteuid() == 0 else None
        self._process: subprocess.Popen[bytes] | None = None
        self._numbers = count()
        if self._user is not None:
            shutil.chown(folder, self._user)
        self._run(
            "initdb", "-D", str(self._data), "-U", "wherry", "-A", "trust", "-E", "UTF8", "-N",
            "--locale=C",
        )  # fmt: skip
        with (self._data / "pg_hba.conf").open("a") as access:
            access.write("host all all samenet trust\n")

    def url(self, database: str = "postgres") -> str:
        return f"postgresql://wherry@{self.address}:{self.port}/{database}"

    def new_database(self) -> str:
        """The URL of a new, empty database."""
        name = f"test_{os.getpid()}_{next(self._numbers)}"
        self.run(f"CREATE DATABASE {name}")
        return self.url(name)

    def run(self, statement: str, database: str = "postgres") -> list[tuple[object, ...]]:
        """The rows of a statement in a transaction of its own."""
        import psycopg  # noqa: PLC0415

        with psycopg.connect(self.url(database), autocommit=True) as connection:
            found = connection.execute(statement.encode())
            return found.fetchall() if found.description else []

    def start(self) -> None:
        """Start the server, on the port that it had before. Raises `RuntimeError`."""
        for _ in range(3):  # another process may take a free port first
            port = self.port or free_port()
            options = [f"-c{name}={value}" for name, value in self._options.items()]
            command = [self._program("postgres"), "-D", str(self._data), "-p", str(port), *options]
            with self._log.open("ab") as log:
                self._process = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    cwd="/",
                    user=self._user,
                    group=self._group(),
                    extra_groups=None if self._user is None else [],
                    start_new_session=True,
                )
            if self._is_up(port):
                self.port = port
                return
        raise RuntimeError(f"PostgreSQL does not start: {self._log.read_text().strip()[-2000:]}")

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """End it: SIGINT rolls back and disconnects; SIGQUIT is like a crash."""
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(how)
            try:
                process.wait(_TIMEOUT)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def restart(self, how: signal.Signals = signal.SIGQUIT) -> None:
        self.stop(how)
        self.start()

    def _is_up(self, port: int) -> bool:
        deadline = time.monotonic() + _TIMEOUT
        asks = [self._program("pg_isready"), "-q", "-h", self.address, "-p", str(port)]
        while self._process is not None and time.monotonic() < deadline:
            if self._process.poll() is not None:
                return False
            if subprocess.run(asks, check=False).returncode == 0:
                return True
            time.sleep(0.02)
        self.stop(signal.SIGQUIT)
        return False

    def _run(self, program: str, *arguments: str) -> None:
        done = subprocess.run(
            [self._program(program), *arguments],
            capture_output=True,
            text=True,
            cwd="/",
            user=self._user,
            group=self._group(),
            extra_groups=None if self._user is None else [],
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"{program} fails: {done.stderr.strip()}")

    def _program(self, name: str) -> str:
        return str(self._programs / name)

    def _group(self) -> int | None:
        return None if self._user is None else pwd.getpwnam(self._user).pw_gid


def find_postgres() -> Path | None:
    """The folder of the newest installed programs; None if there are none."""
    versions = sorted(_DEBIAN.glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    found = versions[-1] if versions else shutil.which("initdb")
    return None if found is None else Path(found).parent


def require_postgres() -> Path:
    """The folder of the programs. If there are none, skip the calling test.

    With CI=true, fail the test instead, so that it is not left out there unnoticed.
    """
    programs = find_postgres()
    if programs is not None:
        return programs
    if os.environ.get("CI") == "true":
        raise AssertionError("PostgreSQL is missing, and under CI=true no test is skipped for it")
    raise unittest.SkipTest("PostgreSQL is not installed")


@contextmanager
def postgres(
    folder: Path | None = None, durable: bool = False, address: str = "127.0.0.1"
) -> Iterator[Postgres]:
    """Start a server with new data, and stop it at the end. Raises `RuntimeError`.

    `folder`: where its data are; None: in the system's temporary folder. `address`: where it
    listens; everybody who can reach it may do everything.
    """
    programs = find_postgres()
    if programs is None:
        raise RuntimeError("PostgreSQL is not installed")
    with tempfile.TemporaryDirectory(prefix="wherry-postgres-", dir=folder) as name:
        server = Postgres(programs, Path(name), durable, address)
        server.start()
        try:
            yield server
        finally:
            server.stop(signal.SIGQUIT)
