"""Which addresses a webhook may go to: none inside the network, unless the operator allows it.

Rule 1: every address of a host is checked. A host that has one address inside is refused.

Rule 2: the connection goes to an address that was checked. The name is not resolved again, so a
second answer of its DNS server changes nothing.
"""

from __future__ import annotations

import asyncio
import socket
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

Address = IPv4Address | IPv6Address

#: Inside, although older Pythons call them global.
_INSIDE = (IPv4Network("192.0.0.0/24"), IPv6Network("64:ff9b:1::/48"))
#: NAT64: the last 32 bits are an address of IPv4.
_NAT64 = IPv6Network("64:ff9b::/96")
#: The old form of an address of IPv4 in one of IPv6.
_COMPATIBLE = IPv6Network("::/96")


class AddressRefused(Exception):
    """The host has an address inside the network."""


async def addresses_of(host: str, port: int, allow_private: bool) -> list[str]:
    """The addresses of `host`, all of which may be connected to.

    Raises `AddressRefused`, and `OSError` for a host that is not found.
    """
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    addresses = list(dict.fromkeys(str(address[0]) for *_, address in found))
    for address in addresses:
        if not allow_private and not is_outside(address):
            raise AddressRefused(
                f"{host} has the address {address}, which is inside the network; "
                "webhook_allow_private allows that"
            )
    return addresses


def is_outside(text: str) -> bool:
    """Whether the address, and every address in it, is one of the public Internet."""
    if "%" in text:  # of one network interface
        return False
    return all(_is_public(address) for address in _with_embedded(ip_address(text)))


def _is_public(address: Address) -> bool:
    is_site_local = isinstance(address, IPv6Address) and address.is_site_local
    if is_site_local or any(address in network for network in _INSIDE):
        return False
    return address.is_global and not address.is_multicast and not address.is_reserved


def _with_embedded(address: Address) -> list[Address]:
    """The addresses that a packet to this one may end at."""
    if isinstance(address, IPv4Address):
        return [address]
    if address.ipv4_mapped is not None:
        return [address.ipv4_mapped]
    embedded: list[Address] = []
    if address.sixtofour is not None:
        embedded.append(address.sixtofour)
    if address.teredo is not None:
        embedded.extend(address.teredo)
    if address in _NAT64:
        # It counts as reserved itself; the address in it decides.
        return [IPv4Address(int(address) & 0xFFFFFFFF)]
    if address in _COMPATIBLE:
        embedded.append(IPv4Address(int(address) & 0xFFFFFFFF))
    return [address, *embedded]
