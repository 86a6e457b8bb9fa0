"""A receipt is believed only as it was signed, by a key that was given."""

from __future__ import annotations

import base64
import json

import pytest
from awscrt.crypto import EC, ECExportFormat, ECType
from hypothesis import given
from hypothesis import strategies as st

from wherry.core.receipts import (
    PublicKey,
    Receipt,
    ReceiptInvalid,
    encode,
    parse_public_keys,
    verify,
)
from wherry.engine.receipts import SigningKey


def pem(key: EC, kind: str = "PRIVATE KEY", form: ECExportFormat = ECExportFormat.PKCS8) -> str:
    text = base64.encodebytes(key.export_key(form)).decode()
    return f"-----BEGIN {kind}-----\n{text}-----END {kind}-----\n"


def new_key() -> SigningKey:
    return SigningKey(pem(EC.new_generate(ECType.P_256)))


KEY, OTHER = new_key(), new_key()
RECEIPT = Receipt(
    "4" * 32, "Ünïcode ☃.mp4", 6_000_000, "GrSsVlZnGIk=", "5" * 64, "2026-11-27T20:15:00Z"
)


def test_a_signed_receipt_says_what_was_signed() -> None:
    # Many, because halves of signatures begin with zeros now and then.
    for size in range(600):
        receipt = Receipt("u", "a.mp4", size, "AAAAAAAAAAA=")
        signed = KEY.sign(receipt)
        assert signed.isascii()
        assert verify(signed, [OTHER.public, KEY.public]) == receipt
    assert verify(f"{KEY.sign(RECEIPT)}\n", [KEY.public]) == RECEIPT


def test_keys_are_read_in_every_form_in_which_they_are_published() -> None:
    jwks = json.dumps({"keys": [{"kty": "RSA"}, OTHER.public.jwk, KEY.public.jwk]})
    for text in (KEY.public.pem, jwks, json.dumps(KEY.public.jwk)):
        keys = parse_public_keys(text)
        assert keys[-1].kid == KEY.public.kid
        assert verify(KEY.sign(RECEIPT), keys) == RECEIPT
    sec1 = pem(EC.new_generate(ECType.P_256), "EC PRIVATE KEY", ECExportFormat.SEC1)
    assert len(SigningKey(sec1).public.kid) == 43


@pytest.mark.parametrize(
    "text", ["", "{}x", '{"keys": 1}', '{"keys": [{"kty": "EC"}]}', "[]", "{}"]
)
def test_what_is_no_key_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"key|Keys"):
        parse_public_keys(text)


def test_only_the_right_curve_and_a_private_key_sign() -> None:
    with pytest.raises(ValueError, match="P-256"):
        SigningKey(pem(EC.new_generate(ECType.P_384)))
    with pytest.raises(ValueError, match="private"):
        SigningKey(KEY.public.pem)
    with pytest.raises(ValueError, match="cannot be read"):
        SigningKey("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")
    off_the_curve = {"kty": "EC", "crv": "P-256", "x": encode(b"\1" * 32), "y": encode(b"\1" * 32)}
    with pytest.raises(ValueError, match="P-256"):
        parse_public_keys(json.dumps(off_the_curve))


def test_a_receipt_of_another_key_is_refused() -> None:
    with pytest.raises(ReceiptInvalid, match="another key"):
        verify(OTHER.sign(RECEIPT), [KEY.public])
    header, payload, _ = KEY.sign(RECEIPT).split(".")
    forged = OTHER.sign(RECEIPT).split(".")[2]
    with pytest.raises(ReceiptInvalid, match="signature is wrong"):
        verify(f"{header}.{payload}.{forged}", [KEY.public])


@given(st.data())
def test_no_changed_receipt_is_believed(data: st.DataObject) -> None:
    signed = KEY.sign(RECEIPT)
    at = data.draw(st.integers(0, len(signed) - 1))
    other = data.draw(st.sampled_from("ABCxyz019-_.=\n é"))
    changed = signed[:at] + other + signed[at + 1 :]
    try:
        found = verify(changed, [KEY.public])
    except ReceiptInvalid:
        return
    # The last character of base64 has bits that mean nothing; the rest is believed unchanged.
    assert found == RECEIPT


@given(st.text(max_size=200) | st.binary(max_size=50).map(lambda b: f"{encode(b)}.{encode(b)}.AA"))
def test_any_text_is_a_receipt_or_is_refused(text: str) -> None:
    with pytest.raises(ReceiptInvalid):
        verify(text, [KEY.public])


@pytest.mark.parametrize(
    "header",
    [
        {"alg": "none"},
        {"alg": "HS256"},
        {"typ": "JWT"},
        {"crit": ["b64"], "b64": False},
    ],
    ids=str,
)
def test_a_header_cannot_choose_how_it_is_verified(header: dict[str, object]) -> None:
    [first, payload, signature] = KEY.sign(RECEIPT).split(".")
    said = json.loads(base64.urlsafe_b64decode(first + "=="))
    changed = encode(json.dumps(said | header).encode())
    for last in (signature, ""):
        with pytest.raises(ReceiptInvalid, match="no receipt"):
            verify(f"{changed}.{payload}.{last}", [KEY.public])


def test_a_key_is_named_by_its_thumbprint() -> None:
    """The example of RFC 7638 is of RSA; this one is of RFC 8037's method, for a known key."""
    key = {
        "kty": "EC",
        "crv": "P-256",
        "x": "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4",
        "y": "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM",
    }  # RFC 7517, appendix A.1
    [found] = parse_public_keys(json.dumps(key))
    assert found.jwk == key
    assert found.kid == "cn-I_WNMClehiVp51i_0VpOENW1upEerA8sEam5hn-s"
    assert PublicKey(EC.new_generate(ECType.P_256)).kid != found.kid
