"""Over real sockets: broken connections, restarts, kills, and the synchronous client."""

from __future__ import annotations

import gc
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
import httpx2
import pytest
from tests.client.conftest import File
from tests.client.fake import FakeServer, serving

from wherry.client import AsyncClient, Client, GaveUp, NotConnected, Progress
from wherry.client.chunk_size import FIRST
from wherry.client.paths import path_to
from wherry.core.limits import KiB, MiB
from wherry.testing.ports import free_port
from wherry.testing.proxy import Fault, LimitingProxy

#: For a busy machine, in seconds.
SOON = 120.0

pytestmark = pytest.mark.usefixtures("fast_line")


@pytest.fixture
def server() -> FakeServer:
    return FakeServer(chunk_size=MiB)


@contextmanager
def through(server: FakeServer, *faults: Fault, limit: int | None = None) -> Iterator[str]:
    """The server behind a proxy; the address of its API."""
    with (
        serving(server) as port,
        LimitingProxy("127.0.0.1", port, limit, faults).run_in_thread() as proxy,
    ):
        yield f"{proxy.url}/api"


@dataclass
class Stopped:
    """Lets so many chunks pass, then holds all that follow until `goes_on`."""

    server: FakeServer
    chunks: int
    is_reached: threading.Event = field(default_factory=threading.Event)
    goes_on: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.server.hold = self.hold

    async def hold(self, verb: str) -> None:
        if verb == "chunk" and len(self.server.statuses("chunk")) >= self.chunks:
            self.is_reached.set()
            while not self.goes_on.is_set():
                await anyio.sleep(0.01)


# Connections.


def test_a_limit_of_one_mebibyte_costs_one_refusal(server: FakeServer, file: File) -> None:
    server.chunk_size = 5 * MiB
    path = file(12 * MiB)
    with (
        serving(server) as port,
        LimitingProxy("127.0.0.1", port, MiB).run_in_thread() as proxy,
    ):
        done = Client(f"{proxy.url}/api", concurrency=1).upload(path)
    assert (proxy.refused, done.refused) == (1, 1)
    assert bytes(server.only.data) == path.read_bytes()


def test_a_limit_that_resets_instead_of_answering_is_found_as_well(
    server: FakeServer, file: File
) -> None:
    server.chunk_size = 5 * MiB
    path = file(12 * MiB)
    with through(server, Fault(path="/chunk?", over=MiB, reset_at=100 * KiB)) as url:
        done = Client(url, concurrency=1).upload(path)
    assert (done.refused, done.chunk_size) == (1, MiB)
    assert bytes(server.only.data) == path.read_bytes()


@pytest.mark.parametrize(
    "fault",
    [
        Fault(path="/chunk?", every=5, cut_after=300 * KiB),
        Fault(path="/chunk?", every=5, reset_at=300 * KiB),
        Fault(path="/chunk?", every=5, drops_answer=True),
        Fault(path="/chunk?", every=5, is_duplicated=True),
        Fault(path="/chunk?", every=5, status=500),
        Fault(path="/complete", times=2, drops_answer=True),
        Fault(path="/init", times=2, drops_answer=True),
    ],
    ids=["cut", "reset", "lost", "twice", "failed", "complete lost", "init lost"],
)
def test_a_bad_way_does_no_harm(server: FakeServer, file: File, fault: Fault) -> None:
    path = file(20 * MiB)
    with through(server, fault) as url:
        way = path_to(httpx2.URL(url))
        way.passed = way.pace = MiB
        done = Client(url).upload(path)
    assert bytes(server.only.data) == path.read_bytes()
    assert (done.refused, done.chunk_size) == (0, MiB), "what has passed once is no size problem"


def test_retry_after_is_obeyed(server: FakeServer, file: File) -> None:
    told: list[Progress] = []
    fault = Fault(path="/chunk?", times=1, status=503, retry_after=1)
    with through(server, fault) as url:
        done = Client(url).upload(file(6 * MiB), on_progress=told.append)
    pauses = [p.retry_after or 0 for p in told if p.state == "waiting"]
    assert 0 < pauses[0] <= 1  # of which a busy machine has let some pass
    assert done.seconds >= 1


def test_a_server_that_says_nothing_is_left_after_the_idle_timeout(
    server: FakeServer, file: File
) -> None:
    path = file(6 * MiB)
    silent = iter([True])

    async def hold(verb: str) -> None:
        if verb == "chunk" and next(silent, False):
            await anyio.sleep(SOON)

    server.hold = hold
    with serving(server) as port:
        done = Client(f"http://127.0.0.1:{port}/api", idle_timeout=2).upload(path)
    # On a busy machine, others may be left, too.
    assert done.bytes_sent_twice >= FIRST
    assert bytes(server.only.data) == path.read_bytes()


def test_one_request_that_is_reset_while_it_is_sent_goes_on_in_chunks(
    server: FakeServer, file: File
) -> None:
    # Larger than what two sockets hold, so that the client sees it while sending.
    path = file(40 * MiB)
    with through(server, Fault(path="/upload", reset_at=100 * KiB)) as url:
        way = path_to(httpx2.URL(url))
        way.passed, way.pace = 20 * MiB, 64 * MiB  # and twice as much as has passed is tried
        done = Client(url, chunk_size=64 * MiB).upload(path)
    assert len(server.uploads) == 1
    assert bytes(server.only.data) == path.read_bytes()
    assert done.refused == 1


@pytest.mark.parametrize(
    "fault",
    [
        Fault(path="/upload", times=2, drops_answer=True),
        Fault(path="/upload", times=2, is_duplicated=True),
        Fault(path="/upload?", times=1, cut_after=30 * KiB),
        Fault(path="/upload?", times=1, status=504),
    ],
    ids=["lost", "twice", "cut", "failed"],
)
def test_one_request_over_a_bad_path_makes_one_upload(
    server: FakeServer, file: File, fault: Fault
) -> None:
    path = file(60 * KiB)
    with through(server, fault) as url:
        done = Client(url).upload(path)
    assert done.assessment_id == f"of-{server.only.id}"
    assert bytes(server.only.data) == path.read_bytes()


def test_nobody_at_the_address_is_said_after_a_while(file: File) -> None:
    with pytest.raises(GaveUp) as error:
        Client(f"http://127.0.0.1:{free_port()}/api", patience=0.2).upload(file(10))
    assert isinstance(error.value.__cause__, NotConnected)


# Restarts.


def test_an_upload_goes_on_when_the_server_was_away(server: FakeServer, file: File) -> None:
    path = file(20 * MiB)
    is_missed = threading.Event()

    def note(progress: Progress) -> None:
        if progress.state == "retrying":
            is_missed.set()

    stopped = Stopped(server, 6)
    with ThreadPoolExecutor() as threads, ExitStack() as first:
        port = first.enter_context(serving(server))
        client = Client(f"http://127.0.0.1:{port}/api")
        upload = threads.submit(client.upload, path, on_progress=note)
        assert stopped.is_reached.wait(SOON)
        first.close()  # the server ends, with requests in flight
        assert is_missed.wait(SOON)
        stopped.goes_on.set()
        with serving(server, port):
            done = upload.result(SOON)
    assert bytes(server.only.data) == path.read_bytes()
    assert done.resumed_bytes == 0


Command = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def command() -> Iterator[Command]:
    """Starts `wherry ...` as a process of its own."""
    with ExitStack() as started:

        def start(*arguments: str | Path) -> subprocess.Popen[str]:
            process = subprocess.Popen(
                [sys.executable, "-m", "wherry", *map(str, arguments)],
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            started.callback(process.wait)
            started.callback(process.kill)
            return process

        yield start


def finish(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=SOON)
    return process.returncode, out, err


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_an_upload_goes_on_after_its_client_was_ended(
    server: FakeServer, file: File, command: Command, how: signal.Signals
) -> None:
    path = file(20 * MiB)
    stopped = Stopped(server, 6)
    with serving(server) as port:
        url = f"http://127.0.0.1:{port}/api"
        process = command("upload", path, url)
        assert stopped.is_reached.wait(SOON)
        process.send_signal(how)
        code, out, err = finish(process)
        stopped.goes_on.set()
        assert out == ""
        if how is signal.SIGINT:
            assert code == 130
            assert "Run the same command again, and it goes on" in err
        code, out, _ = finish(command("upload", path, url, "--json"))
    assert code == 0
    line: dict[str, Any] = json.loads(out)
    assert line["resumed_bytes"] >= 6 * FIRST
    assert line["bytes_sent"] == 20 * MiB - line["resumed_bytes"]
    assert bytes(server.only.data) == path.read_bytes()


# The synchronous client.


@pytest.mark.anyio
async def test_the_synchronous_client_works_inside_a_running_event_loop(
    server: FakeServer, file: File
) -> None:
    path = file(6 * MiB)
    with serving(server) as port:
        Client(f"http://127.0.0.1:{port}/api").upload(path)
    assert bytes(server.only.data) == path.read_bytes()


def test_many_files_need_one_connection_and_one_thread(server: FakeServer, file: File) -> None:
    path = file(1000)
    with serving(server) as port, Client(f"http://127.0.0.1:{port}/api") as client:
        client.upload(path)
        threads = threading.active_count()
        for _ in range(20):
            client.upload(path)
        assert threading.active_count() <= threads  # fewer, where one of another test has ended
        assert len(server.peers) == 1
    assert len(server.uploads) == 21


def test_a_client_that_is_not_used_any_more_leaves_no_thread(
    server: FakeServer, file: File
) -> None:
    with serving(server) as port:
        before = threading.active_count()
        client = Client(f"http://127.0.0.1:{port}/api")
        client.upload(file(1000))
        del client
        gc.collect()
        assert threading.active_count() <= before


def test_a_callback_may_call_the_client(server: FakeServer, file: File) -> None:
    states: list[str] = []

    def ask(progress: Progress) -> None:
        if progress.state == "done":
            states.append(client.status(server.only.id).state)

    with serving(server) as port, Client(f"http://127.0.0.1:{port}/api") as client:
        client.upload(file(1000), on_progress=ask)
    assert states == ["complete"]


FORKING = """
import os, sys
from wherry.client import Client
client = Client(sys.argv[1])
client.upload(sys.argv[2])
child = os.fork()
client.upload(sys.argv[2])
if child == 0:
    os._exit(0)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


def test_a_forked_process_may_go_on_with_the_client(server: FakeServer, file: File) -> None:
    with serving(server) as port:
        url = f"http://127.0.0.1:{port}/api"
        command = [sys.executable, "-c", FORKING, url, str(file(1000))]
        assert subprocess.run(command, timeout=SOON, check=False).returncode == 0
    assert len(server.uploads) == 3


def test_both_clients_have_the_same_methods_and_arguments() -> None:
    import inspect

    names = [n for n in vars(Client) if not n.startswith("_") and n != "close"]
    assert names == [n for n in vars(AsyncClient) if not n.startswith("_") and n != "aclose"]
    for name in names:
        mine = inspect.signature(getattr(Client, name))
        assert mine == inspect.signature(getattr(AsyncClient, name))


def test_what_one_upload_learns_the_next_one_of_the_same_client_knows(
    server: FakeServer, file: File
) -> None:
    server.chunk_size = 5 * MiB
    with through(server, limit=MiB) as url:
        client = Client(url, concurrency=1)
        assert client.upload(file(12 * MiB)).refused == 1
        assert client.upload(file(13 * MiB)).refused == 0


def test_an_interrupt_ends_the_requests_before_it_reaches_the_caller(
    server: FakeServer, file: File
) -> None:
    stopped, before = Stopped(server, 4), threading.enumerate()

    def interrupt() -> None:
        assert stopped.is_reached.wait(SOON)
        os.kill(os.getpid(), signal.SIGINT)

    with serving(server) as port, ThreadPoolExecutor() as threads:
        threads.submit(interrupt)
        with pytest.raises(KeyboardInterrupt):
            Client(f"http://127.0.0.1:{port}/api").upload(file(20 * MiB))
        since = [thread for thread in threading.enumerate() if thread not in before]
        loops = [thread for thread in since if "portal" in thread.name]
        assert loops == [], "the loop that carries the requests has ended"
        stopped.goes_on.set()
    assert server.only.state == "receiving"
