"""Receipts for complete uploads: signed here, and verified anywhere (`core/receipts.py`).

Rule 1: a SHA-256 is computed from the stored file when somebody asks for it, and recorded, so that
a file is read for it once. One file at a time in each process: reading must not slow down uploads.

Rule 2: the CRC-64 of the same bytes is compared with the recorded one. A file that was changed on
the disk gets no receipt with its SHA-256.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime
from threading import Lock

from awscrt.crypto import EC

from wherry.core.digests import EMPTY_CRC, crc64
from wherry.core.errors import Busy, NotThere, Stopping, StorageFailed, UploadClosed
from wherry.core.ranges import Range
from wherry.core.receipts import COORDINATE, PublicKey, Receipt, encode, parse_key, to_sign
from wherry.core.requests import Caller
from wherry.core.upload import Upload
from wherry.engine.context import Context


class SigningKey:
    """A private key, from a PEM file's text. Raises `ValueError`."""

    def __init__(self, pem: str) -> None:
        if "PRIVATE KEY-----" not in pem:
            raise ValueError("it has no private key")
        self._key = parse_key(pem)
        self.public = PublicKey(self._key)

    def sign(self, receipt: Receipt) -> str:
        """The receipt as text, in ASCII."""
        text = to_sign(receipt, self.public.kid)
        signature = self._key.sign(hashlib.sha256(text.encode()).digest())
        both = EC.decode_der_signature_to_padded_pair(signature, COORDINATE)
        return f"{text}.{encode(both)}"


class Receipts:
    def __init__(self, context: Context, keys: Sequence[SigningKey]) -> None:
        """`keys`: the first one signs; the others have signed before."""
        self._context = context
        self._keys = keys
        self._reading = Lock()

    def public_keys(self) -> list[PublicKey]:
        return [key.public for key in self._keys]

    async def issue(self, caller: Caller, upload_id: str, *, with_sha256: bool) -> str:
        """The signed receipt of a complete upload.

        Raises `UploadNotFound`, `UploadGone`, `UploadClosed` for one that is not complete yet,
        `NotThere` where there are no keys, or where the file is gone and its SHA-256 is not known;
        `Busy` while another file is read; `StorageFailed`, `Stopping`.
        """
        upload = await self._context.load(caller, upload_id)
        upload.check_exists()
        if not upload.is_complete():
            raise UploadClosed(upload.state.value)
        if not self._keys:
            raise NotThere
        if with_sha256 and upload.sha256 is None:
            upload = await self._context.on_thread(self._digested, upload)
        return self._keys[0].sign(_receipt(upload, with_sha256))

    def _digested(self, upload: Upload) -> Upload:
        """The upload with its SHA-256 recorded. Blocks for as long as it takes to read the file."""
        if not self._reading.acquire(blocking=False):
            raise Busy("computing a SHA-256")
        try:
            sha256 = self._sha256(upload)
        finally:
            self._reading.release()
        # A crash here: it is computed again when it is asked for.
        change = self._context.catalog.submit_update(upload.id, lambda u: u.note_sha256(sha256))
        return change.result()

    def _sha256(self, upload: Upload) -> str:
        context, digest, crc = self._context, hashlib.sha256(), EMPTY_CRC
        file = context.storage.finished_file(upload.id, upload.suffix)
        try:
            for block in file.read(Range(0, upload.received.size)) if upload.received.size else ():
                if context.is_stopping():
                    raise Stopping
                digest.update(block)
                crc = crc64(block, crc)
        except FileNotFoundError:
            raise NotThere from None
        if crc != upload.received.crc:
            raise StorageFailed("the stored file has other bytes than those that were received")
        return digest.hexdigest()


def _receipt(upload: Upload, with_sha256: bool) -> Receipt:
    at = None
    if upload.completed_at is not None:
        date = datetime.fromtimestamp(upload.completed_at, UTC)
        at = date.isoformat(timespec="seconds").replace("+00:00", "Z")
    return Receipt(
        upload_id=upload.id,
        filename=upload.filename,
        size=upload.received.size,
        crc64nvme=base64.b64encode(upload.received_digest.value).decode(),
        sha256=upload.sha256 if with_sha256 else None,
        completed_at=at,
    )
