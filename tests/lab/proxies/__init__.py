"""The proxies of the laboratory: how each is installed, configured and started.

Rule 1: of an installed program, nothing is used but the program: no configuration, folder or user
of the system. It needs no privileges.

Rule 2: a proxy that cannot be installed is left out, and named with the reason.
"""

from __future__ import annotations

import shutil
import socket
import subprocess
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.processes import free_port, running

KiB, MiB = 1 << 10, 1 << 20


@dataclass(frozen=True)
class Setup:
    """One configuration of a proxy.

    `text`: the lines that make it, for the places that the proxy's `configure` has. `limit`: the
    largest body that passes, in bytes; None: no limit. `rate`: bytes a second of the line to the
    proxy; `size`: of the file that is sent. `is_cross_origin`: the browser's page comes from
    elsewhere. `is_tls`: the proxy speaks HTTP/2 and TLS. `who`: what the doctor calls it, if not
    what it calls the proxy. `is_marked`: whether an answer, or a request that arrives, shows which
    proxy it is. `timer`: which of the doctor's timers ends a request after 5 seconds.
    """

    name: str
    text: str = ""
    more: str = ""
    limit: int | None = None
    rate: int | None = None
    size: int = 50_000_000
    is_cross_origin: bool = False
    is_tls: bool = False
    who: str = ""
    is_marked: bool = True
    timer: str = ""


@dataclass(frozen=True)
class Front:
    """Where a proxy listens, and how it is started."""

    folder: Path
    port: int
    upstream: int
    setup: Setup

    @property
    def certificate(self) -> Path:
        return self.folder / "certificate.pem"

    @property
    def key(self) -> Path:
        return self.folder / "key.pem"


class Proxy(ABC):
    """One proxy, in one version."""

    #: What options and results call it.
    key: str
    #: What tables call it.
    title: str
    setups: Sequence[Setup]
    #: What the doctor calls it; empty: it does not know it.
    who: str = ""

    @abstractmethod
    def install(self, cache: Path) -> str:
        """Make it ready to start, below `cache`. Returns its version. Raises `NotInstalled`."""

    @abstractmethod
    def command(self, front: Front, cache: Path) -> Sequence[str]:
        """Write its configuration into the folder, and return the command that runs it."""

    def environment(self, front: Front) -> Mapping[str, str]:
        return {}

    def is_ready(self, front: Front) -> bool:
        """Whether it passes requests on."""
        try:
            socket.create_connection(("127.0.0.1", front.port), timeout=5).close()
        except OSError:
            return False
        return True

    @contextmanager
    def serve(self, folder: Path, cache: Path, setup: Setup, upstream: int) -> Iterator[Front]:
        """Start it in front of a port of 127.0.0.1. Raises `NotStarted`."""
        front = Front(folder, free_port(), upstream, setup)
        if setup.is_tls:
            make_certificate(front)
        command = self.command(front, cache)
        log = folder / "log"
        environment = self.environment(front)
        with running(command, front.port, log, lambda _: self.is_ready(front), environment):
            yield front

    def find(self, name: str) -> Setup:
        [found] = [setup for setup in self.setups if setup.name == name]
        return found


def make_certificate(front: Front) -> None:
    """For 127.0.0.1, and its own authority."""
    openssl = shutil.which("openssl") or "openssl"
    command = [openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    command += ["-nodes", "-days", "2", "-subj", "/CN=localhost"]
    command += ["-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost"]
    command += ["-keyout", str(front.key), "-out", str(front.certificate)]
    subprocess.run(command, capture_output=True, timeout=30, check=True)
