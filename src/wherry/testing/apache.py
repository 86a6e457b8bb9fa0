"""A real Apache httpd in front of a server, with a temporary configuration.

    with apache(upstream_port) as proxy:
        httpx2.post(proxy.url + "/api/upload", ...)

Rule 1: of the installed Apache, only the program and its modules are used, and nothing of its
configuration, folders or user. It needs no privileges.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
import unittest
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from wherry.testing.ports import free_port

#: How long Apache may take to start, and to stop, in seconds.
_TIMEOUT = 60.0
#: The names of the program; the folders, besides those in PATH, where it may be; the folders where
#: its modules may be.
_NAMES = ("apache2", "httpd")
_BESIDES = ("/usr/sbin", "/usr/local/sbin")
_MODULES = ("/usr/lib/apache2/modules", "/usr/lib64/httpd/modules", "/etc/httpd/modules")


@dataclass(frozen=True, slots=True)
class Apache:
    """A running Apache."""

    port: int

    @property
    def url(self) -> str:
        """Where clients send their requests, without a slash at the end."""
        return f"http://127.0.0.1:{self.port}"


def find_apache() -> tuple[str, Path] | None:
    """The program and the folder of its modules; None if either is missing."""
    path = os.pathsep.join((os.environ.get("PATH", ""), *_BESIDES))
    program = next((p for name in _NAMES if (p := shutil.which(name, path=path))), None)
    modules = next((Path(m) for m in _MODULES if Path(m, "mod_proxy_http.so").exists()), None)
    return (program, modules) if program and modules else None


def require_apache() -> None:
    """Skip the calling test if Apache is not installed. With CI=true, fail the test instead."""
    if find_apache() is not None:
        return
    if os.environ.get("CI") == "true":
        raise AssertionError("Apache is not installed, and under CI=true no test is skipped for it")
    raise unittest.SkipTest("Apache is not installed")


@contextmanager
def apache(upstream_port: int, more: str = "") -> Iterator[Apache]:
    """Start Apache in front of 127.0.0.1:`upstream_port`, and stop it at the end.

    `more`: further lines for its configuration. Raises `RuntimeError` if Apache does not start.
    """
    found = find_apache()
    if found is None:
        raise RuntimeError("Apache is not installed")
    with tempfile.TemporaryDirectory(prefix="wherry-apache-") as name:
        folder = Path(name)
        process, port = _start(*found, folder, upstream_port, more)
        try:
            yield Apache(port)
        finally:
            process.terminate()
            try:
                process.wait(_TIMEOUT)
            finally:
                process.kill()
                process.wait()


def _start(
    program: str, modules: Path, folder: Path, upstream_port: int, more: str
) -> tuple[subprocess.Popen[bytes], int]:
    # Another process may take the free port before Apache does, so this is tried again.
    for _ in range(3):
        port = free_port()
        configuration = folder / "httpd.conf"
        configuration.write_text(_configuration(modules, folder, port, upstream_port, more))
        command = [program, "-d", str(folder), "-f", str(configuration), "-DFOREGROUND"]
        with (folder / "stderr.log").open("wb") as log:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        if _is_up(process, port):
            return process, port
    logs = [folder / "stderr.log", folder / "error.log"]
    reason = " ".join(log.read_text().strip() for log in logs if log.exists())
    raise RuntimeError(f"Apache does not start: {reason}")


def _is_up(process: subprocess.Popen[bytes], port: int) -> bool:
    deadline = time.monotonic() + _TIMEOUT
    while process.poll() is None and time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.02)
        else:
            return True
    process.kill()
    process.wait()
    return False


def _configuration(modules: Path, folder: Path, port: int, upstream_port: int, more: str) -> str:
    wanted = ("mpm_event", "authz_core", "proxy", "proxy_http", "reqtimeout", "unixd")
    load = "\n".join(
        f"LoadModule {name}_module {modules}/mod_{name}.so"
        for name in wanted
        if (modules / f"mod_{name}.so").exists()  # some builds include them in the program
    )
    # Started by root, Apache must be given another user. Otherwise it runs as the current one.
    user = "User nobody\nGroup nogroup" if os.geteuid() == 0 else ""
    return f"""\
{load}
{user}
Listen 127.0.0.1:{port}
ServerName localhost
PidFile {folder}/httpd.pid
ErrorLog {folder}/error.log
DefaultRuntimeDir {folder}
ProxyPreserveHost On
ProxyPass / http://127.0.0.1:{upstream_port}/
{more}
"""
