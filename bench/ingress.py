"""What a narrow ingress costs: time and bytes through nginx's default limit of 1 MiB.

    .venv/bin/python -m bench.ingress [ROUNDS]

A slow line: 6 MiB at 1 MiB/s, with 40 ms for a round trip. A fast one: 500 MB, through nginx with
its default limit, and through the same nginx without one, in turn. Each upload is made by a client
that knows nothing of the path; from the second round on, the server tells it what it has learned.
Each round begins with the other of the two.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.native import build_delay
from bench.processes import running
from wherry.client import Client, Result
from wherry.client.paths import forget_paths
from wherry.testing.nginx import nginx
from wherry.testing.server import serving

MiB = 1 << 20
ROUND_TRIP_MS = 40
CACHE = Path(__file__).parents[1] / ".cache"


@contextmanager
def slow_line(folder: Path, upstream: int, rate: int) -> Iterator[str]:
    log = folder / "delay.log"
    command = [str(build_delay(CACHE)), str(upstream), str(ROUND_TRIP_MS // 2), str(rate)]
    with running(command, 0, log, lambda _: log.read_text().endswith("\n")):
        yield f"http://127.0.0.1:{int(log.read_text())}/api"


def upload(url: str, file: Path) -> Result:
    forget_paths()
    with Client(url) as client:
        return client.upload(file)


def random_file(path: Path, size: int) -> Path:
    with path.open("wb") as file:
        for start in range(0, size, MiB):
            file.write(os.urandom(min(MiB, size - start)))
    return path


def main(rounds: int) -> None:
    with tempfile.TemporaryDirectory(dir=os.environ.get("BENCH_DIR")) as name:
        folder = Path(name)
        small = random_file(folder / "small.mp4", 6 * MiB)
        large = random_file(folder / "large.mp4", 500_000_000)
        with (
            serving(folder / "data", assessment=False) as server,
            nginx(server.port) as narrow,
            nginx(server.port, "0") as wide,
        ):
            with slow_line(folder, narrow.port, MiB) as url:
                done = upload(url, small)
            print(
                f"6 MiB at 1 MiB/s: {done.seconds:.1f} s, {done.requests} requests, "
                f"{done.bytes_sent_twice} bytes in vain"
            )
            took: dict[str, list[float]] = {"narrow": [], "wide": []}
            for number in range(rounds):
                for which in sorted(took, reverse=number % 2 == 1):
                    proxy = narrow if which == "narrow" else wide
                    done = upload(f"{proxy.url}/api", large)
                    took[which].append(done.seconds)
                    print(
                        f"500 MB, {which}: {done.seconds:.2f} s, {done.requests} requests, "
                        f"{done.bytes_sent_twice} bytes in vain"
                    )
                    for path in (server.data / "files").iterdir():
                        path.unlink()
            ratio = statistics.median(took["narrow"]) / statistics.median(took["wide"])
            print(f"narrow / wide: {ratio:.2f}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
