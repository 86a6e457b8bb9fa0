"""What one client does through one proxy in one configuration, twice.

The client knows nothing of the path when it sends the first file; when it sends the second one, it
knows what it has learned.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.lab.clients import Client, Uploaded, Way
from tests.lab.proxies import Front, Proxy, Setup
from tests.lab.relay import Counts, Relay
from tests.lab.upstream import Upstream

#: What TLS and HTTP/2 add to the bytes of a body at most, and to a request, in bytes.
OVERHEAD, PER_REQUEST = 0.005, 2048


@dataclass(frozen=True)
class Sent:
    """One file. `problem`: empty where it arrived. `wasted`: None where TLS hides it."""

    seconds: float
    problem: str
    requests: int
    wasted: int | None
    thrown_away: int


@dataclass(frozen=True)
class Cell:
    """What one client did: `unknown` is the first file, `known` the second one."""

    proxy: str
    setup: str
    client: str
    unknown: Sent
    known: Sent | None


def make_files(folder: Path, size: int, count: int = 2) -> list[Path]:
    """Files of random bytes, each with others."""
    files = []
    for number in range(count):
        files.append(folder / f"film-{size}-{number}.mp4")
        if not files[-1].exists():
            files[-1].write_bytes(random.Random(number).randbytes(size))
    return files


@contextmanager
def in_front(
    server: Upstream, proxy: Proxy | None, setup: Setup, folder: Path, cache: Path
) -> Iterator[Laboratory]:
    """A proxy in front of a server that runs; None: no proxy."""
    if proxy is None:
        yield Laboratory(server, Front(folder, server.port, server.port, setup))
        return
    place = folder / "proxy"
    place.mkdir()
    # A proxy that root starts may run as another user.
    for each in (folder, place):
        each.chmod(0o755)
    with proxy.serve(place, cache, setup, server.port) as front:
        yield Laboratory(server, front)


@dataclass(frozen=True)
class Laboratory:
    """A server behind a proxy."""

    server: Upstream
    front: Front

    def send(self, client: Client, files: Sequence[Path], folder: Path) -> list[Sent]:
        """Send the files one after the other; ends after the first that does not arrive."""
        setup = self.front.setup
        found: list[Sent] = []
        with Relay(self.front.port, setup.rate, setup.is_tls).run_in_thread() as relay:
            before = relay.counts()
            with closing(client.upload(self.way(relay), files, folder)) as uploads:
                for file, uploaded in zip(files, uploads, strict=False):
                    after = relay.counts()
                    found.append(self._judge(file, uploaded, after - before))
                    before = after
                    if found[-1].problem:
                        break
        return found

    def way(self, relay: Relay) -> Way:
        """Through a relay, whose port is unknown to the server: it has learned nothing of it."""
        scheme = "https" if self.front.setup.is_tls else "http"
        origin = f"{scheme}://127.0.0.1:{relay.port}"
        page = f"http://127.0.0.1:{self.server.port}"
        certificate = self.front.certificate if self.front.setup.is_tls else None
        return Way(origin, page if self.front.setup.is_cross_origin else origin, certificate)

    def _judge(self, file: Path, uploaded: Uploaded, counts: Counts) -> Sent:
        problem = uploaded.problem or self._compare(file, uploaded.upload_id)
        wasted: int | None = counts.wasted
        thrown_away = counts.thrown_away
        if self.front.setup.is_tls:
            size = file.stat().st_size
            wasted = None
            thrown_away = max(0, counts.received - round(size * (1 + OVERHEAD)) - 8 * PER_REQUEST)
        return Sent(uploaded.seconds, problem, counts.requests, wasted, thrown_away)

    def _compare(self, file: Path, upload_id: str) -> str:
        stored = self.server.find(upload_id)
        if stored is None:
            return "the server has no such file"
        is_same = digest(stored) == digest(file)
        stored.unlink()  # All files of a run together are many gigabytes.
        return "" if is_same else "other bytes arrived"


def digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def is_for(client: Client, setup: Setup) -> bool:
    """Only browsers know origins."""
    return client.key == "browser" or not setup.is_cross_origin


def measure(
    proxy: Proxy | None, laboratory: Laboratory, client: Client, files: Path
) -> Cell | None:
    """One cell of the table, with a client that knows nothing of the proxy. None: not for it."""
    setup = laboratory.front.setup
    if not is_for(client, setup):
        return None
    with TemporaryDirectory(prefix="wherry-lab-") as name:
        sent = laboratory.send(client, make_files(files, setup.size), Path(name))
    again = sent[1] if len(sent) > 1 else None
    return Cell(proxy.key if proxy else "direct", setup.name, client.key, sent[0], again)
