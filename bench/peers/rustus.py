"""rustus, a tus server in Rust."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from bench.peers import Dialect, Peer, Way, tus_dialects
from bench.peers.installing import need_program, run_installer
from bench.processes import Running, answers, free_port, running

VERSION = "0.5.10"


class Rustus(Peer):
    key = "rustus"
    title = f"rustus {VERSION}"
    lacks = "syncs nothing by default"

    @property
    def speaks(self) -> dict[Way, Dialect]:
        return tus_dialects("/files", joins=True)

    def install(self, cache: Path) -> str:
        folder = self._folder(cache)
        if (folder / "bin" / "rustus").exists():
            return VERSION
        cargo = need_program("cargo", "Rust compiler")
        print("compiling rustus; this takes several minutes, once", flush=True)
        # With all cores, a machine that others share would stand still meanwhile.
        command = [cargo, "install", "rustus", "--version", VERSION, "--locked", "-j1"]
        run_installer([*command, "--root", folder, "--target-dir", folder / "target"])
        shutil.rmtree(folder / "target")
        return VERSION

    @contextmanager
    def serve(self, folder: Path, cache: Path) -> Iterator[Running]:
        port = free_port()
        data = str(folder / "data")
        command = [str(self._folder(cache) / "bin" / "rustus"), "--host", "127.0.0.1"]
        command += ["--port", str(port), "--data-dir", data, "--info-dir", data]
        # By default, it refuses requests above 256 KiB.
        command += ["--max-body-size", str(4 << 30)]

        def is_ready(server: Running) -> bool:
            return answers(port, "/") is not None

        with running(command, port, folder / "log", is_ready) as server:
            yield server

    def stored(self, folder: Path, identifier: str, pieces: int) -> Sequence[Path]:
        return [folder / "data" / identifier.rpartition("/")[2]]

    @staticmethod
    def _folder(cache: Path) -> Path:
        return cache / f"rustus-{VERSION}"
