"""What a store and the way to it may do wrong, and what comes of it."""

from __future__ import annotations

import errno
import logging
import random
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from unittest.mock import Mock, patch

import pytest
from tests.storage.buckets import client_of, new_storage
from tests.storage.store_proxy import Fault, StoreProxy, store_proxy

from wherry.core.digests import crc64
from wherry.core.errors import DiskFull
from wherry.core.limits import MiB
from wherry.core.place import Place
from wherry.core.ranges import Range
from wherry.storage import CannotPut, Vanished
from wherry.storage.s3.connecting import connect
from wherry.storage.s3.storage import S3Storage
from wherry.testing.s3 import BUCKET, S3Server

UPLOAD = "u" * 22
PART = 5 * MiB
DATA = random.Random(1).randbytes(PART + 100_000)
DAY = 24 * 3600.0
ENDS_UPLOADS = {
    "Status": "Enabled",
    "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 7},
}


@pytest.fixture(autouse=True)
def no_pauses() -> Iterator[None]:
    """botocore pauses between tries, for seconds."""
    without = Mock(wraps=time)
    without.sleep = lambda _: None
    with patch("botocore.endpoint.time", without):
        yield


@pytest.fixture
def proxy(s3_server: S3Server) -> Iterator[StoreProxy]:
    with store_proxy(s3_server.endpoint) as proxy:
        yield proxy


@pytest.fixture
def storage(s3_server: S3Server, proxy: StoreProxy) -> S3Storage:
    with patch.dict("os.environ", s3_server.environment):
        client = connect(proxy.endpoint, None)
    return S3Storage(client, new_storage(s3_server).bucket.place)


def write(storage: S3Storage, start: int = 0, end: int = len(DATA)) -> None:
    with storage.open(UPLOAD, Range(start, end)) as writer:
        writer.write(start, memoryview(DATA)[start:end])
        writer.sync()


def write_all(storage: S3Storage) -> None:
    storage.reserve(UPLOAD, len(DATA), ".mp4")
    write(storage)


def link(storage: S3Storage) -> None:
    assert storage.link(UPLOAD, ".mp4", len(DATA), crc64(DATA))


def elsewhere(storage: S3Storage) -> S3Storage:
    """Another process, which remembers nothing."""
    return S3Storage(storage.bucket._client, storage.bucket.place)


def content(storage: S3Storage) -> bytes:
    with storage.finished_file(UPLOAD, ".mp4").open() as file:
        return file.read()


# Answers that are lost, and the store being slow.


@pytest.mark.parametrize(
    "operation", ["CreateMultipartUpload", "UploadPart", "PutObject", "ListParts", "HeadObject"]
)
def test_a_lost_answer_is_asked_for_again(
    storage: S3Storage, proxy: StoreProxy, operation: str
) -> None:
    proxy.faults = [Fault(operation)]
    write_all(storage)
    link(elsewhere(storage))
    assert content(storage) == DATA
    assert not proxy.faults[0].times, "the fault did not happen"


@pytest.mark.parametrize(
    "operation",
    ["CreateMultipartUpload", "UploadPart", "PutObject", "CompleteMultipartUpload", "ListParts"],
)
def test_a_store_that_asks_to_slow_down_is_asked_again(
    storage: S3Storage, proxy: StoreProxy, operation: str
) -> None:
    proxy.faults = [Fault(operation, 2, 503, "SlowDown", passes=False)]
    write_all(storage)
    link(elsewhere(storage))
    assert not proxy.faults[0].times
    assert content(storage) == DATA


def test_a_store_that_is_down_for_long_is_an_error_and_loses_nothing(
    storage: S3Storage, proxy: StoreProxy
) -> None:
    storage.reserve(UPLOAD, len(DATA), ".mp4")
    write(storage, 0, PART)
    proxy.faults = [Fault("UploadPart", 100, 503, "SlowDown", passes=False)]
    with storage.open(UPLOAD, Range(PART, len(DATA))) as writer:
        writer.write(PART, memoryview(DATA)[PART:])
        with pytest.raises(OSError, match="SlowDown"):
            writer.sync()
        with pytest.raises(OSError, match="earlier"):
            writer.sync()
    proxy.faults.clear()
    with pytest.raises(OSError, match="missing"):
        link(storage)
    write(storage, PART)
    link(storage)
    assert content(storage) == DATA


# Completing.


def test_a_completion_whose_answer_is_lost_is_found_done(
    storage: S3Storage, proxy: StoreProxy
) -> None:
    write_all(storage)
    proxy.faults = [
        Fault("CompleteMultipartUpload"),
        # Not every store answers a second completion like the first one.
        Fault("CompleteMultipartUpload", 1, 404, "NoSuchUpload", passes=False),
    ]
    link(storage)
    assert [fault.times for fault in proxy.faults] == [0, 0]
    assert content(storage) == DATA
    proxy.reset()
    link(storage)
    assert proxy.requests["CompleteMultipartUpload"] == 0, "the multipart upload is gone"


def test_an_error_in_an_answer_with_status_200_is_an_error(
    storage: S3Storage, proxy: StoreProxy
) -> None:
    write_all(storage)
    error = Fault("CompleteMultipartUpload", 100, 200, "InternalError", passes=False)
    proxy.faults = [error]
    with pytest.raises(OSError, match="InternalError"):
        link(storage)
    assert error.times < 99, "it was not tried again"
    assert storage.finished_file(UPLOAD, ".mp4").stat() is None
    error.times = 1
    link(storage)
    assert content(storage) == DATA


def test_an_error_with_status_200_after_the_object_was_made_is_found_done(
    storage: S3Storage, proxy: StoreProxy
) -> None:
    write_all(storage)
    proxy.faults = [
        Fault("CompleteMultipartUpload", 1, 200, "InternalError"),
        Fault("CompleteMultipartUpload", 1, 412, "PreconditionFailed", passes=False),
    ]
    link(storage)
    assert content(storage) == DATA


def test_an_upload_whose_parts_are_gone_has_vanished(
    storage: S3Storage, s3_server: S3Server
) -> None:
    write_all(storage)
    marker = storage.markers.get(UPLOAD)
    assert marker is not None
    storage.bucket.abort(marker.file(UPLOAD), marker.multipart)  # a lifecycle rule
    with patch("wherry.storage.s3.multipart.PAUSES", (0.01,)):
        with pytest.raises(Vanished):
            link(storage)
        with pytest.raises(Vanished):
            storage.finish(UPLOAD, ".mp4", len(DATA), crc64(DATA))
    storage.delete(UPLOAD)
    assert list(storage.bucket.list("")) == []


def test_bytes_that_are_not_the_recorded_ones_are_never_a_file(storage: S3Storage) -> None:
    write_all(storage)
    with storage.open(UPLOAD, Range(PART, len(DATA))) as writer:  # a process that was paused
        writer.write(PART, memoryview(bytes(len(DATA) - PART)))
        writer.sync()
    with pytest.raises(OSError, match="not those that were received"):
        link(storage)
    assert storage.finished_file(UPLOAD, ".mp4").stat() is None
    write(storage, PART)
    link(storage)
    assert content(storage) == DATA


def test_a_part_that_changes_while_it_is_completed_is_looked_up_again(
    storage: S3Storage, proxy: StoreProxy, s3_server: S3Server
) -> None:
    write_all(storage)
    other = new_storage(s3_server, prefix=storage.bucket.place.prefix)
    proxy.faults = [
        Fault("ListParts", 1, 404, "NoSuchKey", passes=False, then=lambda: link(other)),
    ]
    link(elsewhere(storage))
    assert not proxy.faults[0].times
    assert content(storage) == DATA


def test_an_upload_that_is_hidden_while_another_request_completes_it_has_not_vanished(
    storage: S3Storage, proxy: StoreProxy
) -> None:
    write_all(storage)
    proxy.faults = [Fault("ListParts", 1, 404, "NoSuchUpload", passes=False)]
    link(elsewhere(storage))
    assert not proxy.faults[0].times
    assert content(storage) == DATA


def test_an_object_that_is_still_being_made_for_another_request_is_waited_for(
    storage: S3Storage, proxy: StoreProxy, s3_server: S3Server
) -> None:
    write_all(storage)
    other = new_storage(s3_server, prefix=storage.bucket.place.prefix)
    hidden = Fault("ListParts", 2, 404, "NoSuchUpload", passes=False)
    with ThreadPoolExecutor(1) as threads:

        def complete() -> None:
            threads.submit(link, other)

        hidden.then = complete
        proxy.faults = [hidden]
        link(elsewhere(storage))
    assert content(storage) == DATA


def test_two_processes_complete_the_same_upload(storage: S3Storage, s3_server: S3Server) -> None:
    write_all(storage)
    other = new_storage(s3_server, prefix=storage.bucket.place.prefix)
    with ThreadPoolExecutor(4) as threads:
        for done in [threads.submit(link, each) for each in (storage, other, storage, other)]:
            done.result()
    assert content(storage) == DATA


# Fragments.


def test_fragments_that_another_process_has_just_put_together_are_no_loss(
    storage: S3Storage, proxy: StoreProxy, s3_server: S3Server
) -> None:
    other = new_storage(s3_server, prefix=storage.bucket.place.prefix)
    storage.reserve(UPLOAD, len(DATA), ".mp4")
    write(storage, PART)
    write(storage, 0, MiB)
    # The listing shows all fragments, then another process is quicker.
    before = Fault("ListObjects", 1, 503, "SlowDown", passes=False)
    before.then = lambda: write(other, MiB, PART)
    proxy.faults = [before]
    write(storage, MiB, PART)
    link(storage)
    assert content(storage) == DATA


def test_bytes_are_safe_although_they_cannot_be_put_together_now(
    storage: S3Storage, proxy: StoreProxy
) -> None:
    storage.reserve(UPLOAD, len(DATA), ".mp4")
    proxy.faults = [Fault("UploadPart", 100, 500, "InternalError", passes=False)]
    for start, end in ((0, MiB), (MiB, PART), (PART, PART + 1), (PART + 1, len(DATA))):
        write(storage, start, end)
    proxy.faults.clear()
    link(storage)
    assert content(storage) == DATA


# Errors, in words.


def test_a_full_store_is_a_full_disk(storage: S3Storage, proxy: StoreProxy) -> None:
    for operation in ("CreateMultipartUpload", "PutObject"):
        proxy.faults = [Fault(operation, 9, 403, "QuotaExceeded", passes=False)]
        with pytest.raises(DiskFull):
            storage.reserve(UPLOAD, len(DATA), ".mp4")
    with pytest.raises(DiskFull):
        storage.put(UPLOAD, ".mp4", [memoryview(DATA)])
    proxy.faults.clear()
    storage.reserve(UPLOAD, len(DATA), ".mp4")
    proxy.faults = [Fault("UploadPart", 9, 507, "InsufficientStorage", passes=False)]
    with storage.open(UPLOAD, Range(0, PART)) as writer:
        writer.write(0, memoryview(DATA)[:PART])
        with pytest.raises(OSError, match="full") as raised:
            writer.sync()
    assert raised.value.errno == errno.ENOSPC


def test_a_bucket_that_is_gone_loses_no_upload(
    storage: S3Storage, s3_server: S3Server, proxy: StoreProxy
) -> None:
    away = S3Storage(client_of(s3_server), Place("no-such-bucket", ""))
    for call in (
        away.present,
        away.check,
        lambda: away.reserve(UPLOAD, 10, ".mp4"),
        lambda: away.open(UPLOAD, Range(0, 1)),
        lambda: away.head(UPLOAD, 0),
        lambda: away.link(UPLOAD, ".mp4", 10, 0),
        lambda: away.finished_file(UPLOAD, ".mp4").stat(),
        lambda: away.vanished([UPLOAD]),
        lambda: list(away.unfinished()),
        lambda: away.pictures.get("a1", "poster.jpg").stat(),
    ):
        with pytest.raises(OSError, match="bucket does not exist") as raised:
            call()
        assert raised.value.filename == "s3://no-such-bucket", "that names what is in it"


def test_an_error_names_the_place_and_no_credential(
    storage: S3Storage, s3_server: S3Server, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    environment = s3_server.environment | {"AWS_SECRET_ACCESS_KEY": "not-the-right-one"}
    with patch.dict("os.environ", environment):
        wrong = S3Storage(connect(s3_server.endpoint, None), storage.bucket.place)
    with pytest.raises(OSError, match="does not accept the credentials") as raised:
        list(wrong.unfinished())
    text = str(raised.value) + repr(raised.value.__context__) + caplog.text
    assert storage.bucket.place.bucket in text
    assert s3_server.key not in text
    assert "not-the-right-one" not in text
    assert "Signature=" not in text
    nowhere = {"AWS_CONFIG_FILE": "/dev/null", "AWS_EC2_METADATA_DISABLED": "true"}
    with patch.dict("os.environ", nowhere, clear=True):
        without = S3Storage(connect(s3_server.endpoint, None), storage.bucket.place)
        with pytest.raises(OSError, match="no credentials"):
            without.present()
    with patch.dict("os.environ", s3_server.environment):
        unreachable = S3Storage(connect("http://127.0.0.1:1", None), storage.bucket.place)
        with pytest.raises(OSError, match="cannot be reached"):
            unreachable.present()
        with pytest.raises(OSError, match="ProfileNotFound"):
            connect(s3_server.endpoint, "no-such-profile")


# A store that can do less.


def test_a_store_without_conditions_and_checksums_keeps_the_files_too(
    storage: S3Storage, proxy: StoreProxy
) -> None:
    from wherry.storage.s3.bucket import Features

    storage.bucket.features = Features(verifies=False, is_conditional=False)
    write_all(storage)
    write(storage, 0, MiB)  # a fragment beside the part
    link(storage)
    link(storage)
    assert content(storage) == DATA
    storage.delete(UPLOAD)
    with pytest.raises(CannotPut):
        storage.put(UPLOAD, ".mp4", [memoryview(DATA)])
    assert list(storage.unfinished()) == []
    storage.reserve(UPLOAD, 10, ".mp4")
    with pytest.raises(CannotPut):
        storage.put(UPLOAD, ".mp4", [memoryview(DATA)])


def test_what_the_store_can_do_is_found_out_by_doing_it(
    storage: S3Storage, proxy: StoreProxy
) -> None:
    warnings = storage.check()
    assert storage.bucket.features.verifies
    assert storage.bucket.features.is_conditional
    assert any("lifecycle rule" in warning for warning in warnings)
    assert not any("{" in warning for warning in warnings), "`reconcile` prints each rule, once"
    assert list(storage.bucket.list("")) == []
    proxy.reset()
    assert storage.check() == warnings
    assert proxy.requests["PutObject"] == 0, "readiness may be asked every second"
    without = S3Storage(storage.bucket._client, storage.bucket.place)
    proxy.faults = [Fault("CreateMultipartUpload", 9, 501, "NotImplemented", passes=False)]
    assert any("does not verify" in warning for warning in without.check())
    assert not without.bucket.features.verifies


class _WithRules:
    """A client of a store that has lifecycle rules, which the server of the tests has not."""

    def __init__(self, client: object, rules: object) -> None:
        self._client, self._rules = client, rules

    def __getattr__(self, name: str) -> object:
        return getattr(self._client, name)

    def get_bucket_lifecycle_configuration(self, **_: object) -> object:
        return self._rules


def warnings_of_rules(
    server: S3Server, rules: object, expires_after: float = DAY, prefix: str = "videos/"
) -> list[str]:
    client = _WithRules(client_of(server), rules)
    storage = S3Storage(client, Place(BUCKET, prefix), expires_after=expires_after)
    return [sentence for sentence in storage.check() if "lifecycle rule" in sentence]


@pytest.mark.parametrize("expires_after", [60.0, DAY, 30 * DAY])
@pytest.mark.parametrize("prefix", ["", "videos/"])
def test_a_bucket_that_has_the_printed_rules_lacks_none(
    s3_server: S3Server, prefix: str, expires_after: float
) -> None:
    rules = Place(BUCKET, prefix).lifecycle_rules(expires_after)
    assert warnings_of_rules(s3_server, rules, expires_after, prefix) == []


@pytest.mark.parametrize(
    "rule",
    [
        {"Filter": {"Prefix": "videos/files/old/"}},
        {"Filter": {"Prefix": "other/"}},
        {"Filter": {"And": {"Prefix": "videos/", "Tags": []}}},
        {"Prefix": "videos/probes/"},
        {"Filter": {}, "Status": "Disabled"},
    ],
)
def test_a_rule_that_is_not_for_all_unfinished_uploads_is_none(
    s3_server: S3Server, rule: dict[str, object]
) -> None:
    rules = {"Rules": [ENDS_UPLOADS | rule]}
    [sentence] = warnings_of_rules(s3_server, rules)
    assert "has no lifecycle rules" in sentence


@pytest.mark.parametrize("rule", [{"Prefix": ""}, {"Filter": {}}, {"Filter": {"Prefix": "vid"}}])
def test_a_rule_of_the_operator_counts(s3_server: S3Server, rule: dict[str, object]) -> None:
    assert warnings_of_rules(s3_server, {"Rules": [ENDS_UPLOADS | rule]}) == []


def test_a_rule_that_can_end_an_upload_before_it_expires_is_told(s3_server: S3Server) -> None:
    """The store counts from the beginning of an upload, and `expires_after` from its last byte."""
    printed = Place(BUCKET, "videos/").lifecycle_rules(DAY)
    [sentence] = warnings_of_rules(s3_server, printed, expires_after=30 * DAY)
    assert "7 days after they began" in sentence
    assert "at least 36 days" in sentence
    shorter = {"Filter": {}, "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 1}}
    rules = {"Rules": [*printed["Rules"], ENDS_UPLOADS | shorter]}
    [sentence] = warnings_of_rules(s3_server, rules)
    assert "1 day after they began" in sentence, "of several rules, the first to end it counts"


def test_a_bucket_that_may_not_be_written_is_an_error_at_the_start(
    storage: S3Storage, proxy: StoreProxy
) -> None:
    for operation in ("CreateMultipartUpload", "PutObject"):
        proxy.faults = [Fault(operation, 9, 403, "AccessDenied", passes=False)]
        with pytest.raises(OSError, match="do not allow"):
            storage.check()
