"""Parts that the client sends to the object store itself: a real server, and a real store."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest
from tests.client.conftest import File
from tests.storage.store_proxy import Fault, StoreProxy, store_proxy

from wherry.client import Client, Progress, Result, UploadGone
from wherry.client import direct as directly
from wherry.core.limits import KiB, MiB
from wherry.testing.ports import free_port
from wherry.testing.proxy import LimitingProxy
from wherry.testing.s3 import BUCKET, S3Server
from wherry.testing.server import serving

PART = 5 * MiB
LENGTH = 4 * PART + 12_345
DIRECT = LENGTH - PART


@dataclass
class Site:
    """`store`: in front of the store, as clients reach it; Wherry itself goes past it."""

    url: str
    store: StoreProxy
    progress: list[Progress]
    files: Path

    def unfinished(self, http: httpx2.Client) -> dict[str, Any]:
        """The upload that is being sent."""
        found = http.get(f"{self.url}/chunked-upload/", params={"state": "receiving"})
        [upload] = found.json()["uploads"]
        return dict(upload)

    def upload(self, path: Path, client: Client | None = None, **more: Any) -> Result:
        client = client or Client(self.url, **more)
        return client.upload(path, on_progress=self.progress.append)

    def content(self, result: Result) -> bytes:
        return (self.files / f"{result.upload_id}.mp4").read_bytes()

    @property
    def put(self) -> int:
        return self.store.requests["UploadPart"]


@pytest.fixture(scope="module")
def proxy(s3_server: S3Server) -> Iterator[StoreProxy]:
    with store_proxy(s3_server.endpoint) as proxy:
        yield proxy


@contextmanager
def site_of(
    s3_server: S3Server, proxy: StoreProxy, folder: Path, public: str | None = None, **more: Any
) -> Iterator[Site]:
    proxy.reset()
    proxy.faults = []
    options: dict[str, Any] = {
        "storage": f"s3://{BUCKET}/{folder.name}",
        "s3_endpoint": s3_server.endpoint,
        "s3_public_endpoint": public or proxy.endpoint,
        "direct_uploads": True,
        "assessment": False,
    }
    files = s3_server.folder / BUCKET / folder.name / "files"
    with pytest.MonkeyPatch.context() as patch:
        for name, value in s3_server.environment.items():
            patch.setenv(name, value)
        with serving(folder / "data", **(options | more)) as server:
            yield Site(f"{server.url}/api", proxy, [], files)


@pytest.fixture(scope="module")
def shared(
    s3_server: S3Server, proxy: StoreProxy, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    with site_of(s3_server, proxy, tmp_path_factory.mktemp("shared")) as site:
        yield site


@pytest.fixture
def site(shared: Site) -> Site:
    """One server for most tests: starting it takes longer than they do."""
    shared.store.reset()
    shared.store.faults = []
    shared.progress.clear()
    return shared


def closed_port() -> str:
    return f"http://127.0.0.1:{free_port()}"


def test_all_parts_but_the_first_go_to_the_store(site: Site, file: File) -> None:
    path = file(LENGTH)
    result = site.upload(path)
    assert site.content(result) == path.read_bytes()
    assert result.direct_bytes == DIRECT
    assert site.store.sent["UploadPart"] == DIRECT
    assert result.bytes_sent == LENGTH
    assert result.bytes_sent_twice == 0
    assert {p.state for p in site.progress} <= {"starting", "sending", "completing", "done"}
    assert all(p.bytes_safe <= p.bytes_sent <= LENGTH for p in site.progress)
    assert site.progress[-1].bytes_safe == LENGTH


def test_behind_a_narrow_ingress_the_parts_do_not_meet_it(
    s3_server: S3Server, proxy: StoreProxy, tmp_path: Path, file: File
) -> None:
    path = file(LENGTH)
    with site_of(s3_server, proxy, tmp_path) as site:
        port = httpx2.URL(site.url).port
        assert port is not None
        with LimitingProxy("127.0.0.1", port, MiB).run_in_thread() as ingress:
            result = Client(f"{ingress.url}/api").upload(path)
        assert site.content(result) == path.read_bytes()
        assert result.direct_bytes == DIRECT
        assert result.refused <= 1


def test_a_store_that_cannot_be_reached_costs_one_try_and_no_error(
    s3_server: S3Server, proxy: StoreProxy, tmp_path: Path, file: File
) -> None:
    first, second = file(LENGTH), file(LENGTH + 1)
    with site_of(s3_server, proxy, tmp_path, public=closed_port()) as site:
        client = Client(site.url)
        for path in (first, second):
            result = site.upload(path, client)
            assert site.content(result) == path.read_bytes()
            assert result.direct_bytes == 0
        assert not [p for p in site.progress if p.problem or p.state in ("retrying", "waiting")]
        assert not client._run(_way).is_open


async def _way(client: Any) -> directly.DirectWay:
    way: directly.DirectWay = client._direct_way
    return way


@pytest.mark.parametrize("status", [403, 400])
def test_a_store_that_refuses_the_first_part_gets_no_other(
    site: Site, file: File, status: int
) -> None:
    path, client = file(LENGTH), Client(site.url, concurrency=1)
    site.store.faults = [Fault("UploadPart", 99, status, "AccessDenied", passes=False)]
    result = site.upload(path, client)
    assert site.content(result) == path.read_bytes()
    assert result.direct_bytes == 0
    assert site.put == 1
    assert not [p for p in site.progress if p.problem or p.state == "retrying"]
    again = site.upload(file(LENGTH + 1), client)
    assert again.direct_bytes == 0
    assert site.put == 1, "the client has forgotten"


def test_a_store_that_refuses_for_a_moment_is_tried_again(site: Site, file: File) -> None:
    path = file(LENGTH)
    site.store.faults = [Fault("UploadPart", 2, 503, "SlowDown", passes=False)]
    result = site.upload(path)
    assert site.content(result) == path.read_bytes()
    assert result.direct_bytes == DIRECT
    assert [p for p in site.progress if p.state == "retrying"]


def test_an_expired_address_is_asked_for_again(site: Site, file: File) -> None:
    path = file(LENGTH)
    expired = "AccessDenied</Code><Message>Request has expired.</Message><Code>x"
    site.store.faults = [Fault("UploadPart", 1, 403, expired, passes=False)]
    result = site.upload(path)
    assert site.content(result) == path.read_bytes()
    assert result.direct_bytes == DIRECT


def test_a_store_that_goes_away_later_is_given_up_after_some_tries(site: Site, file: File) -> None:
    path = file(LENGTH)

    def go_away() -> None:
        site.store.faults.append(Fault("UploadPart", 99, 503, "SlowDown", passes=False))

    site.store.faults = [Fault("UploadPart", 1, 200, passes=True, then=go_away)]
    result = site.upload(path, concurrency=1)
    assert site.content(result) == path.read_bytes()
    assert result.direct_bytes == PART
    assert site.put == 1 + directly.TRIES


def test_a_store_that_fails_for_longer_than_there_is_patience_is_no_end(
    site: Site, file: File
) -> None:
    path = file(LENGTH)
    site.store.faults = [
        Fault("UploadPart", 1, 200),
        Fault("UploadPart", 99, 503, "SlowDown", passes=False),
    ]
    result = site.upload(path, concurrency=1, patience=0.001)
    assert site.content(result) == path.read_bytes()
    assert result.direct_bytes == PART
    assert site.put < 1 + directly.TRIES


def test_a_part_whose_answer_is_lost_is_sent_again(site: Site, file: File) -> None:
    path = file(LENGTH)
    site.store.faults = [Fault("UploadPart", 1, 200), Fault("UploadPart", 1)]
    result = site.upload(path, concurrency=1)
    assert site.content(result) == path.read_bytes()
    assert result.direct_bytes == DIRECT
    assert result.bytes_sent_twice == PART


def test_a_part_that_the_store_says_it_has_and_has_not_is_sent_again(
    site: Site, file: File
) -> None:
    path = file(LENGTH)
    site.store.faults = [Fault("UploadPart", 1, 200, passes=False)]
    result = site.upload(path, concurrency=1)
    assert site.content(result) == path.read_bytes()
    assert result.direct_bytes == DIRECT


def test_a_server_without_direct_uploads_gets_chunks(
    s3_server: S3Server, proxy: StoreProxy, tmp_path: Path, file: File
) -> None:
    path = file(LENGTH)
    with site_of(s3_server, proxy, tmp_path, direct_uploads=False) as site:
        result = site.upload(path)
        assert site.content(result) == path.read_bytes()
        assert (result.direct_bytes, site.put) == (0, 0)


def test_chunks_that_are_no_divisors_of_a_part_go_without_direct_parts(
    s3_server: S3Server, proxy: StoreProxy, tmp_path: Path, file: File
) -> None:
    path = file(LENGTH)
    with site_of(s3_server, proxy, tmp_path, min_chunk=100_000) as site:
        result = site.upload(path)
        assert site.content(result) == path.read_bytes()
        assert result.direct_bytes == 0


def test_what_chunks_have_begun_is_ended_by_chunks(site: Site, file: File) -> None:
    """Another client sends some bytes of a part while this one sends the part to the store."""
    path = file(LENGTH)
    piece = path.read_bytes()[2 * PART : 2 * PART + 64 * KiB]

    def interfere() -> None:
        with httpx2.Client(base_url=site.url) as http:
            upload = site.unfinished(http)
            query = {"upload_id": upload["upload_id"], "offset": 2 * PART}
            assert http.post("/chunked-upload/chunk", params=query, content=piece).is_success

    site.store.faults = [Fault("UploadPart", 1, 200), Fault("UploadPart", 1, 200, then=interfere)]
    result = site.upload(path, concurrency=1)
    assert site.content(result) == path.read_bytes()
    assert result.direct_bytes == DIRECT - PART


def test_an_upload_that_is_cancelled_meanwhile_is_gone(site: Site, file: File) -> None:
    path = file(LENGTH)

    def cancel() -> None:
        with httpx2.Client(base_url=site.url) as http:
            upload = site.unfinished(http)
            assert http.delete(f"/chunked-upload/{upload['upload_id']}").is_success

    site.store.faults = [Fault("UploadPart", 1, 200, then=cancel)]
    with pytest.raises(UploadGone):
        site.upload(path, concurrency=1)


def test_a_client_that_is_killed_goes_on_where_it_was(site: Site, file: File) -> None:
    path = file(8 * PART)
    script = "import sys; from wherry.client import Client; Client(sys.argv[1]).upload(sys.argv[2])"
    command = [sys.executable, "-c", script, site.url, str(path)]
    with httpx2.Client(base_url=site.url) as http:
        # The fourth part has no answer until the client is dead.
        site.store.faults = [
            Fault("UploadPart", 3, 200),
            Fault("UploadPart", 1, then=lambda: process.kill()),
        ]
        process = subprocess.Popen(command)
        assert process.wait(120) == -signal.SIGKILL
        upload = site.unfinished(http)
        assert 0 < upload["received_bytes"] < 8 * PART
    site.store.faults = []
    result = site.upload(path)
    assert result.resumed_bytes >= upload["received_bytes"]
    assert result.direct_bytes > 0
    assert result.upload_id == upload["upload_id"]
    assert site.content(result) == path.read_bytes()


def test_the_command_line_sends_parts_directly(site: Site, file: File) -> None:
    path = file(LENGTH)
    command = [sys.executable, "-m", "wherry", "upload", str(path), site.url, "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)["direct_bytes"] == DIRECT
