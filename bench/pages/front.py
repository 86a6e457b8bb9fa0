"""nginx in front of one server: it serves the built pages, and passes the rest on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.peers import NotInstalled
from bench.processes import Running, answers, free_port, running
from wherry.testing.nginx import find_nginx

CONFIG = """
daemon off;
pid {folder}/pid;
error_log {folder}/error.log;
events {{}}
http {{
  types {{ text/html html; text/css css; text/javascript js; image/svg+xml svg; }}
  log_format bytes '$msec $request_length $request_method $status';
  access_log {folder}/access.log bytes;
  client_body_temp_path {folder}/client_body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  gzip on;
  gzip_comp_level 6;
  gzip_types text/css text/javascript image/svg+xml;
  server {{
    listen 127.0.0.1:{port};
    {limit}
    location /peers/ {{ alias {built}/; }}
    location / {{
      proxy_pass http://127.0.0.1:{upstream};
      proxy_http_version 1.1;
      proxy_request_buffering off;
      proxy_set_header Host $http_host;
    }}
  }}
}}
"""


class Front:
    def __init__(self, port: int, folder: Path) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self._log = folder / "access.log"

    def bytes_since(self, moment: float) -> int:
        """The bytes of requests with a body that have ended since then, in Unix seconds."""
        lines = [line.split() for line in self._log.read_text().splitlines()]
        ended = [(float(at), int(size)) for at, size, method, _ in lines if method in _WITH_BODY]
        return sum(size for at, size in ended if at >= moment)


_WITH_BODY = ("POST", "PATCH", "PUT")


@contextmanager
def front(folder: Path, built: Path, upstream: int, is_narrow: bool = False) -> Iterator[Front]:
    """`is_narrow`: with nginx's default limit of 1 MiB, and not without one."""
    program = find_nginx()
    if program is None:
        raise NotInstalled("nginx is not installed")
    folder.mkdir()
    port = free_port()
    limit = "" if is_narrow else "client_max_body_size 0;"
    config = folder / "nginx.conf"
    facts = {"folder": folder, "built": built.absolute(), "port": port, "upstream": upstream}
    config.write_text(CONFIG.format(limit=limit, **facts))

    def is_ready(server: Running) -> bool:
        return answers(port, "/peers/axe.min.js") is not None

    command = [program, "-c", str(config), "-e", str(folder / "error.log")]
    with running(command, port, folder / "nginx.log", is_ready):
        yield Front(port, folder)
