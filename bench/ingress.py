"""What a narrow ingress costs: time and bytes through nginx's default limit of 1 MiB.

    .venv/bin/python -m bench.ingress [ROUNDS]

A slow line: 6 MiB at 1 MiB/s, with 40 ms for a round trip. Faster ones: 500 MB, through nginx with
its default limit, and through the same nginx without one, in turn. The lines are relays that delay
bytes and bound their rate; loopback has neither. Each upload is made by a client that knows nothing
of the path; from the second round on, the server tells it what it has learned. Each round begins
with the other of the two.
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

#: The bytes per second of a line (None: unlimited), and the milliseconds of a round trip.
Line = tuple[int, int] | None
SLOW: Line = (MiB, 40)
LINES: dict[str, Line] = {
    "100 Mbit/s and 20 ms": (12_500_000, 20),
    "1 Gbit/s and 10 ms": (125_000_000, 10),
    "loopback": None,
}
CACHE = Path(__file__).parents[1] / ".cache"


@contextmanager
def through(line: Line, folder: Path, upstream: int) -> Iterator[str]:
    """The address of the API by this line."""
    if line is None:
        yield f"http://127.0.0.1:{upstream}/api"
        return
    rate, round_trip = line
    log = folder / "delay.log"
    log.unlink(missing_ok=True)  # which has the port of the line before
    command = [str(build_delay(CACHE)), str(upstream), str(round_trip // 2), str(rate)]
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
            with through(SLOW, folder, narrow.port) as url:
                done = upload(url, small)
            print(f"6 MiB at 1 MiB/s: {told(done)}")
            ports = {"narrow": narrow.port, "wide": wide.port}
            for line_name, line in LINES.items():
                took: dict[str, list[float]] = {which: [] for which in ports}
                for number in range(rounds):
                    for which in sorted(ports, reverse=number % 2 == 1):
                        with through(line, folder, ports[which]) as url:
                            done = upload(url, large)
                        took[which].append(done.seconds)
                        print(f"500 MB, {line_name}, {which}: {told(done)}")
                        for path in (server.data / "files").iterdir():
                            path.unlink()
                ratio = statistics.median(took["narrow"]) / statistics.median(took["wide"])
                print(f"500 MB, {line_name}: narrow / wide: {ratio:.2f}")


def told(done: Result) -> str:
    return f"{done.seconds:.2f} s, {done.requests} requests, {done.bytes_sent_twice} bytes in vain"


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
