"""Addresses at which clients send parts to the store themselves."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator

import httpx2
import pytest
from tests.storage.buckets import client_of, new_storage
from tests.storage.store_proxy import StoreProxy, store_proxy

from wherry.core.digests import crc64
from wherry.core.limits import MiB
from wherry.core.place import Place
from wherry.core.ranges import Range
from wherry.storage import PartAddress, StoredPart, Vanished
from wherry.storage.s3.bucket import Bucket
from wherry.storage.s3.connecting import connect
from wherry.storage.s3.storage import S3Storage
from wherry.testing.s3 import BUCKET, S3Server

UPLOAD = "u" * 22
PART = 5 * MiB
DATA = random.Random(8).randbytes(2 * PART + 1234)
SECOND, LAST = Range(PART, 2 * PART), Range(2 * PART, len(DATA))


@pytest.fixture(scope="module")
def proxy(s3_server: S3Server) -> Iterator[StoreProxy]:
    with store_proxy(s3_server.endpoint) as proxy:
        yield proxy


@pytest.fixture
def storage(s3_server: S3Server) -> S3Storage:
    storage = new_storage(s3_server)
    storage.reserve(UPLOAD, len(DATA), ".mp4")
    return storage


def bytes_of(within: Range) -> bytes:
    return DATA[within.start : within.end]


def address_of(storage: S3Storage, within: Range, lifetime: int = 60) -> PartAddress:
    return storage.parts.address(UPLOAD, within, crc64(bytes_of(within)), lifetime)


def send(address: PartAddress, data: bytes, **headers: str) -> httpx2.Response:
    return httpx2.request(
        address.method, address.url, content=data, headers=headers or dict(address.headers)
    )


def test_parts_that_clients_send_are_parts_of_the_file(storage: S3Storage) -> None:
    with storage.open(UPLOAD, Range(0, PART)) as writer:
        writer.write(0, memoryview(DATA)[:PART])
        writer.sync()
    for part in (LAST, SECOND):
        assert send(address_of(storage, part), bytes_of(part)).is_success
    assert storage.parts.stored(UPLOAD, [1, 2, 3]) == {
        n: StoredPart(len(data), crc64(data))
        for n, data in enumerate((DATA[:PART], bytes_of(SECOND), bytes_of(LAST)), 1)
    }
    with storage.finish(UPLOAD, ".mp4", len(DATA), crc64(DATA)).open() as file:
        assert file.read() == DATA


def test_an_address_takes_only_the_bytes_that_it_was_signed_for(storage: S3Storage) -> None:
    # A small part: of a large body, a refusal may close the connection before all of it is sent.
    address, right = address_of(storage, LAST), bytes_of(LAST)
    other = bytes(len(right))
    own = {"x-amz-checksum-crc64nvme": "AAAAAAAAAAA="}
    assert send(address, other).status_code == 400
    assert send(address, right[:-1]).status_code == 403
    assert send(address, right + b"x").status_code == 403
    assert send(address, other, **own).status_code == 403
    assert send(address, right, accept="*/*").status_code == 403, "sent without its checksum"
    assert storage.parts.stored(UPLOAD, [3]) == {}
    assert send(address, right).is_success


def test_an_address_ends_with_its_time(storage: S3Storage) -> None:
    address = address_of(storage, LAST, lifetime=1)
    deadline = time.monotonic() + 120
    while send(address, bytes_of(LAST)).status_code != 403:
        assert time.monotonic() < deadline
    assert send(address_of(storage, LAST), bytes_of(LAST)).is_success


def test_an_address_costs_no_request_and_is_no_text_of_the_log(
    s3_server: S3Server, proxy: StoreProxy
) -> None:
    storage = new_storage(s3_server, proxy.endpoint)
    storage.reserve(UPLOAD, len(DATA), ".mp4")
    proxy.reset()
    for part in (SECOND, LAST):
        assert "Signature" not in repr(address_of(storage, part))
    assert not proxy.requests


def test_what_is_no_part_has_no_address(storage: S3Storage) -> None:
    for wrong in (Range(PART, PART + 5), Range(PART + 5, 2 * PART), Range(PART, len(DATA))):
        with pytest.raises(ValueError, match="is no part"):
            storage.parts.address(UPLOAD, wrong, 0, 60)


def test_an_upload_that_has_ended_has_no_address_and_no_parts(
    storage: S3Storage, s3_server: S3Server
) -> None:
    other = new_storage(s3_server, prefix=storage.bucket.place.prefix)
    assert storage.parts.stored(UPLOAD, [2]) == {}
    address = address_of(storage, LAST)
    other.delete(UPLOAD)
    assert send(address, bytes_of(LAST)).status_code == 404
    with pytest.raises(Vanished):
        storage.parts.stored(UPLOAD, [2])
    with pytest.raises(Vanished):
        address_of(storage, SECOND)


def test_asking_for_some_of_thousands_of_parts_takes_few_requests(
    s3_server: S3Server, proxy: StoreProxy
) -> None:
    storage = new_storage(s3_server, proxy.endpoint)
    storage.reserve(UPLOAD, 5000 * PART)
    numbers = (2, 3, 900, 3000)
    multipart = storage._find(UPLOAD)
    for number in numbers:
        part = Range((number - 1) * PART, number * PART)
        multipart.put_part(part, memoryview(bytes(PART)), crc64(bytes(PART)))
    proxy.reset()
    found = storage.parts.stored(UPLOAD, [*numbers, 4, 901, 2999, 4500])
    assert tuple(found) == numbers
    assert proxy.requests == {"ListParts": 3}


def test_addresses_name_the_store_as_clients_reach_it(
    s3_server: S3Server, proxy: StoreProxy
) -> None:
    inside, outside = client_of(s3_server), client_of(s3_server, proxy.endpoint)
    storage = S3Storage(inside, new_storage(s3_server).bucket.place, public=outside)
    storage.reserve(UPLOAD, len(DATA), ".mp4")
    proxy.reset()
    address = address_of(storage, SECOND)
    assert address.url.startswith(f"{proxy.endpoint}/")
    assert storage.bucket.origin() == proxy.endpoint
    assert send(address, bytes_of(SECOND)).is_success
    assert proxy.requests == {"UploadPart": 1}
    with storage.put("v" * 22, ".mp4", [memoryview(b"film")]) as arrival:
        arrival.keep()
    url = storage.finished_file("v" * 22, ".mp4").url(60, "film.mp4", "video/mp4")
    assert httpx2.get(url).content == b"film"
    assert proxy.requests == {"UploadPart": 1, "GetObject": 1}


def test_a_store_that_does_not_verify_each_part_gets_none_from_clients(
    s3_server: S3Server, proxy: StoreProxy
) -> None:
    place = new_storage(s3_server).bucket.place
    able = S3Storage(client_of(s3_server), place, is_direct=True)
    able.check()
    assert able.parts.takes_direct
    not_wanted = S3Storage(client_of(s3_server), place)
    not_wanted.check()
    assert not not_wanted.parts.takes_direct
    # It takes a part with a wrong checksum.
    unable = S3Storage(_Careless(client_of(s3_server)), place, is_direct=True)
    [sentence] = [text for text in unable.check() if "direct_uploads" in text]
    assert "does not verify the CRC-64/NVME of each part" in sentence
    assert not unable.parts.takes_direct


class _Careless:
    """A client of a store that does not compare the checksums of parts."""

    def __init__(self, client: object) -> None:
        self._client = client

    def __getattr__(self, name: str) -> object:
        return getattr(self._client, name)

    def upload_part(self, ChecksumCRC64NVME: str, **given: object) -> object:  # noqa: N803
        return self._client.upload_part(**given)  # type: ignore[attr-defined]

    def list_parts(self, **given: object) -> object:
        answer = self._client.list_parts(**given)  # type: ignore[attr-defined]
        for part in answer.get("Parts", []):
            part["ChecksumCRC64NVME"] = "some"
        return answer


def test_the_cors_rule_is_asked_for_until_the_bucket_has_it(
    s3_server: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = client_of(s3_server)
    name = s3_server.make_bucket(f"{BUCKET}-cors")

    def warnings() -> list[str]:
        storage = S3Storage(client, Place(name, ""), is_direct=True)
        return [text for text in storage.check() if "CORS" in text]

    [sentence] = warnings()
    assert "`wherry storage reconcile --dry-run` prints" in sentence
    client.put_bucket_cors(Bucket=name, CORSConfiguration=Place(name, "").cors_rule())
    assert warnings() == []


def test_with_the_cors_rule_a_page_may_send_parts(s3_server: S3Server) -> None:
    client = client_of(s3_server)
    name = s3_server.make_bucket(f"{BUCKET}-pages")
    client.put_bucket_cors(Bucket=name, CORSConfiguration=Place(name, "").cors_rule())
    storage = S3Storage(client, Place(name, ""))
    storage.reserve(UPLOAD, len(DATA), ".mp4")
    address, origin = address_of(storage, SECOND), "https://app.example.org"
    asked = httpx2.options(
        address.url,
        headers={
            "origin": origin,
            "access-control-request-method": "PUT",
            "access-control-request-headers": "x-amz-checksum-crc64nvme",
        },
    )
    assert asked.status_code == 200
    assert asked.headers["access-control-allow-origin"] in ("*", origin)
    sent = send(address, bytes_of(SECOND), **address.headers, origin=origin)
    assert sent.is_success
    assert sent.headers["access-control-allow-origin"] in ("*", origin)


@pytest.mark.parametrize(
    ("region", "origin"),
    [
        ("us-east-1", "https://my-bucket.s3.amazonaws.com"),
        ("eu-west-1", "https://my-bucket.s3.eu-west-1.amazonaws.com"),
    ],
)
def test_addresses_at_amazon_name_the_region(
    s3_server: S3Server, monkeypatch: pytest.MonkeyPatch, region: str, origin: str
) -> None:
    """The global address redirects to that of the region, which browsers do not follow."""
    for name, value in (s3_server.environment | {"AWS_REGION": region}).items():
        monkeypatch.setenv(name, value)
    bucket = Bucket(connect(None, None), Place("my-bucket", ""))
    assert bucket.origin() == origin
