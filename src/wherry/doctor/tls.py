"""TLS on a path: the version, and how long the certificate is valid."""

from __future__ import annotations

import ssl
import time

from wherry.doctor.address import Address, Unreachable, connect
from wherry.doctor.measured import Tls
from wherry.doctor.spending import Spending


def measure(address: Address, spending: Spending) -> Tls:
    if address.scheme != "https":
        return Tls()
    try:
        connection = connect(address, spending.left())
    except Unreachable as error:
        return Tls(True, problem=str(error) if error.is_tls else None)
    with connection:
        assert isinstance(connection, ssl.SSLSocket)  # noqa: S101 - the scheme is https
        certificate = connection.getpeercert() or {}
        until = certificate.get("notAfter")
        days = None
        if isinstance(until, str):
            days = int((ssl.cert_time_to_seconds(until) - time.time()) // 86400)
        return Tls(True, connection.version(), days)
