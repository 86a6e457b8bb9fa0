"""What the store and the way to it say, as errors that an operator can act on.

Rule 1: no text has a credential, a signature or a signed address in it. Of what the store answers,
only its code and its message are used.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    EndpointConnectionError,
    HTTPClientError,
    NoCredentialsError,
    ReadTimeoutError,
)
from urllib3.exceptions import HTTPError

#: The codes with which stores say that an object, or a multipart upload, is not there. A HEAD has
#: no body and so no code but its status.
NO_OBJECT = frozenset({"NoSuchKey", "NotFound", "404"})
NO_UPLOAD = "NoSuchUpload"
NO_BUCKET = "NoSuchBucket"
#: An object of the name was there, or was being made, where none must be.
EXISTS = frozenset({"PreconditionFailed", "ConditionalRequestConflict", "412"})
#: The bytes are not those of the checksum.
DAMAGED = frozenset({"BadDigest", "XAmzContentChecksumMismatch", "InvalidDigest"})
#: The store does not know the request, or a part of it.
UNSUPPORTED = frozenset({"NotImplemented", "InvalidArgument", "InvalidRequest", "MalformedXML"})
_FULL = frozenset({"QuotaExceeded", "InsufficientStorage", "StorageFull", "XMinioStorageFull"})
_REFUSED = frozenset({"AccessDenied", "AllAccessDisabled", "AccountProblem", "403"})
_UNKNOWN = frozenset(
    {"InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken"}
)
_LONGEST = 200


class S3Error(OSError):
    """The store has refused, or cannot be reached. `code`: the store's own, or empty."""

    def __init__(self, number: int, sentence: str, where: str, code: str = "") -> None:
        super().__init__(number, sentence, where)
        self.code = code


@contextmanager
def translated(what: str, where: str) -> Iterator[None]:
    """Raise `OSError` for what botocore raises while the store does `what` with `where`."""
    try:
        yield
    except ClientError as error:
        raise _of_answer(error, what, where) from None
    except (BotoCoreError, HTTPClientError, HTTPError) as error:
        raise _of_way(error, what, where) from None


def _of_answer(error: ClientError, what: str, where: str) -> OSError:
    found = error.response.get("Error", {})
    code, message = str(found.get("Code", "")), str(found.get("Message", ""))[:_LONGEST]
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    said = f"{code}: {message}" if message else code
    if code in NO_OBJECT:
        return FileNotFoundError(errno.ENOENT, "there is no such object", where)
    if code in _FULL or status == 507:
        return S3Error(errno.ENOSPC, f"the object store is full ({said})", where, code)
    if code == NO_BUCKET:
        return no_bucket(where)
    if code in _REFUSED:
        sentence = f"the credentials do not allow {what} ({said}); docs/howto/s3.md has the policy"
        return S3Error(errno.EACCES, sentence, where, code)
    if code in _UNKNOWN:
        sentence = f"the object store does not accept the credentials ({code})"
        return S3Error(errno.EACCES, sentence, where, code)
    return S3Error(errno.EIO, f"the object store refused {what} ({said})", where, code)


def no_bucket(where: str) -> S3Error:
    """`where`: the bucket, or any object in it, which is not named."""
    sentence = (
        "the bucket does not exist. Nothing was changed. Create it, or correct the settings "
        "`storage` and `s3_endpoint`"
    )
    return S3Error(errno.ENODEV, sentence, "/".join(where.split("/")[:3]), NO_BUCKET)


def _of_way(error: Exception, what: str, where: str) -> OSError:
    if isinstance(error, NoCredentialsError):
        sentence = (
            "there are no credentials for the object store: set AWS_ACCESS_KEY_ID and "
            "AWS_SECRET_ACCESS_KEY, a profile (s3_profile), or a role of the machine"
        )
        return S3Error(errno.EACCES, sentence, where)
    if isinstance(error, EndpointConnectionError | ConnectTimeoutError):
        return S3Error(errno.ECONNREFUSED, "the object store cannot be reached", where)
    if isinstance(error, ReadTimeoutError):
        return S3Error(errno.ETIMEDOUT, f"the object store did not answer {what} in time", where)
    return S3Error(errno.EIO, f"{what} failed on its way ({type(error).__name__})", where)
