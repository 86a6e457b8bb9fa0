"""Wherry on S3 against the usual recipe and tusd's store, on one versitygw in one run.

    python -m bench.s3 [--rounds 3] [--size-mib 64] [--files 4] [--at-once 4] [--only TITLE …]
                       [--postgres] [--versitygw PATH] [--tusd PATH] [--before FOLDER]

Files go in requests of 5 MiB, four files at once unless `--at-once` says otherwise. The table has
ratios, because a machine that does other work at the same time is not as fast as it says. Each
server is started anew for each round, and the rounds of all servers take turns. `--before` is the
folder `src` of another Wherry, which runs beside this one. `--only` takes the titles of the table.

Wherry keeps its records in SQLite. `--postgres` adds it with PostgreSQL, as pods run it: a server
that this script starts, which syncs, on the same disk, with a new database for each round.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import re
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

from bench.processes import Running, answers, free_port, running
from wherry.core.digests import crc64
from wherry.testing.postgres import Postgres, postgres
from wherry.testing.s3 import BUCKET, S3Server, serving_s3

ROOT = Path(__file__).parent.parent
MiB = 1 << 20
CHUNK = 5 * MiB
FILES = 4
_EDGE = "wherry-bench-edge"

#: Sends one file of this size over a connection of its own.
Send = Callable[[int, int], None]


@dataclass(frozen=True)
class Figures:
    """MiB per second; CPU seconds of the server for each GiB; its peak memory in MiB."""

    speed: float
    cpu: float
    memory: float


def request(
    connection: HTTPConnection, method: str, path: str, body: bytes, headers: dict[str, str]
) -> tuple[int, dict[str, str], bytes]:
    connection.request(method, path, body, headers)
    answer = connection.getresponse()
    data = answer.read()
    if answer.status >= 400:
        raise RuntimeError(f"{method} {path}: {answer.status} {data[:300]!r}")
    return answer.status, dict(answer.getheaders()), data


def as_json(value: object) -> tuple[bytes, dict[str, str]]:
    return json.dumps(value).encode(), {"Content-Type": "application/json"}


DATA = os.urandom(CHUNK)


def send_wherry(port: int, size: int) -> None:
    connection = HTTPConnection("127.0.0.1", port)
    base = "/api/chunked-upload"
    begun = request(connection, "POST", f"{base}/init", *as_json({"filename": "a", "size": size}))
    upload_id = json.loads(begun[2])["upload_id"]
    for at in range(0, size, CHUNK):
        path = f"{base}/chunk?upload_id={upload_id}&offset={at}"
        request(connection, "POST", path, DATA[: size - at], {})
    request(connection, "POST", f"{base}/complete", *as_json({"upload_id": upload_id}))
    connection.close()


def send_direct(port: int, size: int) -> None:
    """All parts but the first go to the store. Addresses and reports come in tens."""
    connection, base = HTTPConnection("127.0.0.1", port), "/api/chunked-upload"
    wanted = {"filename": "a", "size": size, "direct": True}
    begun = json.loads(request(connection, "POST", f"{base}/init", *as_json(wanted))[2])
    upload_id, length = begun["upload_id"], begun["direct"]["part_size"]
    path = f"{base}/chunk?upload_id={upload_id}&offset=0"
    request(connection, "POST", path, DATA[:length], {})
    numbers = range(2, -(-size // length) + 1)
    store: HTTPConnection | None = None
    for some in (numbers[first : first + 10] for first in range(0, len(numbers), 10)):
        parts = [{"number": n, "crc64nvme": crc_of(DATA[: size - (n - 1) * length])} for n in some]
        asked = as_json({"upload_id": upload_id, "parts": parts})
        answer = json.loads(request(connection, "POST", f"{base}/direct", *asked)[2])
        for part in answer["parts"]:
            url = urlsplit(part["url"])
            store = store or HTTPConnection(url.netloc)
            body = DATA[: part["end"] - part["start"]]
            request(store, part["method"], f"{url.path}?{url.query}", body, part["headers"])
        told = as_json({"upload_id": upload_id, "parts": list(some)})
        request(connection, "POST", f"{base}/direct/received", *told)
    request(connection, "POST", f"{base}/complete", *as_json({"upload_id": upload_id}))
    for each in (connection, store):
        if each is not None:
            each.close()


def crc_of(data: bytes) -> str:
    return base64.b64encode(crc64(data).to_bytes(8, "big")).decode()


def send_recipe(port: int, size: int) -> None:
    connection = HTTPConnection("127.0.0.1", port)
    upload_id = json.loads(request(connection, "POST", "/init", b"", {})[2])["upload_id"]
    kind = {"Content-Type": f"multipart/form-data; boundary={_EDGE}"}
    for index, at in enumerate(range(0, size, CHUNK)):
        fields = [("upload_id", upload_id), ("index", str(index))]
        head = "".join(
            f'--{_EDGE}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
            for name, value in fields
        )
        head += (
            f'--{_EDGE}\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n'
            "Content-Type: application/octet-stream\r\n\r\n"
        )
        body = head.encode() + DATA[: size - at] + f"\r\n--{_EDGE}--\r\n".encode()
        request(connection, "POST", "/chunk", body, kind)
    request(connection, "POST", "/complete", *as_json({"upload_id": upload_id}))
    connection.close()


def send_tus(port: int, size: int) -> None:
    connection = HTTPConnection("127.0.0.1", port)
    tus = {"Tus-Resumable": "1.0.0"}
    made = request(connection, "POST", "/files/", b"", tus | {"Upload-Length": str(size)})
    path = made[1]["Location"].partition(f":{port}")[2]
    for at in range(0, size, CHUNK):
        offset = {"Upload-Offset": str(at), "Content-Type": "application/offset+octet-stream"}
        request(connection, "PATCH", path, DATA[: size - at], tus | offset)
    connection.close()


@contextmanager
def wherry(
    folder: Path, s3: S3Server, source: Path = ROOT / "src", database: str | None = None
) -> Iterator[Running]:
    port = free_port()
    command = [sys.executable, "-m", "wherry", "serve", "--port", str(port)]
    command += ["--data", str(folder / "data"), "--assessment", "false"]
    # Files belong to one catalog, and each server has its own.
    command += ["--storage", f"s3://{BUCKET}/{folder.name}", "--s3-endpoint", s3.endpoint]
    command += ["--direct-uploads", "true", "--max-open", "1000"]
    if database is not None:
        command += ["--database", database]
    environment = s3.environment | {"PYTHONPATH": str(source)}
    with running(
        command, port, folder / "log", lambda _: answers(port, "/healthz") == 200, environment
    ) as server:
        yield server


@contextmanager
def recipe(folder: Path, s3: S3Server) -> Iterator[Running]:
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", "bench.apps.s3_recipe:app", "--port", str(port)]
    environment = s3.environment | {"BENCH_BUCKET": BUCKET, "BENCH_ENDPOINT": s3.endpoint}
    with running(
        [*command, "--log-level", "warning"],
        port,
        folder / "log",
        lambda _: answers(port, "/docs") == 200,
        environment | {"PYTHONPATH": str(ROOT)},
    ) as server:
        yield server


@contextmanager
def tusd(program: Path, folder: Path, s3: S3Server) -> Iterator[Running]:
    port = free_port()
    command = [str(program), "-host", "127.0.0.1", "-port", str(port), "-s3-bucket", BUCKET]
    command += ["-s3-object-prefix", "tusd/", "-s3-endpoint", s3.endpoint]
    with running(
        command, port, folder / "log", lambda _: answers(port, "/") is not None, s3.environment
    ) as server:
        yield server


@contextmanager
def wherry_on_postgres(records: Postgres, folder: Path, s3: S3Server) -> Iterator[Running]:
    with wherry(folder, s3, database=records.new_database()) as server:
        yield server


def measure(server: Running, send: Send, size: int, files: int, at_once: int) -> Figures:
    before, begun = server.cpu_seconds(), time.monotonic()
    with ThreadPoolExecutor(at_once) as threads:
        for done in [threads.submit(send, server.port, size) for _ in range(files)]:
            done.result()
    seconds, cpu = time.monotonic() - begun, server.cpu_seconds() - before
    total = files * size
    memory = server.peak_memory(server.pids())
    return Figures(total / MiB / seconds, cpu / (total / (1 << 30)), memory / MiB)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--size-mib", type=float, default=64.0)
    parser.add_argument("--files", type=int, default=FILES, help="in all")
    parser.add_argument("--at-once", type=int, default=FILES, help="files at the same time")
    parser.add_argument("--only", nargs="+", help="the titles of the servers to start")
    built = ROOT / ".cache" / "versitygw-1.8.0" / "versitygw"
    parser.add_argument("--versitygw", type=Path, default=built)
    parser.add_argument("--tusd", type=Path, default=ROOT / ".bench" / "tusd-2.9.1" / "tusd")
    parser.add_argument("--before", type=Path, help="the folder src of another Wherry")
    parser.add_argument("--postgres", action="store_true", help="Wherry with PostgreSQL, too")
    given = parser.parse_args()
    with ExitStack() as stack:
        compare(given, stack)


def compare(given: argparse.Namespace, stack: ExitStack) -> None:
    """Measure what was asked for, and print it. `stack` ends what is started here."""
    servers: dict[str, tuple[Callable[[Path, S3Server], object], Send]] = {
        "Wherry": (wherry, send_wherry),
        "Wherry, direct uploads": (wherry, send_direct),
        "FastAPI + boto3 recipe": (recipe, send_recipe),
    }
    if given.size_mib * MiB < CHUNK:
        del servers["Wherry, direct uploads"]  # they are offered for whole parts
    if given.before:
        servers["before"] = (partial(wherry, source=given.before.resolve()), send_wherry)
    if given.tusd.exists():
        servers["tusd s3store"] = (lambda *where: tusd(given.tusd, *where), send_tus)
    if given.postgres:
        records = stack.enter_context(postgres(durable=True))
        servers["Wherry, PostgreSQL"] = (partial(wherry_on_postgres, records), send_wherry)
    if given.only:
        servers = {title: servers[title] for title in given.only}
    found: dict[str, list[Figures]] = {name: [] for name in servers}
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="wherry-bench-s3-")))
    s3 = stack.enter_context(serving_s3(str(given.versitygw), folder / "s3"))
    for number in range(given.rounds):
        for title, (serve, send) in servers.items():
            own = folder / f"{re.sub('[^a-zA-Z0-9]+', '-', title)}-{number}"
            own.mkdir()
            with serve(own, s3) as server:  # type: ignore[attr-defined]
                size = int(given.size_mib * MiB)
                found[title].append(measure(server, send, size, given.files, given.at_once))
    render(found)


def render(found: dict[str, list[Figures]]) -> None:
    """A table in Markdown: medians, and the first server as a multiple of each."""
    print(f"| server | MiB/s | CPU s/GiB | peak MiB | {next(iter(found))}: speed × | CPU × |")
    print("|---|---|---|---|---|---|")
    middle = {
        title: [statistics.median(getattr(f, field) for f in rounds) for field in _FIELDS]
        for title, rounds in found.items()
    }
    mine = next(iter(middle.values()))
    for title, (speed, cpu, memory) in middle.items():
        times = f"{mine[0] / speed:.2f} | {mine[1] / cpu:.2f}"
        print(f"| {title} | {speed:.0f} | {cpu:.1f} | {memory:.0f} | {times} |")


_FIELDS = ("speed", "cpu", "memory")

if __name__ == "__main__":
    main()
