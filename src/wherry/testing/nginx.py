"""A real nginx in front of a server, with a temporary configuration.

    with nginx(port) as proxy:
        httpx2.post(proxy.url + "/api/upload", ...)
    assert proxy.refused() == 1

Rule 1: of the installed nginx, only the program is used, and nothing of its configuration, folders
or user. It needs no privileges.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
import unittest
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from wherry.testing.ports import free_port

#: How long nginx may take to start, and to stop, in seconds.
_TIMEOUT = 60.0
#: nginx creates these folders when it starts, whether they are needed or not.
_TEMPORARY = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
#: Folders, besides those in PATH, where the program may be.
_BESIDES = ("/usr/sbin", "/usr/local/sbin")
#: How it passes a WebSocket on.
_UPGRADING = """proxy_pass http://wherry; proxy_http_version 1.1; proxy_set_header Host $http_host;
      proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection upgrade;"""
#: What nginx writes to its error log for each 413 of its own.
_REFUSAL = "client intended to send too large"


class Nginx:
    """A running nginx: its address, and counts of its answers, which stay after it has ended."""

    def __init__(self, port: int, folder: Path, scheme: str = "http") -> None:
        self.port = port
        self.url = f"{scheme}://127.0.0.1:{port}"
        self._folder: Path | None = folder
        self._last = (Counter[int](), Counter[int](), 0)

    def answers(self) -> Counter[int]:
        """How often it gave each status.

        nginx logs an answer when the request is over. After a 413, that is when the client has
        closed the connection.
        """
        return self._count()[0]

    def received(self, status: int) -> int:
        """How many bytes came of the requests that it answered so, with their heads."""
        return self._count()[1][status]

    def refused(self) -> int:
        """How many requests it has refused for their size so far."""
        return self._count()[2]

    def _count(self) -> tuple[Counter[int], Counter[int], int]:
        if self._folder is not None:
            lines = (self._folder / "access.log").read_text().splitlines()
            ended = [tuple(map(int, line.split())) for line in lines]
            received = Counter[int]()
            for status, size in ended:
                received[status] += size
            # nginx writes this line before it sends the 413. A client that has the answer
            # finds it counted.
            problems = (self._folder / "error.log").read_text(errors="replace")
            statuses = Counter(status for status, _ in ended)
            self._last = statuses, received, problems.count(_REFUSAL)
        return self._last

    def ended(self) -> None:
        """Keep the counts, because the logs are about to be deleted."""
        self._count()
        self._folder = None


def find_nginx() -> str | None:
    """The path of the program, also in the `sbin` folders; None if it is not installed."""
    return shutil.which("nginx", path=os.pathsep.join((os.environ.get("PATH", ""), *_BESIDES)))


def require_nginx() -> str:
    """The path of the program. If there is none, skip the calling test.

    With CI=true, fail the test instead, so that it is not left out there unnoticed.
    """
    program = find_nginx()
    if program is not None:
        return program
    if os.environ.get("CI") == "true":
        raise AssertionError("nginx is not installed, and under CI=true no test is skipped for it")
    raise unittest.SkipTest("nginx is not installed")


@contextmanager
def nginx(
    upstream: int | str,
    max_body: str | None = None,
    buffers: bool = True,
    more: Sequence[int | str] = (),
    tls: tuple[Path, Path] | None = None,
    *,
    websocket: str | None = None,
) -> Iterator[Nginx]:
    """Start nginx in front of `upstream`, and stop it at the end.

    `upstream`: a port of 127.0.0.1, or `address:port`. `more`: further servers; requests go to all
    of them in turn. `max_body`: its
    `client_max_body_size`, like `10m`; None leaves out the directive, so that nginx's default of
    1 MiB applies. `buffers`: whether it reads the whole body before it passes the request on,
    which is its default. `tls`: files with a certificate and its key; with them, it speaks HTTP/2
    and HTTP/1.1 over TLS. `websocket`: the path of a WebSocket, without which nginx passes none on.
    Raises `RuntimeError` if nginx does not start.
    """
    program = find_nginx()
    if program is None:
        raise RuntimeError("nginx is not installed")
    with tempfile.TemporaryDirectory(prefix="wherry-nginx-") as name:
        folder = Path(name)
        upstreams = [f"127.0.0.1:{u}" if isinstance(u, int) else u for u in (upstream, *more)]
        process, port = _start(program, folder, upstreams, max_body, buffers, tls, websocket)
        running = Nginx(port, folder, "http" if tls is None else "https")
        try:
            yield running
        finally:
            process.terminate()
            try:
                process.wait(_TIMEOUT)
            finally:
                process.kill()
                process.wait()
            running.ended()


def _start(  # noqa: PLR0917 - it is called once
    program: str,
    folder: Path,
    upstreams: Sequence[str],
    max_body: str | None,
    buffers: bool,
    tls: tuple[Path, Path] | None,
    websocket: str | None,
) -> tuple[subprocess.Popen[bytes], int]:
    # nginx cannot choose a free port itself, and another process may take this one first.
    for _ in range(3):
        port = free_port()
        configuration = folder / "nginx.conf"
        configuration.write_text(
            _configuration(program, folder, port, upstreams, max_body, buffers, tls, websocket)
        )
        with (folder / "stderr.log").open("wb") as log:
            command = [program, "-p", str(folder), "-c", str(configuration)]
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        if _is_up(process, folder / "nginx.pid"):
            return process, port
    raise RuntimeError(f"nginx does not start: {(folder / 'stderr.log').read_text().strip()}")


def _is_up(process: subprocess.Popen[bytes], pid_file: Path) -> bool:
    """Wait for the pid file, which nginx writes when it listens. False if it does not start."""
    deadline = time.monotonic() + _TIMEOUT
    while process.poll() is None and time.monotonic() < deadline:
        if pid_file.exists():
            return True
        time.sleep(0.005)
    process.kill()
    process.wait()
    return False


def _configuration(  # noqa: PLR0917 - it is called once
    program: str,
    folder: Path,
    port: int,
    upstreams: Sequence[str],
    max_body: str | None,
    buffers: bool,
    tls: tuple[Path, Path] | None,
    websocket: str | None,
) -> str:
    built = subprocess.run([program, "-V"], capture_output=True, text=True, check=True).stderr
    folders = "\n  ".join(
        f"{kind}_temp_path {folder}/{kind};"
        for kind in _TEMPORARY
        if f"--without-http_{kind}_module" not in built
    )
    # max_fails=0: a server that refused a connection is tried again with the next request.
    servers = " ".join(f"server {each} max_fails=0;" for each in upstreams)
    limit = "" if max_body is None else f"client_max_body_size {max_body};"
    passing = "" if buffers else "proxy_http_version 1.1;\n      proxy_request_buffering off;"
    speaking = f"listen 127.0.0.1:{port};"
    if tls is not None:
        speaking = f"listen 127.0.0.1:{port} ssl http2;\n    ssl_certificate {tls[0]};"
        speaking += f"\n    ssl_certificate_key {tls[1]};"
    upgrading = "" if websocket is None else f"location {websocket} {{ {_UPGRADING} }}"
    return f"""\
daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 256; }}
http {{
  log_format status '$status $request_length';
  access_log {folder}/access.log status;
  {folders}
  upstream wherry {{ {servers} }}
  server {{
    {speaking}
    {limit}
    location / {{
      proxy_pass http://wherry;
      proxy_set_header Host $http_host;
      {passing}
    }}
    {upgrading}
  }}
}}
"""
