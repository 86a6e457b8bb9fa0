"""A server, proxies in front of it, and an examination of what lies between."""

from __future__ import annotations

import os
import socket
import ssl
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.parts import need_program

from wherry.doctor.address import parse_address
from wherry.doctor.diagnosis import Diagnosis, diagnose
from wherry.doctor.examination import examine
from wherry.doctor.measured import Measured
from wherry.testing.ports import free_port
from wherry.testing.server import Server, serving

Examine = Callable[..., tuple[Measured, Diagnosis]]

#: The examination may take this long on a busy machine; most take 4 seconds.
SECONDS = 28.0


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("doctor") / "data") as server:
        yield server


def examined(
    url: str, watches: bool = False, tls: ssl.SSLContext | None = None, **options: Any
) -> tuple[Measured, Diagnosis]:
    """What the doctor finds at a server's address, and makes of it."""
    address = replace(parse_address(f"{url}/api"), tls=tls)
    measured = examine(address, options.pop("seconds", SECONDS), watches=watches, **options)
    assert measured.spent.bytes <= 32 << 20
    assert measured.problem is None, measured.problem
    return measured, diagnose(measured)


@contextmanager
def haproxy(port: int, folder: Path, more: str = "") -> Iterator[str]:
    """HAProxy in front of 127.0.0.1:`port`; its URL. `more`: lines of its frontend."""
    program = need_program("haproxy")
    own = free_port()
    (folder / "haproxy.cfg").write_text(f"""\
defaults
  mode http
  timeout connect 5s
  timeout client 40s
  timeout server 40s
frontend front
  bind 127.0.0.1:{own}
  {more}
  default_backend back
backend back
  server wherry 127.0.0.1:{port}
""")
    with (folder / "haproxy.log").open("wb") as log:
        command = [program, "-db", "-f", str(folder / "haproxy.cfg")]
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + 60
        while True:
            assert process.poll() is None, (folder / "haproxy.log").read_text()
            try:
                socket.create_connection(("127.0.0.1", own), timeout=1).close()
                break
            except OSError:
                assert time.monotonic() < deadline
                time.sleep(0.02)
        yield f"http://127.0.0.1:{own}"
    finally:
        process.kill()
        process.wait()


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1, valid for 2 days, and its key."""
    program = need_program("openssl")
    folder = tmp_path_factory.mktemp("tls")
    found = (folder / "certificate.pem", folder / "key.pem")
    command = [program, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    command += ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    command += ["-out", str(found[0]), "-keyout", str(found[1])]
    subprocess.run(command, check=True, capture_output=True, env=os.environ)
    return found
