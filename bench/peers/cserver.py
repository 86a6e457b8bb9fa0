"""The small C server of this folder: what this machine can reach."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from bench.native import NoCompiler, build_server
from bench.peers import Dialect, NotInstalled, Peer, Way
from bench.processes import Running, running


class CServer(Peer):
    """`corrupts`: it changes a byte of each body, so that a test sees that bytes are compared."""

    lacks = "syncs nothing; no records, checks or owners"

    def __init__(self, corrupts: bool = False) -> None:
        self._corrupts = corrupts
        self.key = "c-corrupting" if corrupts else "c"
        self.title = "corrupting C server" if corrupts else "C server, one thread"

    @property
    def speaks(self) -> dict[Way, Dialect]:
        return {Way.CHUNKS: Dialect("put-at", ""), Way.ONE: Dialect("put-at", "")}

    def install(self, cache: Path) -> str:
        try:
            build_server(cache)
        except NoCompiler as error:
            raise NotInstalled(str(error)) from None
        return "of this repository"

    @contextmanager
    def serve(self, folder: Path, cache: Path) -> Iterator[Running]:
        (folder / "data").mkdir()
        command = [str(build_server(cache)), str(folder / "data")]
        command += ["--corrupt"] * self._corrupts
        log = folder / "log"

        def is_ready(server: Running) -> bool:
            said = log.read_text()
            if not said.endswith("\n"):
                return False
            server.port = int(said)
            return True

        with running(command, 0, log, is_ready) as server:
            yield server

    def stored(self, folder: Path, identifier: str, pieces: int) -> Sequence[Path]:
        return [folder / "data" / identifier]
