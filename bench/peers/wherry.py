"""Wherry: `wherry serve`, and its router in an application on stock uvicorn."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from bench.peers import Dialect, Peer, Way, tus_dialects
from bench.peers.installing import run_installer
from bench.processes import Running, answers, free_port, running

#: More uploads than any workload opens at once. The default of 10 would make clients wait in the
#: queue.
MAX_OPEN = 5000
#: The same for requests. With the default of 500, the driver, which never repeats a request, would
#: be refused when 1,000 clients begin at the same moment.
MAX_REQUESTS = 5000
HTTP_OK = 200
#: What the build of this environment is called.
BUILD = "wherry"
APPS = Path(__file__).parent.parent / "apps"
#: What the log says when the worker is up. Its start would otherwise be part of the measurement.
WORKER_STARTED = "worker-started"


class Wherry(Peer):
    """Wherry, installed in the environment of `python`.

    `build` names it: `wherry`, or what the user calls another build.
    """

    def __init__(
        self,
        python: str,
        durability: str,
        *,
        build: str = BUILD,
        assessment: bool = False,
        router: bool = False,
        tus: bool = False,
        processes: int = 1,
    ) -> None:
        self._python = python
        self._durability = durability
        self._assessment = assessment
        self._router = router
        self._tus = tus
        self._processes = processes
        self.key = f"{build}/{durability}"
        self.title = f"{'Wherry' if build == BUILD else build} `{durability}`"
        if router:
            self.key += "/router"
            self.title += ", router on stock uvicorn"
        if tus:
            self.key += "/tus"
            self.title += ", by tus"
        if processes > 1:
            self.key += f"/{processes}-processes"
            self.title += f", {processes} processes"
        if assessment:
            self.key += "/assessment"
            self.title += ", assessment on"
        self.lacks = "–" if durability == "power-loss" else "syncs records, but no file's bytes"

    @property
    def speaks(self) -> dict[Way, Dialect]:
        if self._tus:
            return tus_dialects("/files/", joins=True)
        base = "/chunked-upload" if self._router else "/api/chunked-upload"
        chunks, one = Dialect("wherry", base), Dialect("wherry-one", base)
        return {Way.CHUNKS: chunks, Way.ONE: one, Way.JOIN: chunks}

    def install(self, cache: Path) -> str:
        show = "import wherry; print(wherry.__version__)"
        return run_installer([self._python, "-c", show]).strip()

    def web_pids(self, server: Running) -> list[int]:
        return server.pids() if self._processes > 1 else super().web_pids(server)

    @contextmanager
    def serve(self, folder: Path, cache: Path) -> Iterator[Running]:
        port = free_port()
        settings = {
            "data": str(folder / "data"),
            "durability": self._durability,
            "max_open": str(MAX_OPEN),
            "assessment": str(self._assessment).lower(),
        }
        if self._processes > 1:
            settings["processes"] = str(self._processes)
        command, environment = self._serve(port, settings)
        if self._router:
            command, environment = self._route(port, settings)

        def is_ready(server: Running) -> bool:
            if self._assessment and WORKER_STARTED not in server.log.read_text(errors="replace"):
                return False
            return answers(port, "/healthz") == HTTP_OK

        with running(command, port, folder / "log", is_ready, environment) as server:
            yield server

    def stored(self, folder: Path, identifier: str, pieces: int) -> Sequence[Path]:
        name = identifier.rpartition("/")[2] if self._tus else f"{identifier}.bin"
        return [folder / "data" / "files" / name]

    def _serve(self, port: int, settings: dict[str, str]) -> tuple[list[str], dict[str, str]]:
        command = [self._python, "-m", "wherry", "serve", "--port", str(port)]
        for name, value in settings.items():
            command += [f"--{name.replace('_', '-')}", value]
        # Not as an option, because another build may not have it.
        return command, {"WHERRY_MAX_REQUESTS": str(MAX_REQUESTS)}

    def _route(self, port: int, settings: dict[str, str]) -> tuple[list[str], dict[str, str]]:
        command = [self._python, "-m", "uvicorn", "--port", str(port)]
        command += ["--app-dir", str(APPS), "router:app"]
        # The application takes these from the environment, because router.py has no arguments.
        settings = {**settings, "max_requests": str(MAX_REQUESTS)}
        return command, {f"WHERRY_{name.upper()}": value for name, value in settings.items()}
