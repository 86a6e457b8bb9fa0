"""kill -9 at random moments of uploads by tus, by its concatenation, and by the IETF's protocol.

`make test` kills twice in each, `make test-faults` 1,000 times. A failure prints the seed of its
trial; `WHERRY_SEED=that WHERRY_KILLS=1` plays it again.
"""

from __future__ import annotations

import os
import random
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import httpx2
import pytest
from tests.faults.records import complete_and_assessed

from wherry.testing.server import Server, serving

KiB, MiB = 1024, 1024 * 1024
KILLS = int(os.environ.get("WHERRY_KILLS", "2"))
SEED = int(os.environ.get("WHERRY_SEED", "1"))
#: The requests of an upload, and its largest size: many small ones, some that take the body lane,
#: and one that is recorded in rounds.
KINDS = ((64 * KiB, 2 * MiB), (512 * KiB, 8 * MiB), (40 * MiB, 48 * MiB))
HOW_OFTEN = (6, 3, 1)
TUS = {"Tus-Resumable": "1.0.0"}
OCTETS = TUS | {"Content-Type": "application/offset+octet-stream"}
INTEROP = {"Upload-Draft-Interop-Version": "9"}


@dataclass
class Sender:
    """What a client knows: where its uploads are, and how many bytes of each are safe."""

    server: str
    data: bytes
    request: int
    urls: list[str] = field(default_factory=list)
    safe: dict[str, int] = field(default_factory=dict)

    def ask(
        self, method: str, url: str, status: int, headers: dict[str, str], body: bytes = b""
    ) -> httpx2.Response:
        with httpx2.Client(timeout=60) as http:
            answer = http.request(method, url, headers=headers, content=body)
        assert answer.status_code == status, f"{method} {answer.status_code}: {answer.text}"
        return answer

    def begin(self) -> None: ...

    def run(self) -> str:
        """Send what is not safe, and complete; the identifier of the assessment."""
        raise NotImplementedError

    def offset(self, url: str) -> int:
        raise NotImplementedError

    def check(self) -> None:
        for url, safe in self.safe.items():
            assert self.offset(url) >= safe, f"{url} has lost bytes"


class Tus(Sender):
    def create(self, length: int, **more: str) -> str:
        headers = TUS | {"Upload-Length": str(length)} | more
        answer = self.ask("POST", f"{self.server}/files/", 201, headers)
        return str(answer.url.join(answer.headers["location"]))

    def begin(self) -> None:
        self.urls = [self.create(len(self.data))]

    def offset(self, url: str) -> int:
        return int(self.ask("HEAD", url, 200, TUS).headers["upload-offset"])

    def send(self, url: str, data: bytes) -> None:
        at = self.offset(url)
        while at < len(data):
            headers = OCTETS | {"Upload-Offset": str(at)}
            answer = self.ask("PATCH", url, 204, headers, data[at : at + self.request])
            at = self.safe[url] = int(answer.headers["upload-offset"])

    def run(self) -> str:
        self.send(self.urls[0], self.data)
        return str(self.ask("HEAD", self.urls[0], 200, TUS).headers["wherry-assessment"])


class Joined(Tus):
    """In three partial uploads, one after the other."""

    def begin(self) -> None:
        third = len(self.data) // 3
        self.pieces = [self.data[:third], self.data[third : 2 * third], self.data[2 * third :]]
        concat = {"Upload-Concat": "partial"}
        self.urls = [self.create(len(piece), **concat) for piece in self.pieces]

    def run(self) -> str:
        for url, piece in zip(self.urls, self.pieces, strict=True):
            self.send(url, piece)
        final = TUS | {"Upload-Concat": f"final;{' '.join(self.urls)}"}
        while True:
            answer = self.ask("POST", f"{self.server}/files/", 201, final)
            if "wherry-assessment" in answer.headers:
                return str(answer.headers["wherry-assessment"])

    def check(self) -> None:
        pass  # a piece that is joined has no bytes any more; `run` finds out what has to be sent


class Ietf(Sender):
    def begin(self) -> None:
        headers = INTEROP | {"Upload-Complete": "?0", "Upload-Length": str(len(self.data))}
        answer = self.ask("POST", f"{self.server}/api/upload", 201, headers)
        self.urls = [str(answer.url.join(answer.headers["location"]))]

    def offset(self, url: str) -> int:
        return int(self.ask("HEAD", url, 204, INTEROP).headers["upload-offset"])

    def run(self) -> str:
        [url] = self.urls
        at = self.offset(url)
        while True:
            piece = self.data[at : at + self.request]
            is_last = at + len(piece) == len(self.data)
            headers = INTEROP | {
                "Content-Type": "application/partial-upload",
                "Upload-Offset": str(at),
                "Upload-Complete": f"?{int(is_last)}",
            }
            answer = self.ask("PATCH", url, 200 if is_last else 204, headers, piece)
            at = self.safe[url] = int(answer.headers["upload-offset"])
            if is_last:
                return str(answer.json()["assessment_id"])


def trial(server: Server, make: Callable[[str, bytes, int], Sender], seed: int) -> bytes:
    """One upload, with one kill at a random moment of it. Returns its bytes."""
    rng = random.Random(seed)
    [(request, most)] = rng.choices(KINDS, HOW_OFTEN)
    sender = make(server.url.removesuffix("/api"), rng.randbytes(rng.randrange(9, most)), request)
    sender.begin()
    delay = rng.choice([rng.uniform(0, 0.05), rng.uniform(0, 0.5)])
    killer = threading.Timer(delay, server.kill)
    killer.start()
    told = None
    try:
        told = sender.run()
    except httpx2.TimeoutException:  # whoever loses the server learns it, and is not left waiting
        raise
    except httpx2.TransportError:
        pass
    finally:
        killer.join()
    server.start()
    sender.check()
    assert told in (None, sender.run()), "two answers to the same question"
    return sender.data


@pytest.mark.slow
@pytest.mark.parametrize("make", [Tus, Joined, Ietf])
def test_no_acknowledged_byte_is_lost_and_there_is_one_assessment(
    tmp_path: Path, make: Callable[[str, bytes, int], Sender]
) -> None:
    with serving(tmp_path / "data", completion_lease=0.5, min_free=0) as server:
        for seed in range(SEED, SEED + KILLS):
            try:
                data = trial(server, make, seed)
                [stored] = (server.data / "files").iterdir()
                assert stored.read_bytes() == data
                stored.unlink()
            except BaseException as error:
                error.add_note(
                    f"WHERRY_SEED={seed} WHERRY_KILLS=1\n{server.log.read_text()[-3000:]}"
                )
                raise
        assert list((server.data / "temp_chunks").iterdir()) == []
        assert complete_and_assessed(server.data) == (KILLS, KILLS, KILLS)
