"""The requests that every upload makes, signed and sent without the layers of botocore's client.

A call of the client takes a millisecond of CPU time, and where `awscrt` is installed, it copies the
body in order to sign the header. A request takes a third of that here.

Rule 1: a request counts here only if it was carried out, or if there is no such object. In any
other case the client makes it again, with its tries, pauses, redirects and errors. After several
such cases in a row, the client makes all requests for some time.

Rule 2: the rules of endpoints, the credentials, the signature and the connections are botocore's.
"""

from __future__ import annotations

import base64
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit
from xml.sax.saxutils import escape, unescape
from zlib import crc32

from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSPreparedRequest, AWSRequest, AWSResponse
from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError
from botocore.response import StreamingBody
from urllib3.exceptions import HTTPError

from wherry.core.place import Place

#: After so many requests in a row that were not carried out, the client makes them all for so long.
MOST_FAILURES, PAUSE = 3, 10.0

#: The parameters of botocore that are a header.
_HEADERS = {
    "ChecksumAlgorithm": "x-amz-checksum-algorithm",
    "ChecksumCRC64NVME": "x-amz-checksum-crc64nvme",
    "ChecksumMode": "x-amz-checksum-mode",
    "ChecksumType": "x-amz-checksum-type",
    "ContentType": "Content-Type",
    "IfMatch": "If-Match",
    "IfNoneMatch": "If-None-Match",
    "MpuObjectSize": "x-amz-mp-object-size",
    "Range": "Range",
}
#: Those that are in the query.
_QUERY = {"PartNumber": "partNumber", "UploadId": "uploadId"}
_METADATA = "x-amz-meta-"
_NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"
_UPLOAD_ID = re.compile("<UploadId>([^<]+)</UploadId>")
_CRC = re.compile(r"<ChecksumCRC64NVME>([^<]+)</ChecksumCRC64NVME>")
#: Not there, or there already: the way to the store is sound.
_ABOUT_THE_OBJECT = frozenset({404, 409, 412})
_CARRIED_OUT = range(200, 300)


class _NotUnderstood(Exception):
    """Another answer than the one that says that the request was carried out."""


@dataclass(frozen=True, slots=True)
class _Operation:
    """`read`: what the client would return, from the answer. Raises `_NotUnderstood`."""

    method: str
    read: Callable[[AWSResponse], dict[str, Any]] = lambda _: {}
    flag: str = ""
    is_streamed: bool = False


@dataclass(frozen=True, slots=True)
class _Target:
    """`bucket`: its address. `objects`: what the addresses of its objects begin with."""

    bucket: str
    objects: str
    region: str
    service: str


class SignedRequests:
    """`send` does what the client's method does, or returns None: then that has to be called."""

    def __init__(self, client: Any, place: Place) -> None:
        self._client = client
        self._place = place
        # Not public in botocore. Without one of them, the client makes all requests.
        self._session: Any = getattr(getattr(client, "_endpoint", None), "http_session", None)
        signer = getattr(client, "_request_signer", None)
        self._credentials: Any = getattr(signer, "_credentials", None)
        self._target: _Target | None = None
        self._failures = 0
        self._paused_until = float("-inf")

    def send(self, operation: str, parameters: Mapping[str, Any]) -> dict[str, Any] | None:
        """Raises `ClientError` if there is no such object."""
        known = _OPERATIONS.get(operation)
        if known is None or self._session is None or self._credentials is None:
            return None
        if time.monotonic() < self._paused_until or (made := _Made.of(known, parameters)) is None:
            return None
        try:
            answer = self._send(known, made)
            if answer.status_code in _CARRIED_OUT:
                found = known.read(answer)
                self._failures = 0
                return found
            self._check_missing(operation, known, answer)
            if answer.status_code in _ABOUT_THE_OBJECT:
                return None
        except (BotoCoreError, HTTPClientError, HTTPError, OSError, _NotUnderstood):
            pass
        self._failures += 1
        if self._failures >= MOST_FAILURES:
            self._failures = 0
            self._target = None  # the bucket may be elsewhere
            self._paused_until = time.monotonic() + PAUSE
        return None

    def _send(self, known: _Operation, made: _Made) -> AWSResponse:
        target = self._target or self._find_target()
        url = f"{target.objects}{made.key}" if made.key else target.bucket
        url, config = url + made.query, self._client.meta.config
        unsigned = AWSRequest(known.method, url, headers=made.headers)
        unsigned.context["client_config"] = config
        S3SigV4Auth(
            self._credentials.get_frozen_credentials(), target.service, target.region
        ).add_auth(unsigned)
        headers = {**unsigned.headers, "User-Agent": config.user_agent or "wherry"}
        answer: AWSResponse = self._session.send(
            AWSPreparedRequest(known.method, url, headers, made.body, known.is_streamed, {})
        )
        if answer.status_code not in _CARRIED_OUT:
            answer.content  # noqa: B018 - reads it, so that the connection can be used again
        return answer

    def _find_target(self) -> _Target:
        """Where the client would send a request, and how it would sign it."""
        name = "object"
        url = urlsplit(
            self._client.generate_presigned_url(
                "get_object", Params={"Bucket": self._place.bucket, "Key": name}
            )
        )
        signed = parse_qs(url.query)
        if signed.get("X-Amz-Algorithm") != ["AWS4-HMAC-SHA256"]:
            raise _NotUnderstood  # another kind of bucket
        _, _, region, service, _ = signed["X-Amz-Credential"][0].rsplit("/", 4)
        origin, folder = f"{url.scheme}://{url.netloc}", url.path.removesuffix(name)
        bucket = origin + (folder.rstrip("/") or "/")
        self._target = target = _Target(bucket, origin + folder, region, service)
        return target

    @staticmethod
    def _check_missing(operation: str, known: _Operation, answer: AWSResponse) -> None:
        """Raises `ClientError` if there is no such object, or no such multipart upload."""
        if answer.status_code != 404:
            return
        for code in ("NoSuchKey",) if known.method == "HEAD" else ("NoSuchKey", "NoSuchUpload"):
            if known.method == "HEAD" or f"<Code>{code}</Code>" in answer.text:
                raise ClientError({"Error": {"Code": code}}, operation)


@dataclass(frozen=True, slots=True)
class _Made:
    """`key`, `query`: as in an address."""

    key: str
    query: str
    headers: dict[str, str]
    body: bytes | bytearray | memoryview | None

    @classmethod
    def of(cls, known: _Operation, parameters: Mapping[str, Any]) -> _Made | None:
        """None for what is the client's: a body that is a stream, an unknown parameter."""
        key, headers = "", dict[str, str]()
        query = [known.flag] if known.flag else []
        body: bytes | bytearray | memoryview | None = None
        for name, value in parameters.items():
            if name in _HEADERS:
                headers[_HEADERS[name]] = str(value)
            elif name in _QUERY:
                query.append(f"{_QUERY[name]}={quote(str(value), safe='-_.~')}")
            elif name == "Key":
                key = quote(value, safe="/~")
            elif name == "Metadata":
                headers |= {f"{_METADATA}{each}": text for each, text in value.items()}
            elif name == "Body" and isinstance(value, bytes | bytearray | memoryview):
                body = value
            elif name == "MultipartUpload":
                body = _list_of_parts(value["Parts"])
            elif name == "Delete":
                body = _list_of_keys(value["Objects"])
                crc = base64.b64encode(crc32(body).to_bytes(4, "big")).decode()
                headers |= {"x-amz-sdk-checksum-algorithm": "CRC32", "x-amz-checksum-crc32": crc}
            elif name != "ContentLength":
                return None
        return cls(key, f"?{'&'.join(query)}" if query else "", headers, body)


def _list_of_parts(parts: Sequence[Mapping[str, Any]]) -> bytes:
    pieces = [f'<CompleteMultipartUpload xmlns="{_NAMESPACE}">']
    for part in parts:
        fields = (f"<{name}>{escape(str(value))}</{name}>" for name, value in part.items())
        pieces.append(f"<Part>{''.join(fields)}</Part>")
    return "".join((*pieces, "</CompleteMultipartUpload>")).encode()


def _list_of_keys(objects: Sequence[Mapping[str, Any]]) -> bytes:
    keys = "".join(f"<Object><Key>{escape(each['Key'])}</Key></Object>" for each in objects)
    return f'<Delete xmlns="{_NAMESPACE}">{keys}<Quiet>true</Quiet></Delete>'.encode()


def _read_head(answer: AWSResponse) -> dict[str, Any]:
    headers = answer.headers
    try:
        found: dict[str, Any] = {
            "ContentLength": int(headers["Content-Length"]),
            "LastModified": parsedate_to_datetime(headers["Last-Modified"]),
            "ETag": headers["ETag"],
            "Metadata": _metadata(answer),
        }
    except (KeyError, ValueError) as error:
        raise _NotUnderstood from error
    crc = headers.get(_HEADERS["ChecksumCRC64NVME"])
    return found if crc is None else {**found, "ChecksumCRC64NVME": crc}


def _metadata(answer: AWSResponse) -> dict[str, str]:
    return {
        name.lower().removeprefix(_METADATA): value
        for name, value in answer.headers.items()
        if name.lower().startswith(_METADATA)
    }


def _read_part(answer: AWSResponse) -> dict[str, Any]:
    if "ETag" not in answer.headers:
        raise _NotUnderstood
    return {"ETag": answer.headers["ETag"]}


def _read_upload_id(answer: AWSResponse) -> dict[str, Any]:
    found = _UPLOAD_ID.search(answer.text)
    if found is None:
        raise _NotUnderstood
    return {"UploadId": unescape(found[1])}


def _read_completed(answer: AWSResponse) -> dict[str, Any]:
    if "<CompleteMultipartUploadResult" not in answer.text:
        raise _NotUnderstood  # an error may come with status 200
    found = _CRC.search(answer.text)
    return {} if found is None else {"ChecksumCRC64NVME": unescape(found[1])}


def _read_deleted(answer: AWSResponse) -> dict[str, Any]:
    if "<DeleteResult" not in answer.text or "<Error>" in answer.text:
        raise _NotUnderstood
    return {}


def _read_stream(answer: AWSResponse) -> dict[str, Any]:
    body = StreamingBody(answer.raw, answer.headers.get("Content-Length"))
    return {"Body": body, "Metadata": _metadata(answer)}


_OPERATIONS = {
    "abort_multipart_upload": _Operation("DELETE"),
    "complete_multipart_upload": _Operation("POST", _read_completed),
    "create_multipart_upload": _Operation("POST", _read_upload_id, flag="uploads"),
    "delete_object": _Operation("DELETE"),
    "delete_objects": _Operation("POST", _read_deleted, flag="delete"),
    "get_object": _Operation("GET", _read_stream, is_streamed=True),
    "head_object": _Operation("HEAD", _read_head),
    "put_object": _Operation("PUT"),
    "upload_part": _Operation("PUT", _read_part),
}
