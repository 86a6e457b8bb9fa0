"""Which address is examined."""

from __future__ import annotations

import os
import resource
import socket

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


def test_a_process_may_have_more_than_a_thousand_files_open() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < 4096:
        pytest.skip("this machine allows fewer files")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 4096), hard))
    try:
        ours, theirs = socket.socketpair()
        with theirs, ours, socket.socket(fileno=os.dup2(ours.fileno(), 4000)) as connection:
            address = parse_address("http://127.0.0.1")
            assert not address.is_readable(connection, 0.0)
            theirs.send(b"x")
            assert address.is_readable(connection, 20.0)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
