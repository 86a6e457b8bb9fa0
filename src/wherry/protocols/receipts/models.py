"""The public keys of receipts, as JSON Web Keys (RFC 7517)."""

from __future__ import annotations

from collections.abc import Iterable

from pydantic import BaseModel

from wherry.core.receipts import ALGORITHM, PublicKey


class JsonWebKey(BaseModel):
    kty: str
    crv: str
    x: str
    y: str
    kid: str
    alg: str
    use: str


class JsonWebKeys(BaseModel):
    """The key that signs now comes first; receipts of the others stay valid."""

    keys: list[JsonWebKey]


def render_keys(keys: Iterable[PublicKey]) -> JsonWebKeys:
    return JsonWebKeys(
        keys=[JsonWebKey(**key.jwk, kid=key.kid, alg=ALGORITHM, use="sig") for key in keys]
    )
