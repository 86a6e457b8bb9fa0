"""A real server that keeps its files in a real object store, behind nginx."""

from __future__ import annotations

import random
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event
from typing import Any

import httpx2
import pytest
from tests.cli.command import wherry
from tests.e2e.conftest import Api, make_file, sha256
from tests.storage.store_proxy import Fault, store_proxy

from wherry.client import Client
from wherry.core.limits import KiB, MiB
from wherry.lane.readers import DISTANT_THREADS
from wherry.testing.nginx import nginx, require_nginx
from wherry.testing.s3 import BUCKET, S3Server
from wherry.testing.server import Server, serving
from wherry.testing.video import make_video

PART = 5 * MiB


@pytest.fixture
def options(s3_options: dict[str, Any]) -> dict[str, object]:
    return {**s3_options, "assessment": False}


@pytest.fixture
def files(s3_server: S3Server, tmp_path: Path) -> Path:
    """Where versitygw has the finished objects."""
    return s3_server.folder / BUCKET / tmp_path.name / "files"


def keys_beside(files: Path) -> list[str]:
    """The objects that are no finished files."""
    found = (path.relative_to(files.parent) for path in files.parent.rglob("*") if path.is_file())
    return sorted(str(path) for path in found if path.parts[0] != "files")


def no_byte_on_the_disk(server: Server) -> bool:
    return not any((server.data / name).exists() for name in ("files", "temp_chunks"))


def test_files_of_every_kind_go_through_nginx_into_the_store(
    tmp_path: Path, options: dict[str, object], files: Path
) -> None:
    require_nginx()
    large = make_file(tmp_path / "film.mp4", 2 * PART + 12_345)
    small = make_file(tmp_path / "clip.mp4", 300_000, seed=2)
    empty = make_file(tmp_path / "none.mp4", 0)
    with serving(tmp_path / "data", **options) as server:
        with nginx(server.port, "6m") as wide:
            found = Client(f"{wide.url}/api").upload(large)
            assert found.refused == 0
            for name, sent in (("large", large), ("small", small), ("empty", empty)):
                answer = httpx2.post(
                    f"{server.url}/api/upload", files={"file": ("a.mp4", sent.read_bytes())}
                )
                assert answer.is_success, name
                stored = files / f"{answer.json()['upload_id']}.mp4"
                assert sha256(stored) == sha256(sent), name
        with nginx(server.port) as narrow:
            through = Client(f"{narrow.url}/api").upload(make_file(tmp_path / "b.mp4", 6 * MiB))
        assert sha256(files / f"{found.upload_id}.mp4") == sha256(large)
        assert sha256(files / f"{through.upload_id}.mp4") == sha256(tmp_path / "b.mp4")
        assert keys_beside(files) == ["wherry.json"]
        assert no_byte_on_the_disk(server)
        got = httpx2.get(
            f"{server.url}/api/files/{found.upload_id}", headers={"Range": "bytes=5-9"}
        )
        assert (got.status_code, got.content) == (206, large.read_bytes()[5:10])


def test_a_small_file_survives_kills_between_its_chunk_and_its_completion(
    tmp_path: Path, options: dict[str, object], files: Path
) -> None:
    data = random.Random(5).randbytes(300_000)
    server = Server(tmp_path / "data", **options)
    try:
        server.start()
        with Api(server.url) as api:
            kept, cancelled = (api.init(len(data))["upload_id"] for _ in range(2))
            for upload_id in (kept, cancelled):
                assert api.chunk(upload_id, 0, data).is_success
        server.kill()
        server.start()
        with Api(server.url) as api:
            assert api.status(kept)["received_bytes"] == len(data)
            assert api.complete(kept).is_success
            assert api.http.delete(f"/chunked-upload/{cancelled}").is_success
        assert [path.name for path in files.iterdir()] == [f"{kept}.mp4"]
        assert (files / f"{kept}.mp4").read_bytes() == data
        assert keys_beside(files) == ["wherry.json"]
    finally:
        server.stop()


def test_chunks_in_any_order_survive_kills_and_complete_once(
    tmp_path: Path, options: dict[str, object], files: Path
) -> None:
    data = random.Random(3).randbytes(PART + 200_000)
    size = 64 * KiB
    chunks = list(range(0, len(data), size))
    random.Random(4).shuffle(chunks)
    server = Server(tmp_path / "data", **options)
    try:
        server.start()
        with Api(server.url) as api:
            upload_id = api.init(len(data))["upload_id"]
        for first in range(0, len(chunks), 45):
            with Api(server.url) as api, ThreadPoolExecutor(4) as threads:

                def send(at: int, api: Api = api) -> None:
                    assert api.chunk(upload_id, at, data[at : at + size]).is_success

                list(threads.map(send, chunks[first : first + 45]))
            server.kill()
            server.start()
        with Api(server.url) as api:
            assert api.status(upload_id)["received_bytes"] == len(data)
            answers = [api.complete(upload_id) for _ in range(3)]
        assert all(answer.is_success for answer in answers)
        assert len({answer.text for answer in answers}) == 1
        assert (files / f"{upload_id}.mp4").read_bytes() == data
    finally:
        server.stop()


def test_a_cancelled_upload_leaves_nothing_in_the_store(
    tmp_path: Path, options: dict[str, object], files: Path, s3_server: S3Server
) -> None:
    with serving(tmp_path / "data", **options) as server, Api(server.url) as api:
        upload_id = api.init(2 * PART)["upload_id"]
        assert api.chunk(upload_id, 0, bytes(PART)).is_success
        assert api.chunk(upload_id, PART, bytes(100_000)).is_success
        assert keys_beside(files) != ["wherry.json"]
        assert api.http.delete(f"/chunked-upload/{upload_id}").is_success
        assert keys_beside(files) == ["wherry.json"]
        assert not list(files.glob("*"))
        listed = api.http.get("/chunked-upload/storage").json()
        assert listed["total"] is listed["free"] is None


def test_a_type_that_is_not_allowed_is_refused_in_its_first_chunk(
    tmp_path: Path, options: dict[str, object], files: Path
) -> None:
    data = b"\x89PNG\r\n\x1a\n" + bytes(2 * PART)
    with (
        serving(tmp_path / "data", **options, allowed_types="video/*") as server,
        Api(server.url) as api,
    ):
        upload_id = api.init(len(data))["upload_id"]
        answer = api.chunk(upload_id, 0, data[:PART])
        assert (answer.status_code, answer.json()["code"]) == (415, "type-refused")
        small = httpx2.post(f"{server.url}/api/upload", files={"file": ("a.mp4", data[:9999])})
        assert small.json()["code"] == "type-refused"
        assert keys_beside(files) == ["wherry.json"]
        # And when its first bytes do not come at once.
        upload_id = api.init(100_000)["upload_id"]
        assert api.chunk(upload_id, 64 * KiB, data[64 * KiB : 100_000]).is_success
        assert api.chunk(upload_id, 0, data[: 64 * KiB]).json()["code"] == "type-refused"


def test_a_prefix_that_has_lost_all_its_files_is_refused_at_the_start(
    tmp_path: Path, options: dict[str, object]
) -> None:
    with serving(tmp_path / "data", **options) as server:
        Client(f"{server.url}/api").upload(make_file(tmp_path / "a.mp4", 1000))
    other = options | {"storage": f"s3://{BUCKET}/{tmp_path.name}-typo"}
    with (
        pytest.raises(RuntimeError, match="belong to another storage"),
        serving(tmp_path / "data", **other),
    ):
        pass


def test_a_new_catalog_is_refused_where_it_would_delete_the_uploads_of_another(
    tmp_path: Path, options: dict[str, object]
) -> None:
    with serving(tmp_path / "data", **options) as server, Api(server.url) as api:
        upload_id = api.init(100_000)["upload_id"]
        assert api.chunk(upload_id, 0, bytes(64 * KiB)).is_success
    with (
        pytest.raises(RuntimeError, match="belong to another catalog"),
        serving(tmp_path / "other", **options),
    ):
        pass


def test_reconcile_prints_each_rule_of_the_bucket_once(
    tmp_path: Path, s3_options: dict[str, Any]
) -> None:
    options = [f"--{name.replace('_', '-')}={value}" for name, value in s3_options.items()]
    options += [f"--data={tmp_path}", "--direct-uploads=true", "--dry-run"]
    done = wherry("storage", "reconcile", *options)
    for rule in ("wherry-incomplete", "wherry-probes", "wherry-direct"):
        assert (done.stdout + done.stderr).count(rule) == 1


def test_wrong_settings_of_the_store_are_told_before_the_start(
    tmp_path: Path, options: dict[str, object]
) -> None:
    for wrong, sentence in (
        ({"storage": "s3:/bucket"}, "is not s3://BUCKET"),
        ({"s3_endpoint": "ftp://x"}, "must be an address"),
        (
            {"storage": "s3://no-such-bucket-at-all/a"},
            "no-such-bucket-at-all: the bucket does",
        ),
    ):
        with (
            pytest.raises(RuntimeError, match=sentence),
            serving(tmp_path / "data", **(options | wrong)),
        ):
            pass


def test_a_video_in_the_store_is_assessed_and_its_pictures_are_kept_there(
    tmp_path: Path, options: dict[str, object], files: Path
) -> None:
    video = make_video(tmp_path / "talk.mp4", seconds=2, width=64, height=48)
    with serving(tmp_path / "data", **(options | {"assessment": True})) as server:
        client = Client(f"{server.url}/api")
        found = client.upload(video)
        assert found.assessment_id is not None
        assessment = client.wait_for_assessment(found.assessment_id)
        assert assessment.report is not None
        assert assessment.report["verdict"] == "pass"
        pictures = files.parent / "assessments" / found.assessment_id
        assert "poster.jpg" in {path.name for path in pictures.iterdir()}
        address = f"{server.url}/api/assessments/{found.assessment_id}/pictures/poster.jpg"
        poster = httpx2.get(address)
        assert poster.content == (pictures / "poster.jpg").read_bytes()
        assert httpx2.delete(f"{server.url}/api/files/{found.upload_id}").is_success
        assert not pictures.exists() or not list(pictures.iterdir())
        assert not list(files.glob("*"))


def test_large_bodies_that_the_store_is_slow_to_take_hold_up_no_small_request(
    tmp_path: Path, options: dict[str, object], s3_server: S3Server
) -> None:
    is_over = Event()

    def wait() -> None:
        is_over.wait(60)

    with store_proxy(s3_server.endpoint) as proxy:
        own = options | {"s3_endpoint": proxy.endpoint, "max_open": 100}
        with serving(tmp_path / "data", **own) as server, Api(server.url) as api:
            large = [api.init(PART + 300_000)["upload_id"] for _ in range(20)]
            other = api.init(100_000)["upload_id"]
            # Their answers are lost in the end, and botocore asks again.
            fault = Fault("UploadPart", len(large), then=wait)
            proxy.faults = [fault]
            with ThreadPoolExecutor(len(large)) as threads:
                sent = [threads.submit(api.chunk, one, PART, bytes(300_000)) for one in large]
                try:
                    deadline = time.monotonic() + 60
                    while fault.times > len(large) - DISTANT_THREADS:
                        assert time.monotonic() < deadline
                        time.sleep(0.01)
                    assert api.chunk(other, 0, bytes(64 * KiB)).is_success
                    assert api.status(other)["received_bytes"] == 64 * KiB
                    assert not any(one.done() for one in sent)
                finally:
                    is_over.set()
                    proxy.faults = []
                assert all(one.result().is_success for one in sent)


def test_chunks_land_on_two_pods_that_share_a_database_and_a_bucket(
    tmp_path: Path, options: dict[str, object], files: Path, database: str
) -> None:
    data = random.Random(6).randbytes(PART + 300_000)
    own = options | {"database": database}
    with (
        serving(tmp_path / "one", **own) as one,
        serving(tmp_path / "two", **own) as two,
        Api(one.url) as first,
        Api(two.url) as second,
    ):
        pods = (first, second)
        upload_id = first.init(len(data))["upload_id"]
        for number, at in enumerate(range(0, len(data), 700_000)):
            assert pods[number % 2].chunk(upload_id, at, data[at : at + 700_000]).is_success
        answers = [pod.complete(upload_id) for pod in pods]
        assert all(answer.is_success for answer in answers)
        assert answers[0].text == answers[1].text
        assert (files / f"{upload_id}.mp4").read_bytes() == data
        assert keys_beside(files) == ["wherry.json"]
        assert no_byte_on_the_disk(one)
        assert no_byte_on_the_disk(two)
