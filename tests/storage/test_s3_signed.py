"""Requests that are sent without botocore's client do what the client would have done."""

from __future__ import annotations

import datetime
import secrets
from collections.abc import Iterator
from typing import Any
from unittest.mock import Mock, patch

import pytest
from botocore.awsrequest import AWSResponse
from botocore.exceptions import ClientError
from tests.storage.buckets import client_of, new_storage
from tests.storage.store_proxy import Fault, StoreProxy, store_proxy

from wherry.core.digests import crc64
from wherry.core.limits import MiB
from wherry.core.place import Place
from wherry.core.ranges import Range
from wherry.storage.s3 import signed
from wherry.storage.s3.bucket import as_text
from wherry.storage.s3.connecting import connect
from wherry.storage.s3.signed import MOST_FAILURES, SignedRequests
from wherry.storage.s3.storage import S3Storage
from wherry.testing.s3 import BUCKET, S3Server

UPLOAD = "u" * 22
DATA = b"wherry" * 1000
CRC = as_text(crc64(DATA))
TOKEN = "0123456789abcdef"


@pytest.fixture
def proxy(s3_server: S3Server) -> Iterator[StoreProxy]:
    with store_proxy(s3_server.endpoint) as proxy:
        yield proxy


@pytest.fixture
def key() -> str:
    """With characters that are not the same in an address."""
    return f"{secrets.token_hex(8)}/films + täst (1)=~'&x/a.mp4"


def requests_of(client: Any) -> SignedRequests:
    return SignedRequests(client, Place(BUCKET, ""))


def done(client: Any, operation: str, **parameters: Any) -> dict[str, Any]:
    answer = requests_of(client).send(operation, parameters)
    assert answer is not None, "the client would have to do it"
    return answer


def test_an_object_is_put_as_the_client_puts_it(s3_server: S3Server, key: str) -> None:
    client = client_of(s3_server)
    kind = {"Metadata": {"wherry-token": TOKEN}, "ContentType": "video/mp4"}
    done(client, "put_object", Key=key, Body=DATA, ChecksumCRC64NVME=CRC, IfNoneMatch="*", **kind)
    found = client.head_object(Bucket=BUCKET, Key=key, ChecksumMode="ENABLED")
    assert found["ContentLength"] == len(DATA)
    assert found["Metadata"] == kind["Metadata"]
    assert found["ContentType"] == "video/mp4"
    assert found["ChecksumCRC64NVME"] == CRC
    client.delete_object(Bucket=BUCKET, Key=key)


def test_a_head_says_what_the_clients_says(s3_server: S3Server, key: str) -> None:
    client = client_of(s3_server)
    client.put_object(
        Bucket=BUCKET, Key=key, Body=DATA, ChecksumCRC64NVME=CRC, Metadata={"wherry-token": TOKEN}
    )
    wanted = client.head_object(Bucket=BUCKET, Key=key, ChecksumMode="ENABLED")
    found = done(client, "head_object", Key=key, ChecksumMode="ENABLED")
    assert found["LastModified"].tzinfo == datetime.UTC
    assert found == {name: wanted[name] for name in found}
    names = {"ContentLength", "LastModified", "ETag", "Metadata", "ChecksumCRC64NVME"}
    assert names == found.keys()
    with done(client, "get_object", Key=key, Range="bytes=3-8")["Body"] as body:
        assert body.read() == DATA[3:9]
    done(client, "delete_object", Key=key)
    for operation in ("head_object", "get_object"):
        with pytest.raises(ClientError):
            requests_of(client).send(operation, {"Key": key})


def test_parts_become_an_object_as_with_the_client(s3_server: S3Server, key: str) -> None:
    client = client_of(s3_server)
    kind = {"ChecksumAlgorithm": "CRC64NVME", "ChecksumType": "FULL_OBJECT"}
    metadata = {"wherry-token": TOKEN}
    begun = done(client, "create_multipart_upload", Key=key, Metadata=metadata, **kind)
    upload = {"Key": key, "UploadId": begun["UploadId"]}
    body = memoryview(bytearray(DATA))
    done(client, "upload_part", **upload, PartNumber=1, Body=body, ChecksumCRC64NVME=CRC)
    [part] = client.list_parts(Bucket=BUCKET, **upload)["Parts"]
    assert (part["Size"], part["ChecksumCRC64NVME"]) == (len(DATA), CRC)
    listed = {name: part[name] for name in ("PartNumber", "ETag", "ChecksumCRC64NVME")}
    done(
        client,
        "complete_multipart_upload",
        **upload,
        MultipartUpload={"Parts": [listed]},
        ChecksumType="FULL_OBJECT",
        ChecksumCRC64NVME=CRC,
        MpuObjectSize=len(DATA),
        IfNoneMatch="*",
    )
    found = client.get_object(Bucket=BUCKET, Key=key)
    assert (found["Body"].read(), found["Metadata"]) == (DATA, metadata)
    begun = done(client, "create_multipart_upload", Key=key)
    done(client, "abort_multipart_upload", Key=key, UploadId=begun["UploadId"])
    assert not client.list_multipart_uploads(Bucket=BUCKET, Prefix=key).get("Uploads")
    client.delete_object(Bucket=BUCKET, Key=key)


def test_several_objects_are_deleted_as_by_the_client(s3_server: S3Server, key: str) -> None:
    client = client_of(s3_server)
    keys = [f"{key}<{number}>" for number in range(3)]
    for each in keys:
        client.put_object(Bucket=BUCKET, Key=each, Body=DATA)
    done(client, "delete_objects", Delete={"Objects": [{"Key": each} for each in keys[:2]]})
    left = client.list_objects_v2(Bucket=BUCKET, Prefix=key)["Contents"]
    assert [each["Key"] for each in left] == keys[2:]
    done(client, "delete_objects", Delete={"Objects": [{"Key": each} for each in keys]})
    assert client.list_objects_v2(Bucket=BUCKET, Prefix=key)["KeyCount"] == 0


def test_what_was_not_carried_out_is_the_clients(s3_server: S3Server, key: str) -> None:
    client = client_of(s3_server)
    wrong = as_text(crc64(b"ferry"))
    put: dict[str, Any] = {"Key": key, "Body": DATA, "IfNoneMatch": "*"}
    requests = requests_of(client)
    assert requests.send("put_object", {**put, "ChecksumCRC64NVME": wrong}) is None
    assert requests.send("put_object", put) == {}
    assert requests.send("put_object", put) is None, "there is one"
    assert requests.send("list_parts", {"Key": key, "UploadId": "none"}) is None
    assert requests.send("put_object", {**put, "StorageClass": "GLACIER"}) is None
    nowhere = SignedRequests(client, Place("no-such-bucket", ""))
    assert nowhere.send("get_object", {"Key": key}) is None, "not the object is missing"
    client.delete_object(Bucket=BUCKET, Key=key)


def test_an_upload_takes_no_call_of_the_client_for_its_bytes(s3_server: S3Server) -> None:
    storage = new_storage(s3_server)
    data = secrets.token_bytes(MiB)
    asked: list[str] = []

    def noted(operation: str, *_: Any) -> Any:
        asked.append(operation)
        raise AssertionError(f"the client was asked for {operation}")

    with patch.object(storage.bucket._client, "_make_api_call", noted):
        storage.reserve(UPLOAD, len(data), ".mp4")
        with storage.open(UPLOAD, Range(0, len(data))) as writer:
            writer.write(0, memoryview(data))
            writer.sync()
        assert storage.head(UPLOAD, 10) == data[:10]
    assert asked == []
    storage.delete(UPLOAD)


def test_after_several_failures_the_client_makes_all_requests(
    s3_server: S3Server, proxy: StoreProxy, key: str
) -> None:
    requests, clock = requests_of(client_of(s3_server, proxy.endpoint)), Mock()
    clock.monotonic.return_value = 0.0
    put: dict[str, Any] = {"Key": key, "Body": DATA}
    proxy.faults = [Fault("PutObject", MOST_FAILURES, 503, "SlowDown", passes=False)]
    with patch.object(signed, "time", clock):
        for _ in range(MOST_FAILURES + 2):
            assert requests.send("put_object", put) is None
        assert proxy.requests["PutObject"] == MOST_FAILURES
        clock.monotonic.return_value = signed.PAUSE + 1
        assert requests.send("put_object", put) == {}
        # What an answer says of an object is no failure.
        proxy.reset()
        for _ in range(MOST_FAILURES + 1):
            assert requests.send("put_object", {**put, "IfNoneMatch": "*"}) is None
            with pytest.raises(ClientError, match="NoSuchUpload"):
                requests.send("abort_multipart_upload", {"Key": key, "UploadId": "none"})
        assert proxy.requests["PutObject"] == MOST_FAILURES + 1
        # One failure among requests that are carried out changes nothing.
        for _ in range(MOST_FAILURES + 1):
            proxy.faults = [Fault("PutObject", 1, 503, "SlowDown", passes=False)]
            assert requests.send("put_object", put) is None
            assert requests.send("put_object", put) == {}
        assert requests.send("delete_object", {"Key": key}) == {}


def test_a_key_of_an_account_that_changes_is_used_at_once(s3_server: S3Server, key: str) -> None:
    """Roles have credentials that end; botocore fetches new ones."""
    with patch.dict("os.environ", s3_server.environment):
        client = connect(s3_server.endpoint, None)
    requests = requests_of(client)
    assert requests.send("put_object", {"Key": key, "Body": DATA}) == {}
    credentials = client._request_signer._credentials
    right = credentials.secret_key
    credentials.secret_key = "another"
    assert requests.send("put_object", {"Key": key, "Body": DATA}) is None
    credentials.secret_key = right
    assert requests.send("delete_object", {"Key": key}) == {}


def test_without_credentials_the_client_says_so() -> None:
    nowhere = {"AWS_CONFIG_FILE": "/dev/null", "AWS_EC2_METADATA_DISABLED": "true"}
    with patch.dict("os.environ", nowhere, clear=True):
        storage = S3Storage(connect("http://127.0.0.1:1", None), Place(BUCKET, ""))
        with pytest.raises(OSError, match="no credentials"):
            storage.bucket.head("a")


@pytest.mark.parametrize(
    ("bucket", "address"),
    [
        ("my-bucket", "https://my-bucket.s3.eu-central-1.amazonaws.com/a/b%20c.mp4"),
        ("my.bucket", "https://s3.eu-central-1.amazonaws.com/my.bucket/a/b%20c.mp4"),
    ],
)
def test_requests_go_where_the_client_sends_them(bucket: str, address: str) -> None:
    account = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret"}
    with patch.dict("os.environ", {**account, "AWS_REGION": "eu-central-1"}):
        client = connect(None, None)
    requests, sent = SignedRequests(client, Place(bucket, "")), list[Any]()

    some = {"Objects": [{"Key": "a"}, {"Key": "b"}], "Quiet": True}

    def answered(request: Any, **_: Any) -> AWSResponse:
        sent.append(request)
        body = b"<DeleteResult/>" if request.method == "POST" else b""
        return AWSResponse(request.url, 200, {}, Mock(stream=lambda: iter((body,))))

    with patch.object(requests, "_session", Mock(send=answered)):
        assert requests.send("delete_object", {"Key": "a/b c.mp4"}) == {}
        assert requests.send("delete_objects", {"Delete": some}) == {}
    client.meta.events.register("before-send.s3", answered)
    client.delete_object(Bucket=bucket, Key="a/b c.mp4")
    client.delete_objects(Bucket=bucket, Delete=some)
    assert [request.url for request in sent[::2]] == [address, address]
    assert sent[1].url == sent[3].url
    ours, theirs = (str(request.headers["Authorization"]) for request in sent[::2])
    assert "/eu-central-1/s3/aws4_request" in ours
    assert "/eu-central-1/s3/aws4_request" in theirs
