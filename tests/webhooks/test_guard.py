"""A webhook goes to no address inside the network."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from wherry.webhooks.guard import AddressRefused, addresses_of, is_outside

pytestmark = pytest.mark.anyio

OUTSIDE = ["1.1.1.1", "93.184.215.14", "2606:4700::1111", "64:ff9b::101:101", "::ffff:1.1.1.1"]
INSIDE = [
    *("127.0.0.1", "127.8.8.8", "0.0.0.0", "10.0.0.1", "172.16.3.4", "192.168.1.1"),
    *("169.254.169.254", "100.64.0.1", "192.0.0.8", "198.18.0.1", "192.0.2.1"),
    *("224.0.0.1", "239.1.2.3", "240.0.0.1", "255.255.255.255"),
    *("::", "::1", "fe80::1", "fe80::1%eth0", "fc00::1", "fd12::1", "fec0::1", "ff02::1"),
    *("2001:db8::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254"),
    *("::127.0.0.1", "64:ff9b::7f00:1", "64:ff9b::a00:1", "64:ff9b:1::1"),
    *("2002:7f00:1::1", "2002:a00:1::1", "2001:0:a00:1::f5ff:fffe"),
]


@pytest.mark.parametrize("address", OUTSIDE)
def test_an_address_of_the_internet_is_outside(address: str) -> None:
    assert is_outside(address)


@pytest.mark.parametrize("address", INSIDE)
def test_an_address_of_a_network_or_a_machine_is_inside(address: str) -> None:
    assert not is_outside(address)


@pytest.fixture
def resolved(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The addresses that every name has."""
    addresses: list[str] = []

    def getaddrinfo(host: str, port: int, *_: Any, **__: Any) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (a, port)) for a in addresses]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    return addresses


async def test_a_host_with_one_address_inside_is_refused(resolved: list[str]) -> None:
    resolved += ["1.1.1.1", "10.0.0.1"]
    with pytest.raises(AddressRefused, match=r"10\.0\.0\.1.*webhook_allow_private"):
        await addresses_of("mixed.example", 443, allow_private=False)
    assert await addresses_of("mixed.example", 443, allow_private=True) == resolved


async def test_a_host_outside_is_allowed_with_all_its_addresses(resolved: list[str]) -> None:
    resolved += ["1.1.1.1", "1.0.0.1", "1.1.1.1"]
    found = await addresses_of("outside.example", 443, allow_private=False)
    assert found == ["1.1.1.1", "1.0.0.1"]
