"""Which proxy the environment names for an address, and whether it can be used.

Rule 1: an address of this machine never goes through a proxy of the environment.

Rule 2: the error for a proxy that cannot be used names its variable.
"""

from __future__ import annotations

import ipaddress
import os
from dataclasses import dataclass
from urllib.request import getproxies, proxy_bypass

import httpx2


@dataclass(frozen=True, slots=True)
class EnvironmentProxy:
    """`source`: the variable that names the proxy, or the system's settings."""

    proxy: httpx2.Proxy
    source: str

    def __str__(self) -> str:
        return f"{self.proxy.url.scheme}://{self.proxy.url.netloc.decode()} ({self.source})"


def proxy_for(url: httpx2.URL) -> EnvironmentProxy | None:
    """The proxy for `url`; None if there is none. Raises `ValueError` for an unusable one."""
    if is_this_machine(url.host):
        return None
    found = getproxies()
    name = next((each for each in (url.scheme, "all") if found.get(each)), None)
    if name is None or proxy_bypass(url.netloc.decode()):
        return None
    text = found[name]
    variables = (each for each in os.environ if each.lower() == f"{name}_proxy")
    source = next(variables, "the system's settings")
    try:
        proxy = httpx2.Proxy(text if "://" in text else f"http://{text}")
    except (ValueError, httpx2.InvalidURL) as error:
        raise ValueError(
            f"The proxy that {source} names cannot be used: {error}. Write it as "
            f"http://HOST:PORT or socks5://HOST:PORT, or add {url.host} to NO_PROXY."
        ) from None
    return EnvironmentProxy(proxy, source)


def is_this_machine(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
