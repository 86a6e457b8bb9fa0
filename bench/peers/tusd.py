"""tusd, the reference server of the tus protocol, in Go."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from bench.peers import Dialect, Peer, Way, tus_dialects
from bench.peers.installing import need_program, run_installer
from bench.processes import Running, answers, free_port, running

VERSION = "2.9.1"
MODULE = f"github.com/tus/tusd/v2/cmd/tusd@v{VERSION}"


class Tusd(Peer):
    key = "tusd"
    title = f"tusd {VERSION}"
    lacks = "syncs nothing"

    @property
    def speaks(self) -> dict[Way, Dialect]:
        return tus_dialects("/files/", joins=True)

    def install(self, cache: Path) -> str:
        folder = self._folder(cache)
        if (folder / "tusd").exists():
            return VERSION
        go = need_program("go", "Go compiler")
        command = [go, "install", "-p", "1", MODULE]
        run_installer(command, {"GOBIN": str(folder.absolute())})
        return VERSION

    @contextmanager
    def serve(self, folder: Path, cache: Path) -> Iterator[Running]:
        port = free_port()
        command = [str(self._folder(cache) / "tusd"), "-host", "127.0.0.1", "-port", str(port)]
        command += ["-upload-dir", str(folder / "data")]

        def is_ready(server: Running) -> bool:
            return answers(port, "/") is not None

        with running(command, port, folder / "log", is_ready) as server:
            yield server

    def stored(self, folder: Path, identifier: str, pieces: int) -> Sequence[Path]:
        return [folder / "data" / identifier.rpartition("/")[2]]

    @staticmethod
    def _folder(cache: Path) -> Path:
        return cache / f"tusd-{VERSION}"
