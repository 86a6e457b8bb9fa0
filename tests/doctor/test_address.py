"""Which address is examined."""

from __future__ import annotations

import pytest

from wherry.doctor.address import parse_address


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("https://example.org/api", "https://example.org/api"),
        ("example.org/api/", "https://example.org/api"),
        ("http://example.org:8080", "http://example.org:8080"),
        ("https://example.org:443/api/chunked-upload/init", "https://example.org/api"),
        ("http://[::1]:8000/api", "http://[::1]:8000/api"),
        ("https://bücher.example/für uns", "https://xn--bcher-kva.example/f%C3%BCr%20uns"),
    ],
)
def test_an_address_is_taken_as_people_write_it(text: str, url: str) -> None:
    assert parse_address(text).url == url


@pytest.mark.parametrize(
    "text", ["", "ftp://example.org", "https://", "https://me:pw@example.org", "http://a.b/?q=1"]
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"address|leave out"):
        parse_address(text)
