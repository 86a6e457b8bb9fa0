"""Proxies of Debian that are rarer in front of applications."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

from tests.lab.proxies import Front, MiB, Proxy, Setup
from tests.lab.proxies.installing import install_package


def _version(program: str, option: str, before: str) -> str:
    done = subprocess.run([program, option], capture_output=True, text=True, check=False)
    return (done.stdout + done.stderr).split(before)[1].split()[0].strip(",)")


class Lighttpd(Proxy):
    """`server.max-request-size` is in KiB. By default it collects bodies."""

    key = "lighttpd"
    title = "lighttpd"
    setups: Sequence[Setup] = (
        Setup("default"),
        Setup("max-request-size 1024", "server.max-request-size = 1024", limit=MiB),
        Setup(
            "max-request-size 1024, unbuffered",
            "server.max-request-size = 1024\nserver.stream-request-body = 2",
            limit=MiB,
        ),
    )

    def install(self, cache: Path) -> str:
        return _version(self.program(), "-v", "lighttpd/")

    def program(self) -> str:
        return install_package("lighttpd", "lighttpd")

    def command(self, front: Front, cache: Path) -> Sequence[str]:
        file = front.folder / "lighttpd.conf"
        file.write_text(f"""\
server.bind = "127.0.0.1"
server.port = {front.port}
server.document-root = "{front.folder}"
server.upload-dirs = ("{front.folder}")
server.errorlog = "{front.folder}/error.log"
server.modules = ("mod_proxy")
proxy.server = ("" => (("host" => "127.0.0.1", "port" => {front.upstream})))
{front.setup.text}
""")
        return [self.program(), "-D", "-f", str(file)]


class Nghttpx(Proxy):
    """HTTP/2 towards clients."""

    key = "nghttpx"
    title = "nghttpx"
    setups: Sequence[Setup] = (Setup("default"), Setup("HTTP/2 in front", is_tls=True))

    def install(self, cache: Path) -> str:
        return _version(self.program(), "--version", "nghttp2/")

    def program(self) -> str:
        return install_package("nghttpx", "nghttp2-proxy")

    def command(self, front: Front, cache: Path) -> Sequence[str]:
        tls = "" if front.setup.is_tls else ";no-tls"
        file = front.folder / "nghttpx.conf"
        file.write_text(
            f"frontend=127.0.0.1,{front.port}{tls}\nbackend=127.0.0.1,{front.upstream}\n"
            f"workers=1\nerrorlog-file={front.folder}/error.log\n"
        )
        command = [self.program(), f"--conf={file}"]
        if front.setup.is_tls:
            command += [str(front.key), str(front.certificate)]
        return command


class Varnish(Proxy):
    key = "varnish"
    title = "Varnish"
    setups: Sequence[Setup] = (Setup("default"),)

    def install(self, cache: Path) -> str:
        return _version(self.program(), "-V", "varnish-")

    def program(self) -> str:
        return install_package("varnishd", "varnish", "gcc", "libc6-dev")

    def command(self, front: Front, cache: Path) -> Sequence[str]:
        command = [self.program(), "-F", "-j", "none", "-n", str(front.folder / "varnish")]
        command += ["-a", f"127.0.0.1:{front.port}", "-b", f"127.0.0.1:{front.upstream}"]
        return [*command, "-s", "malloc,64m"]


class Squid(Proxy):
    """As a reverse proxy."""

    key = "squid"
    title = "Squid"
    setups: Sequence[Setup] = (
        Setup("default"),
        Setup("request_body_max_size 1 MB", "request_body_max_size 1 MB", limit=MiB),
    )

    def install(self, cache: Path) -> str:
        return _version(self.program(), "-v", "Version ")

    def program(self) -> str:
        return install_package("squid", "squid")

    def command(self, front: Front, cache: Path) -> Sequence[str]:
        file = front.folder / "squid.conf"
        front.folder.chmod(0o777)  # Started by root, it becomes another user.
        file.write_text(f"""\
http_port 127.0.0.1:{front.port} accel defaultsite=127.0.0.1 vhost
cache_peer 127.0.0.1 parent {front.upstream} 0 no-query originserver
http_access allow all
cache deny all
access_log none
cache_log {front.folder}/cache.log
pid_filename {front.folder}/squid.pid
coredump_dir {front.folder}
shutdown_lifetime 1 seconds
{front.setup.text}
""")
        return [self.program(), "-N", "-f", str(file)]
