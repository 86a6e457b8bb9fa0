"""The client against the real server, through a proxy that refuses large bodies."""

from __future__ import annotations

import os
import re
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest
import uvicorn
from tests.client.conftest import File

from wherry.client import Client, Progress, Refused, TooLarge, UploadGone
from wherry.client.chunk_size import FIRST
from wherry.core.limits import KiB, MiB
from wherry.server import create_app
from wherry.settings import Settings
from wherry.testing.proxy import Fault, LimitingProxy

pytestmark = pytest.mark.usefixtures("fast_line")


@contextmanager
def real_server(data: Path, **settings: object) -> Iterator[int]:
    """`wherry serve` in a thread, without assessment; its port."""
    options = {"data": data, "assessment": False, "min_free": 0} | settings
    app = create_app(Settings.model_validate(options), "127.0.0.1")
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(app, log_config=None, timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, args=([listener],))
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        server.should_exit = True
        thread.join()
        listener.close()


@contextmanager
def through_proxy(tmp_path: Path, *faults: Fault, **settings: object) -> Iterator[LimitingProxy]:
    with (
        real_server(tmp_path / "data", **settings) as port,
        LimitingProxy("127.0.0.1", port, MiB, faults).run_in_thread() as proxy,
    ):
        yield proxy


def finished(proxy: LimitingProxy, upload_id: str) -> bytes:
    answer = httpx2.get(f"{proxy.url}/api/files/{upload_id}")
    assert answer.status_code == 200
    return answer.content


def test_a_file_gets_through_an_ingress_limit_of_one_mebibyte(tmp_path: Path, file: File) -> None:
    path = file(12 * MiB + 5)
    with through_proxy(tmp_path) as proxy:
        done = Client(f"{proxy.url}/api", concurrency=1).upload(path)
        assert finished(proxy, done.upload_id) == path.read_bytes()
    assert (done.refused, proxy.refused, done.chunk_size) == (1, 1, MiB)


def test_a_small_file_goes_in_one_request_and_a_middling_one_in_chunks(
    tmp_path: Path, file: File
) -> None:
    small, middling = file(100 * KiB), file(3 * MiB)
    with through_proxy(tmp_path) as proxy:
        client = Client(f"{proxy.url}/api")
        first, second = client.upload(small), client.upload(middling)
        assert finished(proxy, first.upload_id) == small.read_bytes()
        assert finished(proxy, second.upload_id) == middling.read_bytes()
    assert (first.requests, first.refused) == (1, 0)
    assert second.refused == 0, "3 MiB are not worth the risk"


@pytest.mark.parametrize(
    "fault",
    [
        Fault(path="/chunk?", every=4, cut_after=100 * KiB),
        Fault(path="/chunk?", every=4, drops_answer=True),
        Fault(path="/chunk?", every=4, is_duplicated=True),
        Fault(path="/complete", times=2, drops_answer=True),
    ],
    ids=["cut", "lost", "twice", "complete lost"],
)
def test_a_bad_way_does_no_harm(tmp_path: Path, file: File, fault: Fault) -> None:
    path = file(12 * MiB + 5)
    with through_proxy(tmp_path, fault) as proxy:
        done = Client(f"{proxy.url}/api", chunk_size=MiB).upload(path)
        assert finished(proxy, done.upload_id) == path.read_bytes()


@pytest.mark.parametrize(
    "fault",
    [
        Fault(path="/upload", times=2, drops_answer=True),
        Fault(path="/upload", times=1, is_duplicated=True),
        Fault(path="/upload", times=1, cut_after=100 * KiB),
        Fault(path="/upload", times=1, reset_at=100 * KiB),
        Fault(path="/upload", times=1, status=502),
    ],
    ids=["lost", "twice", "cut", "reset", "failed"],
)
@pytest.mark.parametrize("metadata", [{}, {"shelf": "ä"}], ids=["raw", "form"])
def test_a_small_file_over_a_bad_way_makes_one_upload(
    tmp_path: Path, file: File, fault: Fault, metadata: dict[str, str]
) -> None:
    path = file(300 * KiB)
    with through_proxy(tmp_path, fault) as proxy:
        done = Client(f"{proxy.url}/api").upload(path, metadata=metadata)
        assert finished(proxy, done.upload_id) == path.read_bytes()
        listed = httpx2.get(f"{proxy.url}/api/chunked-upload/").json()["uploads"]
    assert [one["upload_id"] for one in listed if one["state"] == "complete"] == [done.upload_id]


def test_a_broken_off_upload_goes_on(tmp_path: Path, file: File) -> None:
    path = file(12 * MiB)
    fault = Fault(path="/chunk?", every=5, times=1, status=422)
    with through_proxy(tmp_path, fault) as proxy:
        client = Client(f"{proxy.url}/api", chunk_size=MiB)
        with pytest.raises(Refused):
            client.upload(path)
        done = client.upload(path)
        assert finished(proxy, done.upload_id) == path.read_bytes()
    assert done.resumed_bytes >= FIRST  # the first one flew alone
    assert done.bytes_sent == 12 * MiB - done.resumed_bytes


def test_two_clients_with_the_same_file_make_one_upload(tmp_path: Path, file: File) -> None:
    path = file(30 * MiB)
    with through_proxy(tmp_path) as proxy, ThreadPoolExecutor() as threads:
        url = f"{proxy.url}/api"
        running = [threads.submit(Client(url, chunk_size=256 * KiB).upload, path) for _ in range(2)]
        first, second = (upload.result() for upload in running)
        assert first.upload_id == second.upload_id
        assert finished(proxy, first.upload_id) == path.read_bytes()


def test_a_full_server_is_waited_for(tmp_path: Path, file: File) -> None:
    with through_proxy(tmp_path, max_open=1, turn=1.5) as proxy:
        url = f"{proxy.url}/api"
        taken = httpx2.post(f"{url}/chunked-upload/init", json={"filename": "a", "size": MiB})
        assert taken.status_code == 201
        told: list[Progress] = []
        Client(url).upload(file(2 * MiB), on_progress=told.append)
    assert {progress.position for progress in told if progress.state == "waiting"} == {1}


def test_what_can_never_be_taken_is_said_at_once(tmp_path: Path, file: File) -> None:
    with through_proxy(tmp_path, max_size=2 * MiB) as proxy:
        with pytest.raises(TooLarge) as error:
            Client(f"{proxy.url}/api").upload(file(6 * MiB))
        assert proxy.requests == 1
    assert error.value.facts["limit"] == 2 * MiB


def test_a_cancelled_upload_is_gone(tmp_path: Path, file: File) -> None:
    with through_proxy(tmp_path) as proxy:
        url = f"{proxy.url}/api"
        asked = {"filename": "a", "size": MiB}
        made = httpx2.post(f"{url}/chunked-upload/init", json=asked).json()
        client = Client(url)
        client.cancel(made["upload_id"])
        assert client.status(made["upload_id"]).state == "cancelled"
        with pytest.raises(UploadGone):
            client.status("0" * 32)


def test_a_file_that_was_uploaded_whole_is_found_and_not_sent_again(
    tmp_path: Path, file: File
) -> None:
    small, large = file(1000), file(9 * MiB)
    with through_proxy(tmp_path) as proxy:
        client = Client(f"{proxy.url}/api")
        for path in (small, large):
            first = client.upload(path, again=False)
            assert not first.was_there
            seen: list[Progress] = []
            second = client.upload(path, again=False, on_progress=seen.append)
            assert (second.was_there, second.bytes_sent) == (True, 0)
            assert (seen[-1].state, seen[-1].bytes_safe) == ("done", path.stat().st_size)
            assert second.upload_id == first.upload_id
            assert client.upload(path).upload_id != first.upload_id


def test_a_file_that_was_changed_without_a_trace_is_sent_again(tmp_path: Path, file: File) -> None:
    path = file(9 * MiB)
    before = path.stat()
    with through_proxy(tmp_path) as proxy:
        client = Client(f"{proxy.url}/api")
        first = client.upload(path, again=False)
        with path.open("r+b") as content:  # one byte, where no sample is taken
            content.seek(MiB)
            old = content.read(1)[0]
            content.seek(MiB)
            content.write(bytes([old ^ 1]))
        # Its time of change is put back, as copying tools do.
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
        second = client.upload(path, again=False)
        assert not second.was_there
        assert second.upload_id != first.upload_id
        assert finished(proxy, second.upload_id) == path.read_bytes()


def test_a_finished_file_that_was_deleted_since_is_told_so(tmp_path: Path, file: File) -> None:
    path = file(1000)
    with through_proxy(tmp_path) as proxy:
        client = Client(f"{proxy.url}/api")
        first = client.upload(path, again=False)
        assert httpx2.delete(f"{proxy.url}/api/files/{first.upload_id}").is_success
        second = client.upload(path, again=False)
        assert (second.was_there, bool(second.deleted_at)) == (True, True)


def test_a_client_waits_for_its_rate_and_does_not_give_up(tmp_path: Path, file: File) -> None:
    path = file(3 * MiB)
    with real_server(tmp_path / "data", rate_bytes="1MiB/second", min_chunk=1) as port:
        client = Client(f"http://127.0.0.1:{port}/api", chunk_size=MiB, patience=0.5)
        result = client.upload(path)
        answer = httpx2.get(f"http://127.0.0.1:{port}/api/files/{result.upload_id}")
        metrics = httpx2.get(f"http://127.0.0.1:{port}/metrics").text
    assert answer.content == path.read_bytes()
    refusals = re.search(r'refusals_total{code="rate-limited".*} (\S+)', metrics)
    assert refusals is not None
    assert float(refusals[1]) > 0
