"""@tus/server with its file store, in Node.js."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from bench.peers import Dialect, NotInstalled, Peer, Way, tus_dialects
from bench.peers.installing import need_program, run_installer
from bench.processes import Running, answers, free_port, running

VERSION = "2.4.5"
STORE_VERSION = "2.1.1"
NODE_AT_LEAST = (20, 19)
APP = Path(__file__).parent.parent / "apps" / "tus.mjs"


class TusNode(Peer):
    key = "tus-node"
    title = f"@tus/server {VERSION}"
    lacks = "syncs nothing; no joining"

    @property
    def speaks(self) -> dict[Way, Dialect]:
        return tus_dialects("/files", joins=False)

    def install(self, cache: Path) -> str:
        node = run_installer([need_program("node", "Node.js"), "--version"]).strip()
        if tuple(map(int, node.lstrip("v").split(".")[:2])) < NODE_AT_LEAST:
            raise NotInstalled(f"it needs Node.js 20.19, and this is {node}")
        version = f"{VERSION}, file store {STORE_VERSION}, Node.js {node}"
        folder = self._folder(cache)
        complete = folder / "complete"
        if not complete.exists():
            folder.mkdir(parents=True, exist_ok=True)
            npm = [need_program("npm", "npm"), "install", "--silent", "--no-audit", "--no-fund"]
            packages = [f"@tus/server@{VERSION}", f"@tus/file-store@{STORE_VERSION}"]
            run_installer([*npm, "--prefix", folder, *packages])
            complete.touch()
        return version

    @contextmanager
    def serve(self, folder: Path, cache: Path) -> Iterator[Running]:
        port = free_port()
        command = [need_program("node", "Node.js"), str(APP), str(port)]
        command += [str(folder / "data"), str(self._folder(cache))]

        def is_ready(server: Running) -> bool:
            return answers(port, "/") is not None

        with running(command, port, folder / "log", is_ready) as server:
            yield server

    def stored(self, folder: Path, identifier: str, pieces: int) -> Sequence[Path]:
        return [folder / "data" / identifier.rpartition("/")[2]]

    @staticmethod
    def _folder(cache: Path) -> Path:
        return cache / f"tus-node-{VERSION}"
