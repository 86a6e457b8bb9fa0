"""The requests to the store, one method for each, below a bucket and a prefix.

Rule 1: every key begins with the prefix, and is made of names that were checked (`names.py`).

Rule 2: an object counts as missing only while the bucket is there.

Rule 3: all requests may be repeated, because botocore does so where an answer is lost. What is
conditional may have been done by the first try: whoever asks compares tokens.
"""

from __future__ import annotations

import base64
import io
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from threading import Lock
from typing import IO, Any
from urllib.parse import urlsplit

from wherry.core.place import Place
from wherry.core.ranges import Range
from wherry.storage import Stat
from wherry.storage.s3.errors import (
    EXISTS,
    NO_UPLOAD,
    UNSUPPORTED,
    S3Error,
    no_bucket,
    translated,
)
from wherry.storage.s3.remembered import SentParts, UploadedPart
from wherry.storage.s3.signed import SignedRequests

Body = bytes | bytearray | memoryview | io.BufferedIOBase

#: For how long the bucket is taken to be there after it was, in seconds.
PRESENT_FOR = 2.0
#: How many parts one answer lists at most.
MOST_LISTED = 1000
#: How many keys one request may delete.
_DELETED_AT_ONCE = 1000
#: The metadata of an object that names the marker it was made for.
TOKEN = "wherry-token"  # noqa: S105 - no secret


@dataclass(frozen=True, slots=True)
class Features:
    """What the store does. Until it was tried out: everything.

    `verifies`: the CRC-64/NVME of a whole object. `verifies_parts`: that of each part as well, and
    it tells the CRC of a part that is there. `is_conditional`: it makes an object only if there is
    none of the name. `is_exact`: it replaces an object only if that is still the one that it was
    asked to replace, and tells the CRC of an object.
    """

    verifies: bool = True
    verifies_parts: bool = True
    is_conditional: bool = True
    is_exact: bool = True

    @property
    def makes_at_once(self) -> bool:
        """Whether a file of one part needs no multipart upload (one_part.py)."""
        return self.verifies and self.is_conditional and self.is_exact


@dataclass(frozen=True, slots=True)
class Found:
    """An object as HEAD shows it. `crc`: as the store has it, in base64; None if it has none."""

    size: int
    modified_at: float
    etag: str
    token: str | None
    crc: str | None

    @property
    def stat(self) -> Stat:
        return Stat(self.size, self.modified_at)


def as_text(crc: int) -> str:
    """A CRC-64/NVME as S3 writes it."""
    return base64.b64encode(crc.to_bytes(8, "big")).decode()


def as_number(crc: str) -> int:
    """The inverse of `as_text`."""
    return int.from_bytes(base64.b64decode(crc), "big")


def _is_same(found: Found, token: str, crc: int) -> bool:
    """Whether the object was made with this token, of the same bytes if the store tells that."""
    return found.token == token and found.crc in (None, as_text(crc))


class Bucket:
    """Keys are given without the prefix.

    `public`: a client that signs addresses for others, where they reach the store under another
    address than this process does.
    """

    def __init__(self, client: Any, place: Place, public: Any = None) -> None:
        self.place = place
        self.features = Features()
        self.sent = SentParts()
        #: Whether the store copies parts, as far as is known.
        self.copies = True
        self._client = client
        self._signed = SignedRequests(client, place)
        self._public = public or client
        self._present_at = float("-inf")
        self._lock = Lock()

    def where(self, key: str) -> str:
        """For error texts."""
        return f"s3://{self.place.bucket}/{self.place.prefix}{key}"

    def call(self, operation: str, key: str | None = None, **parameters: Any) -> dict[str, Any]:
        """One request. Raises `FileNotFoundError`, `S3Error`."""
        if key is not None:
            parameters["Key"] = self.place.prefix + key
        with translated(operation, self.where(key or "")):
            answer: dict[str, Any] | None = self._signed.send(operation, parameters)
            if answer is None:
                if isinstance(parameters.get("Body"), memoryview):  # botocore takes none
                    parameters["Body"] = bytes(parameters["Body"])
                answer = getattr(self._client, operation)(Bucket=self.place.bucket, **parameters)
        return answer

    # The bucket.

    def verify(self, age: float = 0.0) -> None:
        """Raises `OSError` unless the bucket is there, or was `age` seconds ago."""
        if time.monotonic() - self._present_at <= age:
            return
        try:
            self.call("head_bucket")
        except FileNotFoundError as error:
            raise no_bucket(self.where("")) from error
        self._present_at = time.monotonic()

    # Objects.

    def put(self, key: str, data: Body, crc: int, **headers: Any) -> None:
        """Make an object, in place of one with the same key. Raises `OSError`."""
        self.call("put_object", key, Body=data, **self.checksum(crc), **headers)

    def put_new(
        self,
        key: str,
        data: Body,
        crc: int,
        token: str,
        replaced: Found | None = None,
        **headers: Any,
    ) -> bool:
        """Make an object unless there is one. False: there is one, with another token or CRC.

        `replaced`: an object in whose place this one is made, unless it is another one by now.
        """
        if replaced is not None:
            headers["IfMatch"] = replaced.etag
        elif self.features.is_conditional:
            headers["IfNoneMatch"] = "*"
        elif (found := self.head(key)) is not None:
            return _is_same(found, token, crc)
        try:
            self.put(key, data, crc, Metadata={TOKEN: token}, **headers)
        except FileNotFoundError:  # what was to be replaced is gone
            self.verify()
            return False
        except S3Error as error:
            if error.code not in EXISTS:
                raise
            # It may be ours: the first answer was lost, and botocore has asked again.
            return (found := self.head(key)) is not None and _is_same(found, token, crc)
        return True

    def checksum(self, crc: int) -> dict[str, str]:
        """The header by which the store verifies an object or a part."""
        return {"ChecksumCRC64NVME": as_text(crc)} if self.features.verifies else {}

    def head(self, key: str) -> Found | None:
        """None if there is no such object. Raises `OSError` while the bucket is away."""
        mode = {"ChecksumMode": "ENABLED"} if self.features.verifies else {}
        try:
            found = self.call("head_object", key, **mode)
        except FileNotFoundError:
            self.verify()
            return None
        return Found(
            found["ContentLength"],
            found["LastModified"].timestamp(),
            found["ETag"],
            found.get("Metadata", {}).get(TOKEN),
            found.get("ChecksumCRC64NVME"),
        )

    def get(self, key: str, within: Range | None = None) -> IO[bytes]:
        """The bytes of an object, to be read once and closed. Raises `FileNotFoundError`."""
        wanted = {} if within is None else {"Range": f"bytes={within.start}-{within.end - 1}"}
        body: IO[bytes] = self.call("get_object", key, **wanted)["Body"]
        return body

    def read(self, key: str, within: Range | None = None) -> bytes:
        """The bytes of a small object, or of a small range. Raises `FileNotFoundError`."""
        with translated("reading", self.where(key)), self.get(key, within) as body:
            return body.read()

    def read_ours(self, key: str, token: str, within: Range) -> bytes | None:
        """As `read`, of an object with this token; None if there is none."""
        wanted = f"bytes={within.start}-{within.end - 1}"
        try:
            answer = self.call("get_object", key, Range=wanted)
        except FileNotFoundError:
            self.verify()
            return None
        with translated("reading", self.where(key)), answer["Body"] as body:
            data: bytes = body.read()
        return data if answer.get("Metadata", {}).get(TOKEN) == token else None

    def delete(self, keys: Sequence[str]) -> None:
        """Delete objects; without effect on those that are not there. Raises `OSError`."""
        for first in range(0, len(keys), _DELETED_AT_ONCE):
            some = keys[first : first + _DELETED_AT_ONCE]
            if len(some) == 1:
                self.call("delete_object", some[0])
                continue
            listed = {"Objects": [{"Key": self.place.prefix + key} for key in some], "Quiet": True}
            for error in self.call("delete_objects", Delete=listed).get("Errors", []):
                if error.get("Code") not in ("NoSuchKey", None):
                    code = str(error["Code"])
                    raise S3Error(
                        5, f"the object store refused delete_objects ({code})", self.where(""), code
                    )

    def list(self, prefix: str, most: int | None = None) -> Iterator[tuple[str, float, int]]:
        """Keys that begin with `prefix`, in order: each with its time (Unix seconds) and size."""
        for page in self._pages(prefix, most, {}):
            for item in page.get("Contents", []):
                key = item["Key"].removeprefix(self.place.prefix)
                yield key, item["LastModified"].timestamp(), item["Size"]

    def folders(self, prefix: str) -> Iterator[str]:
        """The next step of the keys that begin with `prefix`, without its `/`."""
        for page in self._pages(prefix, None, {"Delimiter": "/"}):
            for item in page.get("CommonPrefixes", []):
                yield item["Prefix"].removeprefix(self.place.prefix + prefix).rstrip("/")

    def _pages(
        self, prefix: str, most: int | None, extra: dict[str, Any]
    ) -> Iterator[dict[str, Any]]:
        if most is not None:
            extra = {**extra, "MaxKeys": most}
        while True:
            page = self.call("list_objects_v2", Prefix=self.place.prefix + prefix, **extra)
            yield page
            if not page.get("IsTruncated") or most is not None:
                return
            extra = {**extra, "ContinuationToken": page["NextContinuationToken"]}

    # Multipart uploads.

    def begin(self, key: str, token: str) -> str:
        """A new multipart upload; its id."""
        kind = (
            {"ChecksumAlgorithm": "CRC64NVME", "ChecksumType": "FULL_OBJECT"}
            if self.features.verifies
            else {}
        )
        answer = self.call("create_multipart_upload", key, Metadata={TOKEN: token}, **kind)
        return str(answer["UploadId"])

    def put_part(  # noqa: PLR0917 - what a part is
        self, key: str, upload: str, number: int, data: Body, size: int, crc: int
    ) -> None:
        """Upload a part, in place of an earlier one. Raises `S3Error`, also `NO_UPLOAD`."""
        checksum = self.checksum(crc)
        etag = self.call(
            "upload_part",
            key,
            UploadId=upload,
            PartNumber=number,
            Body=data,
            ContentLength=size,
            **checksum,
        )["ETag"]
        self.sent.add(upload, UploadedPart(number, size, etag, next(iter(checksum.values()), None)))

    def copy_part(  # noqa: PLR0917 - what a part is
        self, key: str, upload: str, number: int, source: str, within: Range, crc: int
    ) -> bool:
        """Make a part of bytes of the object `source`, which the store copies itself.

        `crc`: of the whole object. False if the store cannot, or tells no checksum that can be
        right where it verifies those of others: the part has to be put. Raises `S3Error`:
        `NO_UPLOAD`.
        """
        if not self.copies:
            return False
        try:
            copied = self.call(
                "upload_part_copy",
                key,
                UploadId=upload,
                PartNumber=number,
                CopySource={"Bucket": self.place.bucket, "Key": self.place.prefix + source},
                CopySourceRange=f"bytes={within.start}-{within.end - 1}",
            )["CopyPartResult"]
        except S3Error as error:
            if error.code == NO_UPLOAD:
                raise
            self.copies = error.code not in UNSUPPORTED
            return False
        found = copied.get("ChecksumCRC64NVME")
        # versitygw (1.8.0) gives every part the checksum of the whole object, and then refuses to
        # make an object of the parts.
        if self.features.verifies and found in (None, as_text(crc)):
            self.copies = False
            return False
        self.sent.add(upload, UploadedPart(number, len(within), copied["ETag"], found))
        return True

    def parts(
        self, key: str, upload: str, first: int = 1, last: int | None = None
    ) -> dict[int, UploadedPart]:
        """The parts that are there, by number, from `first` to `last`.

        Raises `S3Error`, also `NO_UPLOAD`.
        """
        found: dict[int, UploadedPart] = {}
        asked: dict[str, int] = {} if first == 1 else {"PartNumberMarker": first - 1}
        while True:
            if last is not None:
                asked["MaxParts"] = min(last - asked.get("PartNumberMarker", 0), MOST_LISTED)
            page = self.call("list_parts", key, UploadId=upload, **asked)
            for part in page.get("Parts", []):
                number = part["PartNumber"]
                crc = part.get("ChecksumCRC64NVME")
                if last is None or number <= last:
                    found[number] = UploadedPart(number, part["Size"], part["ETag"], crc)
            after = page.get("NextPartNumberMarker") or 0
            if not page.get("IsTruncated") or (last is not None and after >= last):
                return found
            asked = {"PartNumberMarker": after}

    def complete(
        self, key: str, upload: str, parts: Sequence[UploadedPart], size: int, crc: int | None
    ) -> bool:
        """Make the object. Raises `S3Error`: `NO_UPLOAD`, `EXISTS`, `DAMAGED`, `InvalidPart`.

        False if the store may still be making it for another request: versitygw (1.8.0) answers
        200 at once then, without the checksum that a finished object has.
        """
        listed = []
        for part in parts:
            one: dict[str, Any] = {"PartNumber": part.number, "ETag": part.etag}
            if self.features.verifies and part.crc is not None:
                one["ChecksumCRC64NVME"] = part.crc
            listed.append(one)
        extra: dict[str, Any] = {"IfNoneMatch": "*"} if self.features.is_conditional else {}
        if self.features.verifies:
            extra["MpuObjectSize"] = size
            if crc is not None:
                # Garage refuses a type without a value.
                extra |= {"ChecksumType": "FULL_OBJECT", **self.checksum(crc)}
        answer = self.call(
            "complete_multipart_upload",
            key,
            UploadId=upload,
            MultipartUpload={"Parts": listed},
            **extra,
        )
        return not self.features.verifies or "ChecksumCRC64NVME" in answer

    def abort(self, key: str, upload: str) -> None:
        """End a multipart upload with its parts; without effect if it has ended."""
        try:
            self.call("abort_multipart_upload", key, UploadId=upload)
        except S3Error as error:
            if error.code != NO_UPLOAD:
                raise
        except FileNotFoundError:  # so says a store for which this is an object
            self.verify()

    def uploads(self, prefix: str) -> Iterator[tuple[str, str, float]]:
        """Multipart uploads of keys that begin with `prefix`: key, id, begun (Unix seconds)."""
        after: dict[str, str] = {}
        while True:
            page = self.call("list_multipart_uploads", Prefix=self.place.prefix + prefix, **after)
            for item in page.get("Uploads", []):
                key = item["Key"].removeprefix(self.place.prefix)
                yield key, item["UploadId"], item["Initiated"].timestamp()
            if not page.get("IsTruncated"):
                return
            after = {
                "KeyMarker": page["NextKeyMarker"],
                "UploadIdMarker": page["NextUploadIdMarker"],
            }

    # Addresses.

    def presigned(self, operation: str, key: str, lifetime: int, **parameters: Any) -> str:
        """An address at which anyone may do `operation`. Raises `OSError` without credentials.

        Asks the store nothing. `parameters` are part of what is signed.
        """
        with translated("signing", self.where(key)):
            return str(
                self._public.generate_presigned_url(
                    operation,
                    Params={
                        "Bucket": self.place.bucket,
                        "Key": self.place.prefix + key,
                        **parameters,
                    },
                    ExpiresIn=lifetime,
                )
            )

    def origin(self) -> str:
        """The origin of the addresses that are signed. Raises `OSError` without credentials."""
        url = urlsplit(self.presigned("get_object", "origin", 60))
        return f"{url.scheme}://{url.netloc}"
