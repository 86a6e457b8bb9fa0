"""What tests of the chunked API send, and how."""

from __future__ import annotations

import base64
import hashlib
import random

from tests.protocols.conftest import KiB, Uploading

SIZE = 300 * KiB
DATA = random.Random(7).randbytes(SIZE)
CHUNK = 64 * KiB
JSON = {"Content-Type": "application/json"}


def sha256(data: bytes) -> str:
    return f"sha-256=:{base64.b64encode(hashlib.sha256(data).digest()).decode()}:"


async def send_all(upload: Uploading, upload_id: str, data: bytes = DATA) -> None:
    for offset in range(0, len(data), CHUNK):
        answer = await upload.chunk(upload_id, offset, data[offset : offset + CHUNK])
        assert answer.status_code == 200, answer.text
