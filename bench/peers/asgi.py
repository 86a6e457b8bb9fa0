"""Python servers: applications of `apps/` on stock uvicorn.

Rule 1: a package that is compared is installed into an environment of its own. It gets the
versions of FastAPI, Starlette and uvicorn that Wherry is tested with.
"""

from __future__ import annotations

import sys
import venv
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from bench.peers import Dialect, Peer, Way, tus_dialects
from bench.peers.installing import run_installer
from bench.processes import Running, answers, free_port, running

APPS = Path(__file__).parent.parent / "apps"
LOCK = Path(__file__).parent.parent.parent / "requirements.lock"


class Application(Peer):
    """`module`: the file in `apps/`, which has an `app`."""

    module: str

    def python(self, cache: Path) -> str:
        """The Python program that has what the application needs."""
        return sys.executable

    @contextmanager
    def serve(self, folder: Path, cache: Path) -> Iterator[Running]:
        port = free_port()
        (folder / "temporary").mkdir()
        environment = {
            "BENCH_DATA": str(folder / "data"),
            # Forms are kept in temporary files, which belong on the measured disk as well.
            "TMPDIR": str(folder / "temporary"),
        }
        command = [self.python(cache), "-m", "uvicorn", "--port", str(port)]
        command += ["--app-dir", str(APPS), f"{self.module}:app"]

        def is_ready(server: Running) -> bool:
            return answers(port, "/") is not None

        with running(command, port, folder / "log", is_ready, environment) as server:
            yield server


class Recipe(Application):
    key = "recipe"
    title = "usual FastAPI recipe"
    lacks = "syncs nothing; trusts the client's order and names"
    module = "recipe"

    @property
    def speaks(self) -> dict[Way, Dialect]:
        chunks, one = Dialect("recipe", ""), Dialect("recipe-one", "")
        return {Way.CHUNKS: chunks, Way.ONE: one, Way.JOIN: chunks}

    def install(self, cache: Path) -> str:
        return "of this repository"

    def stored(self, folder: Path, identifier: str, pieces: int) -> Sequence[Path]:
        return [folder / "data" / "files" / identifier]


class Installed(Application):
    """A package from PyPI."""

    package: str
    version: str

    def python(self, cache: Path) -> str:
        return str(self._folder(cache) / "bin" / "python")

    def install(self, cache: Path) -> str:
        complete = self._folder(cache) / "complete"
        if not complete.exists():
            venv.create(self._folder(cache), clear=True, with_pip=True)
            wanted = [f"{self.package}=={self.version}", "fastapi", "uvicorn[standard]"]
            command = [self.python(cache), "-m", "pip", "install", "--quiet"]
            run_installer([*command, "--constraint", LOCK, *wanted])
            complete.touch()
        return self.version

    def _folder(self, cache: Path) -> Path:
        return cache / f"{self.package}-{self.version}"


class Tuspyserver(Installed):
    key = "tuspyserver"
    package = "tuspyserver"
    version = "4.4.3"
    title = f"tuspyserver {version}"
    lacks = "syncs nothing by default"
    module = "tuspyserver_app"

    @property
    def speaks(self) -> dict[Way, Dialect]:
        return tus_dialects("/files", joins=True)

    def stored(self, folder: Path, identifier: str, pieces: int) -> Sequence[Path]:
        return [folder / "data" / identifier.rpartition("/")[2]]


class Tussi(Installed):
    """Its largest request is 10 MiB by default, and it cannot take a file in one request."""

    key = "tussi"
    package = "tussi"
    version = "3.1.0"
    title = f"tussi {version}"
    lacks = "holds each chunk in memory; no joining"
    module = "tussi_app"

    @property
    def speaks(self) -> dict[Way, Dialect]:
        return {Way.CHUNKS: Dialect("tus", "/")}

    def stored(self, folder: Path, identifier: str, pieces: int) -> Sequence[Path]:
        return [folder / "data" / "completed" / identifier.rpartition("/")[2]]
