"""The address that is examined, and connections to it: TCP, TLS, a proxy of the environment.

Rule 1: certificates are verified. Over a connection that is not trusted, nothing is sent.
"""

from __future__ import annotations

import base64
import selectors
import socket
import ssl
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from urllib.parse import quote, urlsplit

import h11
import httpx2

from wherry import __version__
from wherry.client.proxies import proxy_for

#: How long a connection may take, in seconds.
CONNECT_SECONDS = 5.0
#: What the kernel may hold of a body that is being sent: it counts as sent.
SEND_BUFFER = 256 << 10

USER_AGENT = f"wherry-doctor/{__version__}"


class Unreachable(Exception):
    """There is no connection; the text says why. `is_tls`: it is the certificate or TLS itself."""

    def __init__(self, problem: str, is_tls: bool = False) -> None:
        super().__init__(problem)
        self.is_tls = is_tls


@dataclass(frozen=True, slots=True)
class Address:
    """`path`: what the API's addresses begin with. `headers`: of every request."""

    scheme: str
    host: str
    port: int
    path: str
    headers: Sequence[tuple[str, str]] = ()
    protocol: str = "http/1.1"
    tls: ssl.SSLContext | None = field(default=None, compare=False)

    @property
    def authority(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        usual = {"http": 80, "https": 443}[self.scheme]
        return host if self.port == usual else f"{host}:{self.port}"

    @property
    def origin(self) -> str:
        return f"{self.scheme}://{self.authority}"

    @property
    def url(self) -> str:
        return f"{self.origin}{self.path}"

    @property
    def has_login(self) -> bool:
        return any(name == "authorization" for name, _ in self.headers)

    def over(self, protocol: str) -> Address:
        """The same over another protocol, by its name in TLS (ALPN): `h2`, `http/1.1`."""
        return replace(self, protocol=protocol)

    def is_readable(self, connection: socket.socket, seconds: float) -> bool:
        """Whether something comes within `seconds`."""
        if isinstance(connection, ssl.SSLSocket) and connection.pending():
            return True
        # `select.select` takes no file above number 1023.
        with selectors.DefaultSelector() as selector:
            selector.register(connection, selectors.EVENT_READ)
            return bool(selector.select(max(seconds, 0.0)))


def parse_address(url: str, headers: Sequence[tuple[str, str]] = ()) -> Address:
    """Raises `ValueError` for what is not the address of an API."""
    parts = urlsplit(url if "://" in url else f"https://{url}")
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"{url} is not an address: write it like https://example.org/api")
    if parts.username is not None or parts.query or parts.fragment:
        raise ValueError(f"{url}: leave out user, query and fragment; give a key by --key")
    path = quote(parts.path.partition("/chunked-upload")[0].rstrip("/"), safe="/%:@!$&'()*+,;=~")
    port = parts.port or {"http": 80, "https": 443}[parts.scheme]
    host = parts.hostname if ":" in parts.hostname else parts.hostname.encode("idna").decode()
    common = [("user-agent", USER_AGENT), ("accept", "application/json"), *headers]
    return Address(parts.scheme, host, port, path, common)


def connect(address: Address, seconds: float) -> socket.socket:
    """Raises `Unreachable`."""
    end = time.monotonic() + max(min(seconds, CONNECT_SECONDS), 0.05)
    try:
        connection = _dial(address, end)
    except OSError as error:
        raise Unreachable(f"{address.authority}: {error.strerror or error}") from None
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if address.scheme == "http":
        return connection
    context = address.tls or ssl.create_default_context()
    context.set_alpn_protocols([address.protocol])
    connection.settimeout(max(end - time.monotonic(), 0.05))
    try:
        return context.wrap_socket(connection, server_hostname=address.host)
    except ssl.SSLCertVerificationError as error:
        connection.close()
        raise Unreachable(f"the certificate is not valid: {error.verify_message}", True) from None
    except (OSError, ssl.SSLError) as error:
        connection.close()
        raise Unreachable(f"TLS with {address.authority} failed: {error}", True) from None


def _dial(address: Address, end: float) -> socket.socket:
    try:
        proxy = proxy_for(httpx2.URL(f"{address.scheme}://{address.authority}"))
    except ValueError as error:
        raise Unreachable(str(error)) from None
    if proxy is None:
        return _open(address.host, address.port, end)
    if proxy.proxy.url.scheme != "http":
        raise Unreachable(f"the doctor cannot go through the proxy {proxy}: only http:// proxies")
    connection = _open(proxy.proxy.url.host, proxy.proxy.url.port or 80, end)
    name = f"{address.host}:{address.port}"
    http = h11.Connection(h11.CLIENT)
    headers = [(b"host", name.encode()), *proxy.proxy.headers.raw]
    if proxy.proxy.raw_auth is not None:
        login = base64.b64encode(b":".join(proxy.proxy.raw_auth))
        headers.append((b"proxy-authorization", b"Basic " + login))
    connection.sendall(http.send(h11.Request(method="CONNECT", target=name, headers=headers)))
    while (event := http.next_event()) is h11.NEED_DATA:
        http.receive_data(connection.recv(4096))
    if not isinstance(event, h11.Response) or event.status_code != 200:
        connection.close()
        raise Unreachable(f"the proxy {proxy} refuses to connect to {name}")
    return connection


def _open(host: str, port: int, end: float) -> socket.socket:
    seconds = max(end - time.monotonic(), 0.05)
    connection = socket.create_connection((host, port), timeout=seconds)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
    return connection
