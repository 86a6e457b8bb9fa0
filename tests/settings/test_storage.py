"""The settings of the object store."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from wherry.settings import Settings


@pytest.mark.parametrize(
    "given", [{"direct_uploads": True}, {"s3_public_endpoint": "https://store.example.org"}]
)
def test_direct_uploads_need_an_object_store(given: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="need an object store: set storage, like s3://"):
        Settings(**given)
    assert Settings(storage="s3://bucket", **given)


@pytest.mark.parametrize("name", ["s3_endpoint", "s3_public_endpoint"])
@pytest.mark.parametrize("value", ["store.example.org", "ftp://x", "https://a:b@store.example.org"])
def test_the_address_of_a_store_is_an_address(name: str, value: str) -> None:
    given = {"storage": "s3://bucket", name: value}
    with pytest.raises(ValidationError, match=f"{name} must be an address"):
        Settings.model_validate(given)
