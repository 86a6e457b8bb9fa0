"""`wherry receipt`, as somebody who was given one types it."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path

import pytest
from awscrt.crypto import EC, ECType
from tests.cli.command import wherry
from tests.core.test_receipts import pem

from wherry.core.digests import Digest, crc64
from wherry.core.receipts import Receipt
from wherry.engine.receipts import SigningKey

DATA = b"some bytes"


@pytest.fixture
def given(tmp_path: Path) -> Path:
    """A folder with a receipt, the file of it, and the key in both forms."""
    private = pem(EC.new_generate(ECType.P_256))
    key = SigningKey(private)
    crc = base64.b64encode(Digest.of_crc(crc64(DATA)).value).decode()
    sha256 = hashlib.sha256(DATA).hexdigest()
    receipt = Receipt("4" * 32, "a.bin", len(DATA), crc, sha256, "2026-11-27T20:15:00Z")
    (tmp_path / "receipt").write_text(key.sign(receipt))
    (tmp_path / "private.pem").write_text(private)
    (tmp_path / "public.pem").write_text(wherry("receipt", "key", tmp_path / "private.pem").stdout)
    (tmp_path / "a.bin").write_bytes(DATA)
    return tmp_path


def test_a_receipt_and_its_file_are_verified(given: Path) -> None:
    known = ["--key", given / "public.pem"]
    done = wherry("receipt", "verify", given / "receipt", *known, "--of", given / "a.bin")
    assert "filename      a.bin\n" in done.stdout
    assert "has the same size, crc64nvme, sha256" in done.stderr
    (given / "a.bin").write_bytes(DATA[:-1] + b"S")
    other = wherry("receipt", "verify", given / "receipt", *known, "--of", given / "a.bin", code=1)
    assert "its crc64nvme differs" in other.stderr
    assert other.stdout == ""


def test_a_receipt_that_was_changed_is_refused(given: Path) -> None:
    header, payload, signature = (given / "receipt").read_text().split(".")
    text = base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4))
    forged = base64.urlsafe_b64encode(text.replace(b"a.bin", b"b.bin")).rstrip(b"=").decode()
    (given / "receipt").write_text(f"{header}.{forged}.{signature}")
    known = ["--key", given / "public.pem"]
    refused = wherry("receipt", "verify", given / "receipt", *known, code=1)
    assert "the signature is wrong" in refused.stderr
