"""nginx with its WebDAV module: PUT writes a file."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from bench.peers import Dialect, NotInstalled, Peer, Way
from bench.peers.installing import run_installer
from bench.processes import Running, answers, free_port, running
from wherry.testing.nginx import find_nginx

MODULE = "--with-http_dav_module"
TEMPORARY = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")


class Nginx(Peer):
    key = "nginx"
    title = "nginx, WebDAV PUT"
    lacks = "syncs nothing; no resume: each request is a file of its own"

    @property
    def speaks(self) -> dict[Way, Dialect]:
        return {Way.CHUNKS: Dialect("put-files", ""), Way.ONE: Dialect("put-files", "")}

    def install(self, cache: Path) -> str:
        program = find_nginx() or _install_package()
        built = subprocess.run(
            [program, "-V"], capture_output=True, text=True, timeout=10, check=True
        ).stderr
        if MODULE not in built:
            raise NotInstalled("this nginx was built without its WebDAV module")
        return built.splitlines()[0].rpartition("/")[2]

    @contextmanager
    def serve(self, folder: Path, cache: Path) -> Iterator[Running]:
        port = free_port()
        for name in ("data", *TEMPORARY):
            (folder / name).mkdir()
        configuration = folder / "nginx.conf"
        configuration.write_text(_configuration(folder, port))
        command = [str(find_nginx()), "-p", str(folder), "-c", str(configuration)]

        def is_ready(server: Running) -> bool:
            return answers(port, "/") is not None

        with running(command, port, folder / "log", is_ready) as server:
            yield server

    def stored(self, folder: Path, identifier: str, pieces: int) -> Sequence[Path]:
        return [folder / "data" / f"{identifier}.{piece}" for piece in range(pieces)]

    def web_pids(self, server: Running) -> list[int]:
        return server.pids()  # its workers receive the bytes


def _install_package() -> str:
    apt = shutil.which("apt-get")
    if apt is None or os.getuid() != 0:
        raise NotInstalled("nginx is not installed, and only root with apt can install it here")
    quiet = {"DEBIAN_FRONTEND": "noninteractive"}
    run_installer([apt, "update", "-qq"])
    run_installer([apt, "install", "-y", "-qq", "--no-install-recommends", "nginx-light"], quiet)
    return str(find_nginx())


def _configuration(folder: Path, port: int) -> str:
    temporary = "\n  ".join(f"{name}_temp_path {folder}/{name};" for name in TEMPORARY)
    # A worker that root starts would change its user, and could not write here.
    user = "user root;" if os.getuid() == 0 else ""
    return f"""\
{user}
daemon off;
worker_processes auto;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 4096; }}
http {{
  access_log {folder}/access.log;
  client_max_body_size 0;
  # By default, it receives and writes 16 KiB at a time, which costs three times the CPU time.
  client_body_buffer_size 1m;
  {temporary}
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    location / {{
      root {folder}/data;
      dav_methods PUT;
    }}
  }}
}}
"""
