"""A real Apache httpd in front of a server, with a temporary configuration of its own.

    with apache(upstream_port) as door:
        httpx2.post(door.url + "/api/upload", ...)

Rule 1: nothing of the machine's own Apache is used but the program and its modules: not its
configuration, not its folders, not its user. It needs no privileges.
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

#: Seconds that Apache gets to start, and to stop.
_PATIENCE = 30.0
#: What the program is called; where it is, beside what is in PATH; where its modules are.
_NAMES = ("apache2", "httpd")
_BESIDES = ("/usr/sbin", "/usr/local/sbin")
_MODULES = ("/usr/lib/apache2/modules", "/usr/lib64/httpd/modules", "/etc/httpd/modules")


@dataclass(frozen=True, slots=True)
class Apache:
    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


def find_apache() -> tuple[str, Path] | None:
    """The program and the folder of its modules."""
    path = os.pathsep.join((os.environ.get("PATH", ""), *_BESIDES))
    program = next((p for name in _NAMES if (p := shutil.which(name, path=path))), None)
    modules = next((Path(m) for m in _MODULES if Path(m, "mod_proxy_http.so").exists()), None)
    return (program, modules) if program and modules else None


def require_apache() -> None:
    """Skip the test that calls this where Apache is missing. Under CI=true it fails instead."""
    if find_apache() is not None:
        return
    if os.environ.get("CI") == "true":
        raise AssertionError("Apache is not installed, and under CI=true no test is skipped for it")
    raise unittest.SkipTest("Apache is not installed")


@contextmanager
def apache(upstream_port: int, more: str = "") -> Iterator[Apache]:
    """Start Apache in front of 127.0.0.1:`upstream_port`, and stop it at the end.

    `more`: further lines of configuration. Raises `RuntimeError` if Apache does not start.
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
                process.wait(_PATIENCE)
            finally:
                process.kill()
                process.wait()


def _start(
    program: str, modules: Path, folder: Path, upstream_port: int, more: str
) -> tuple[subprocess.Popen[bytes], int]:
    # A port that is free now may be taken a moment later.
    for _ in range(3):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = int(listener.getsockname()[1])
        configuration = folder / "httpd.conf"
        configuration.write_text(_configuration(modules, folder, port, upstream_port, more))
        command = [program, "-d", str(folder), "-f", str(configuration), "-DFOREGROUND"]
        with (folder / "stderr.log").open("wb") as log:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        if _is_up(process, port):
            return process, port
    logs = [folder / "stderr.log", folder / "error.log"]
    told = " ".join(log.read_text().strip() for log in logs if log.exists())
    raise RuntimeError(f"Apache does not start: {told}")


def _is_up(process: subprocess.Popen[bytes], port: int) -> bool:
    deadline = time.monotonic() + _PATIENCE
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
        if (modules / f"mod_{name}.so").exists()  # some are built in
    )
    # Who starts it as root must name another user; any other user stays who he is.
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
