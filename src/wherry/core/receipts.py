"""Receipts: signed statements that a file has arrived, which anybody can verify without a server.

A receipt is a JSON Web Signature in its compact form (RFC 7515), signed with ES256 (ECDSA on the
curve P-256, RFC 7518), so that libraries for JWS of all languages verify it. Public keys are in
PEM, or JSON Web Keys (RFC 7517).

Rule 1: a receipt says what was recorded when the file was complete, and nothing that a client
claims, apart from the name.

Rule 2: whoever verifies accepts this one algorithm, whatever a receipt says of itself.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from awscrt.crypto import EC, ECExportFormat, ECRawSignature

TYPE, ALGORITHM = "wherry-receipt", "ES256"
#: The bytes of a coordinate of the curve, and of each half of a signature.
COORDINATE = 32
#: What stands before both coordinates in a public key of this curve (RFC 5480).
_SPKI = bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d03010703420004")
_PEM = re.compile(
    r"-----BEGIN ((?:EC )?(?:PUBLIC|PRIVATE) KEY)-----\s+(.*?)-----END \1-----", re.DOTALL
)


class ReceiptInvalid(Exception):
    """It is no receipt, or not one of the keys has signed it. The text says which, and why."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """The file of one upload. `size` in bytes.

    `crc64nvme`: in base64, as in S3. `sha256`: in hexadecimal digits; None if nobody has asked for
    it. `completed_at`: by the server's clock, as in RFC 3339; None: an earlier version of Wherry
    did not record it.
    """

    upload_id: str
    filename: str
    size: int
    crc64nvme: str
    sha256: str | None = None
    completed_at: str | None = None


class PublicKey:
    """A key that receipts are verified with."""

    def __init__(self, key: EC) -> None:
        """Raises `ValueError` for a key of another curve."""
        coordinates = key.get_public_coords()
        self._key, self._x, self._y = key, coordinates.x, coordinates.y
        if not len(self._x) == len(self._y) == COORDINATE:
            raise ValueError("the key must be on the curve P-256")

    @property
    def pem(self) -> str:
        text = base64.encodebytes(self._key.export_key(ECExportFormat.SPKI)).decode()
        lines = "".join(text.split("\n"))
        wrapped = "\n".join(lines[at : at + 64] for at in range(0, len(lines), 64))
        return f"-----BEGIN PUBLIC KEY-----\n{wrapped}\n-----END PUBLIC KEY-----\n"

    @property
    def jwk(self) -> dict[str, str]:
        """As a JSON Web Key, without what follows from it."""
        return {"kty": "EC", "crv": "P-256", "x": encode(self._x), "y": encode(self._y)}

    @property
    def kid(self) -> str:
        """Its thumbprint (RFC 7638), by which receipts name the key."""
        text = json.dumps(self.jwk, sort_keys=True, separators=(",", ":"))
        return encode(hashlib.sha256(text.encode()).digest())

    def has_signed(self, text: bytes, signature: bytes) -> bool:
        """Whether this is the key's signature of `text`."""
        if len(signature) != 2 * COORDINATE:
            return False
        halves = ECRawSignature(signature[:COORDINATE], signature[COORDINATE:])
        try:
            encoded = EC.encode_raw_signature(halves)
            return bool(self._key.verify(hashlib.sha256(text).digest(), encoded))
        except (RuntimeError, ValueError):  # no number of the curve
            return False


def to_sign(receipt: Receipt, kid: str) -> str:
    """The text that is signed: the beginning of the receipt."""
    header = {"alg": ALGORITHM, "kid": kid, "typ": TYPE}
    return f"{_part(header)}.{_part(asdict(receipt))}"


def verify(text: str, keys: Iterable[PublicKey]) -> Receipt:
    """What the receipt says, if one of `keys` has signed it. Raises `ReceiptInvalid`."""
    signed, _, signature = text.strip().rpartition(".")
    first, _, second = signed.partition(".")
    header, payload = _parsed(first), _parsed(second)
    # RFC 7515, section 4.1.11: extensions that are critical and not known must be refused.
    if header.get("typ") != TYPE or header.get("alg") != ALGORITHM or "crit" in header:
        raise ReceiptInvalid("this is no receipt of Wherry's")
    key = next((key for key in keys if key.kid == header.get("kid")), None)
    if key is None:
        raise ReceiptInvalid("the receipt was signed with another key than the given ones")
    if not key.has_signed(signed.encode(), _decoded(signature)):
        raise ReceiptInvalid("the signature is wrong: the receipt was changed, or made up")
    names = {each.name for each in fields(Receipt)}
    try:
        return Receipt(**{name: value for name, value in payload.items() if name in names})
    except TypeError:
        raise ReceiptInvalid("the receipt lacks something that every receipt has") from None


def parse_key(text: str) -> EC:
    """The last key in a PEM, public or private. Raises `ValueError`."""
    found = _PEM.findall(text)
    if not found:
        raise ValueError("there is no key in PEM in it, -----BEGIN … KEY-----")
    try:
        return EC.new_key_from_der_data(base64.b64decode("".join(found[-1][1].split())))
    except (RuntimeError, ValueError) as error:
        raise ValueError("the key cannot be read: it must be one of the curve P-256") from error


def parse_public_keys(text: str) -> list[PublicKey]:
    """All keys in a set of JSON Web Keys, or the one in a PEM. Raises `ValueError`."""
    if not text.lstrip().startswith("{"):
        return [PublicKey(parse_key(text))]
    try:
        found = json.loads(text)
        keys = found.get("keys", [found])
        known = [_parse_jwk(key) for key in keys if key.get("kty") == "EC"]
    except (json.JSONDecodeError, TypeError, AttributeError, KeyError) as error:
        raise ValueError("it is no set of JSON Web Keys") from error
    if not known:
        raise ValueError("there is no key of the curve P-256 in it")
    return known


def _parse_jwk(key: Mapping[str, str]) -> PublicKey:
    x, y = (_decoded(key[name]) for name in ("x", "y"))
    if not len(x) == len(y) == COORDINATE:
        raise ValueError("the key must be on the curve P-256")
    try:
        return PublicKey(EC.new_key_from_der_data(_SPKI + x + y))
    except RuntimeError as error:
        raise ValueError("one of the keys is no point of the curve P-256") from error


def encode(data: bytes) -> str:
    """As base64url without padding (RFC 7515, section 2)."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _part(value: object) -> str:
    return encode(json.dumps(value, separators=(",", ":")).encode())


def _decoded(text: str) -> bytes:
    """Raises `ReceiptInvalid`."""
    try:
        plain = text.encode("ascii") + b"=" * (-len(text) % 4)
        return base64.b64decode(plain, altchars=b"-_", validate=True)
    except (UnicodeEncodeError, binascii.Error):
        raise ReceiptInvalid("this is no receipt of Wherry's") from None


def _parsed(text: str) -> dict[str, Any]:
    try:
        found = json.loads(_decoded(text))
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise ReceiptInvalid("this is no receipt of Wherry's")
    return found
