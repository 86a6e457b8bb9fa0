"""What `wherry demo` shows: an upload from beginning to end, with the usual failures.

A real video, a real proxy that refuses bodies over 1 MiB, a server that is killed half-way, and an
assessment that finds the faults that were put into the video.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import typer

from wherry.cli.asking import render_assessment
from wherry.cli.screen import Screen
from wherry.client import Client, Progress, Result
from wherry.core.limits import MiB
from wherry.testing.server import Server

BLACK, FREEZE, SILENCE = (5.0, 7.0), (10.0, 13.0), (14.0, 17.0)
SAMPLE_EVERY = 0.02
#: How long an answer may take, in seconds.
TIMEOUT = 60.0


class Demo:
    def __init__(self, folder: Path, size: int) -> None:
        self._data = folder / "data"
        self._video = folder / "talk.mp4"
        self._size = size
        self._server = Server(self._data)
        self._half_way = threading.Event()
        self._over = threading.Event()
        self._peak = 0

    def run(self) -> None:
        self._make_video()
        self._server.start()
        sampler = threading.Thread(target=self._sample)
        sampler.start()
        try:
            with narrow_proxy(self._server.port) as proxy:
                self._send_in_one_request(proxy.url)
                client = Client(f"{proxy.url}/api")
                result, twice = self._upload(client)
                self._follow(client, result)
                self._facts(result, twice, refused=proxy.refused())
        finally:
            self._over.set()
            sampler.join()
            self._server.stop()

    def _make_video(self) -> None:
        from wherry.testing.video import make_video  # noqa: PLC0415 - needs the assessment extra

        say("Making a real video: H.264 and AAC, with a black stretch, a freeze and a silence.")
        make_video(
            self._video, size_at_least=self._size, black=BLACK, freeze=FREEZE, silence=SILENCE
        )
        self._size = self._video.stat().st_size
        note(f"{self._size:,} bytes ({self._size / MiB:.1f} MiB)")

    def _send_in_one_request(self, url: str) -> None:
        say("An upload in one ordinary request:")
        with self._video.open("rb") as file:
            files = {"file": (self._video.name, file)}
            answer = httpx2.post(f"{url}/api/upload", files=files, timeout=TIMEOUT)
        what = answer.headers.get("server", "the proxy")
        note(f"HTTP {answer.status_code} {answer.reason_phrase} from {what}: its limit is 1 MiB")
        if answer.status_code != httpx2.codes.REQUEST_ENTITY_TOO_LARGE:
            raise RuntimeError(f"the proxy did not refuse it: {answer.status_code}")

    def _upload(self, client: Client) -> tuple[Result, bool]:
        say("The same file with Wherry's client, which does not know the limit:")
        screen = Screen()
        killer = threading.Thread(target=self._kill_half_way, args=(screen,))
        killer.start()

        def watch(progress: Progress) -> None:
            screen.show(progress)
            if progress.bytes_safe > self._size / 2:
                self._half_way.set()

        try:
            with screen.following(self._video.name):
                result = client.upload(self._video, on_progress=watch)
        finally:
            self._half_way.set()
            killer.join()
        again = httpx2.post(
            f"{self._server.url}/api/chunked-upload/complete",
            json={"upload_id": result.upload_id},
            timeout=TIMEOUT,
        ).json()
        note(f"completed again: the same answer, assessment {again['assessment_id']}")
        return result, again["assessment_id"] == result.assessment_id

    def _kill_half_way(self, screen: Screen) -> None:
        self._half_way.wait()
        self._server.kill()
        screen.say("   half-way: the server is killed (SIGKILL) and started again")
        self._server.start()

    def _follow(self, client: Client, result: Result) -> None:
        say("The assessment, step by step as it happens:")
        if result.assessment_id is None:
            raise RuntimeError("the server makes no assessments")
        done = client.wait_for_assessment(result.assessment_id, Steps().show)
        typer.echo()
        typer.echo(render_assessment(done))

    def _facts(self, result: Result, twice: bool, refused: int) -> None:
        stored = next((self._data / "files").iterdir())
        with stored.open("rb") as file, self._video.open("rb") as own:
            equal = _sha256(file) == _sha256(own)
        say("In figures:")
        note(f"requests refused by the proxy  {refused} (one of them the ordinary request)")
        note(f"bytes sent twice               {result.bytes_sent_twice:,} of {self._size:,}")
        note(f"peak disk ÷ file size          {self._peak / self._size:.2f}")
        note(f"complete                       {result.complete_seconds * 1000:.0f} ms")
        note(f"complete twice, same answer    {'yes' if twice else 'NO'}")
        note(f"SHA-256 equal                  {'yes' if equal else 'NO'}")
        if not (equal and twice):
            raise RuntimeError("the stored file differs from the file that was sent")

    def _sample(self) -> None:
        """Watch how much disk space the upload takes, and keep the largest value."""
        while not self._over.wait(SAMPLE_EVERY):
            self._peak = max(self._peak, _allocated(self._data))


class Steps:
    """Prints one line for each step that has ended."""

    def __init__(self) -> None:
        self._said: set[str] = set()

    def show(self, assessment: Any) -> None:
        for step in assessment.steps:
            if step.state in ("done", "failed") and step.name not in self._said:
                self._said.add(step.name)
                note(f"{step.name:10} {step.state} in {step.seconds:.1f} s")


@dataclass(frozen=True)
class Proxy:
    """A proxy's address, and how many requests it has refused."""

    url: str
    refused: Callable[[], int]


@contextmanager
def narrow_proxy(upstream_port: int) -> Iterator[Proxy]:
    """A proxy that refuses bodies over 1 MiB: nginx with its defaults, else one of our own."""
    from wherry.testing.nginx import find_nginx, nginx  # noqa: PLC0415
    from wherry.testing.proxy import LimitingProxy  # noqa: PLC0415

    if find_nginx():
        say("nginx stands in front of Wherry, with its default limit.")
        with nginx(upstream_port) as real:
            yield Proxy(real.url, real.refused)
    else:
        say(
            "A proxy with nginx's default limit stands in front of Wherry (nginx is not installed)."
        )
        with LimitingProxy("127.0.0.1", upstream_port).run_in_thread() as own:
            yield Proxy(own.url, lambda: own.refused)


def _allocated(data: Path) -> int:
    """Bytes of disk that unfinished and finished uploads occupy."""
    by_inode: dict[int, int] = {}  # while an upload completes, its file has two names
    for path in (*data.glob("temp_chunks/*/*"), *data.glob("files/*")):
        with suppress(FileNotFoundError):  # the upload has just been finished
            found = path.stat()
            by_inode[found.st_ino] = found.st_blocks * 512
    return sum(by_inode.values())


def _sha256(file: Any) -> str:
    return hashlib.file_digest(file, "sha256").hexdigest()


def say(text: str) -> None:
    typer.secho(f"\n{text}", bold=True)


def note(text: str) -> None:
    typer.echo(f"   {text}")
