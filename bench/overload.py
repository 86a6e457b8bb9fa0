"""Measures what a server does with five times the load that it takes.

    .venv/bin/python bench/overload.py [SECONDS]

In one run, interleaved, three times: the load that saturates the server, alone; the same load with
four times as many more clients; alone again, right after. SECONDS (2 by default) is the length of
each part.
The server and the clients run on this machine, so the further clients take CPU time from the
server as well. They obey what they are told: they come back after `Retry-After`.

    uploads   ten open uploads send chunks of 1 MiB; forty more ask to begin, and wait in the queue
    files     16 clients send files of 64 KiB in one request each, as fast as they are answered;
              64 more do the same. The server works on 16 such requests at once
    slow      ten open uploads; meanwhile 400 connections begin a request whose body does not come.
              The server works on 50 such requests at once

On a busy machine, every process waits for a core. So each part also measures how long another
process, which only sends back what it gets, takes to answer at the same time: `echo`.

Each row: the throughput of those that are admitted, as a ratio to that of the load alone; how long
those that are refused or told to wait wait for that answer; the memory of the server.
"""

from __future__ import annotations

import http
import http.client
import json
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from wherry.core.limits import KiB, MiB
from wherry.testing.server import Server, serving

PATH = "/api/chunked-upload"
#: How often each load is measured alone, overloaded, and alone again.
ROUNDS = 3
OPEN, MORE = 10, 40
CHUNK, FILE = bytes(MiB), bytes(64 * KiB)
#: Clients of the part `files` that saturate a server, and how many in all are five times that.
FILES, FIVE_TIMES = 16, 80
SLOW = 400
SLOW_REQUEST = (
    b"POST /api/upload HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\n"
    b"Content-Disposition: attachment; filename=a\r\nContent-Length: 65536\r\n\r\n"
)


@dataclass
class Load:
    """What some clients did in one part. Times in seconds."""

    done: int = 0
    refused: list[float] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, status: int, took: float, text: bytes) -> None:
        with self.lock:
            if status in (200, 201):
                self.done += 1
            elif status in (202, 429, 503):
                self.refused.append(took)
            else:
                self.failed.append(f"{status} {text[:200]!r}")


class Caller:
    """One client with one connection, which is opened again when the server closes it."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)

    def ask(
        self, path: str, method: str = "GET", body: bytes | None = None, kind: str = "text/plain"
    ) -> tuple[int, bytes, float]:
        """The status, the body, and the seconds until both were here."""
        begun = time.perf_counter()
        headers = {"Content-Type": kind, "Content-Disposition": "attachment; filename=a.bin"}
        try:
            self._connection.request(method, path, body, headers)
            answer = self._connection.getresponse()
        except (http.client.HTTPException, ConnectionError) as error:
            self._connection.close()
            return 0, repr(error).encode(), time.perf_counter() - begun
        text = answer.read()
        return answer.status, text, time.perf_counter() - begun

    def init(self, size: int) -> tuple[int, bytes, float]:
        wanted = json.dumps({"filename": "film.mp4", "size": size}).encode()
        return self.ask(f"{PATH}/init", "POST", wanted, "application/json")


def send_chunks(server: Server, load: Load, end: float) -> None:
    """An upload that sends one chunk after the other."""
    caller, count = Caller(server), 1024  # more than it can send
    _, text, _ = caller.init(count * len(CHUNK))
    upload_id, number = json.loads(text)["upload_id"], 0
    while b'"waiting"' in text:  # until the server has noticed the end of the part before
        time.sleep(0.05)
        _, text, _ = caller.ask(f"{PATH}/{upload_id}")
    while time.monotonic() < end:
        path = f"{PATH}/chunk?upload_id={upload_id}&offset={number * len(CHUNK)}"
        status, text, took = caller.ask(path, "POST", CHUNK)
        load.add(status, took, text)
        if status in (429, 503):
            time.sleep(max(min(json.loads(text)["retry_after"], end - time.monotonic()), 0))
        else:
            number += 1
    caller.ask(f"{PATH}/{upload_id}", "DELETE")


def wait_in_queue(server: Server, load: Load, end: float) -> None:
    """An upload that asks to begin, and asks again when it is told to."""
    caller = Caller(server)
    status, text, took = caller.init(len(CHUNK))
    load.add(status, took, text)
    upload_id = json.loads(text)["upload_id"]
    while time.monotonic() < end:
        time.sleep(min(json.loads(text).get("retry_after") or 1, end - time.monotonic(), 1))
        status, text, took = caller.ask(f"{PATH}/{upload_id}")
        load.add(202 if b'"waiting"' in text else status, took, text)
    caller.ask(f"{PATH}/{upload_id}", "DELETE")


def send_files(server: Server, load: Load, end: float) -> None:
    caller = Caller(server)
    while time.monotonic() < end:
        status, text, took = caller.ask("/api/upload", "POST", FILE, "application/octet-stream")
        load.add(status, took, text)
        if status in (429, 503):
            time.sleep(max(min(json.loads(text)["retry_after"], end - time.monotonic()), 0))


ECHO = """
import socket
with socket.create_server(("127.0.0.1", 0)) as listener:
    print(listener.getsockname()[1], flush=True)
    connection, _ = listener.accept()
    while data := connection.recv(100):
        connection.sendall(data)
"""


def ask_echo(_: Server, load: Load, end: float) -> None:
    """Ask another process, each 20 ms, for what takes no time."""
    with subprocess.Popen([sys.executable, "-c", ECHO], stdout=subprocess.PIPE) as process:
        port = int(process.stdout.readline()) if process.stdout else 0
        with socket.create_connection(("127.0.0.1", port)) as connection:
            while time.monotonic() < end:
                begun = time.perf_counter()
                connection.sendall(b"x")
                connection.recv(1)
                load.refused.append(time.perf_counter() - begun)
                time.sleep(0.02)


Client = Callable[[Server, Load, float], None]
#: So many of one kind.
Clients = tuple[int, Client]


def together(server: Server, seconds: float, *clients: Clients) -> list[Load]:
    """Run so many clients of each kind at the same time. Returns what each kind did."""
    end, loads = time.monotonic() + seconds, [Load() for _ in clients]
    threads = [
        threading.Thread(target=client, args=(server, load, end))
        for (number, client), load in zip(clients, loads, strict=True)
        for _ in range(number)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return loads


def memory_of(server: Server) -> float:
    """The largest memory of the server until now, in MiB."""
    status = Path(f"/proc/{server.pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * KiB / MiB


def quantiles(seconds: list[float]) -> str:
    if not seconds:
        return "–"
    seconds.sort()
    worst = seconds[int(len(seconds) * 0.99)] * 1000
    return f"{len(seconds)}: median {statistics.median(seconds) * 1000:.0f}, p99 {worst:.0f} ms"


def measure(server: Server, seconds: float, what: str, own: Clients, more: Clients) -> None:
    """The load `own` alone, then with `more`, then alone again, several times. Prints a row."""
    before, meanwhile, after, refused, echo = 0, 0, 0, list[float](), list[float]()
    failed = set[str]()
    for _ in range(ROUNDS):
        [first] = together(server, seconds, own)
        *loads, asked = together(server, seconds, own, more, (1, ask_echo))
        [last] = together(server, seconds, own)
        before, after = before + first.done, after + last.done
        echo += asked.refused
        for load in loads:
            meanwhile += load.done
            refused += load.refused
        failed.update(*(load.failed for load in (first, *loads, last)))
    print(
        f"| {what} | {2 * meanwhile / (before + after):.2f} | {after / before:.2f} "
        f"| {quantiles(refused)} | {quantiles(echo)} | {memory_of(server):.0f} MiB |",
        flush=True,
    )
    for failure in sorted(failed)[:5]:
        print(f"failed: {failure}", file=sys.stderr)


def hold_requests(server: Server, load: Load, end: float) -> None:
    """Connections that begin a request and do not send its body."""
    time.sleep(0.5)  # the uploads are open by then
    with ExitStack() as held:
        for _ in range(SLOW):
            begun = time.perf_counter()
            connection = held.enter_context(socket.create_connection(("127.0.0.1", server.port)))
            connection.sendall(SLOW_REQUEST)
            answer = connection.recv(65536)
            status = int(answer.split()[1])
            if status != http.HTTPStatus.CONTINUE:
                load.add(status, time.perf_counter() - begun, answer)
        time.sleep(max(end - time.monotonic(), 0))


def main() -> None:
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 2.0
    print("| load | admitted, to alone | after, to before | told to wait | echo | memory |")
    print("|---|---|---|---|---|---|")
    uploads, files = (OPEN, send_chunks), (FILES, send_files)
    for what, most, own, more in (
        ("uploads", 500, uploads, (MORE, wait_in_queue)),
        ("files", 2 * FILES, files, (FIVE_TIMES - FILES, send_files)),
        ("slow", 100, uploads, (1, hold_requests)),
    ):
        with tempfile.TemporaryDirectory(prefix="wherry-overload-") as name:
            options = {"assessment": False, "max_open": OPEN, "max_requests": most}
            with serving(Path(name) / "data", **options) as server:
                measure(server, seconds, what, own, more)


if __name__ == "__main__":
    main()
