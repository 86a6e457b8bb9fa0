"""Counts how often refusals reach clients through real proxies.

    .venv/bin/python bench/refusals.py [TRIES] [PROXY ...]

It sends chunks with a wrong key, chunks for an unknown upload, and files that are too large. It
sends them directly and through each installed proxy, or only through those named: direct, nginx,
nginx-unbuffered, apache, haproxy. TRIES: requests for each case, 20 by default.
"""

from __future__ import annotations

import http.client
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from wherry.auth import Keys, keys_file
from wherry.core.limits import MiB
from wherry.testing.apache import apache, find_apache
from wherry.testing.nginx import find_nginx, nginx
from wherry.testing.server import serving

CHUNK = "/api/chunked-upload/chunk?upload_id=0123456789abcdef0123&offset=0"


@contextmanager
def haproxy(upstream: int) -> Iterator[int]:
    with tempfile.TemporaryDirectory() as folder, socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
        free.close()
        file = Path(folder, "haproxy.cfg")
        file.write_text(
            "defaults\n mode http\n timeout connect 5s\n timeout client 60s\n timeout server 60s\n"
            f"frontend f\n bind 127.0.0.1:{port}\n default_backend b\n"
            f"backend b\n server s 127.0.0.1:{upstream}\n"
        )
        process = subprocess.Popen([str(shutil.which("haproxy")), "-f", str(file)])
        try:
            for _ in range(200):
                try:
                    socket.create_connection(("127.0.0.1", port)).close()
                    break
                except OSError:
                    time.sleep(0.05)
            yield port
        finally:
            process.terminate()
            process.wait()


def outcome(port: int, path: str, body: bytes, headers: dict[str, str]) -> str:
    """The answer that a client gets if it sends everything before it reads, as most clients do.

    "not ours": the answer is not from Wherry. "closed without notice": the connection was closed
    although the answer did not announce it.
    """
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request("POST", path, body, headers)
        answer = connection.getresponse()
        ours = "problem" in answer.headers.get("content-type", "")
        answer.read()
        closes = answer.will_close
        if not closes:
            time.sleep(0.02)
            try:
                connection.request("GET", "/healthz")
                connection.getresponse().read()
            except OSError:
                return f"{answer.status}{'' if ours else ' not ours'}, then closed without notice"
        return f"{answer.status}{'' if ours else ' not ours'}"
    except OSError as error:
        return type(error).__name__
    finally:
        connection.close()


def curl(port: int, path: str, file: Path, headers: dict[str, str]) -> str:
    command = ["curl", "-s", "-o", "/dev/null", "-w", "%{http_code} %{content_type}"]
    for name, value in headers.items():
        command += ["-H", f"{name}: {value}"]
    command += ["--data-binary", f"@{file}", f"http://127.0.0.1:{port}{path}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    status, _, kind = done.stdout.partition(" ")
    return f"{status}{'' if 'problem' in kind else ' not ours'}"


def main(tries: int, only: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        data = Path(folder, "data")
        key = Keys(keys_file(data)).add("alice")
        server = stack.enter_context(serving(data, assessment=False, max_size="6MiB"))
        proxies = {"direct": server.port}
        if find_nginx():
            proxies["nginx"] = stack.enter_context(nginx(server.port, "0")).port
            proxies["nginx-unbuffered"] = stack.enter_context(nginx(server.port, "0", False)).port
        if find_apache():
            proxies["apache"] = stack.enter_context(apache(server.port)).port
        if shutil.which("haproxy"):
            proxies["haproxy"] = stack.enter_context(haproxy(server.port))
        known = {"Authorization": f"Bearer {key}"}
        raw = {"Content-Disposition": 'attachment; filename="a.mp4"'}
        cases = {
            "401, chunk of 5 MiB": (CHUNK, 5 * MiB, {"Authorization": "Bearer wrong"}),
            "404, chunk of 5 MiB": (CHUNK, 5 * MiB, known),
            "413, file of 20 MiB": ("/api/upload", 20 * MiB, known | raw),
            "413, file of 200 MiB": ("/api/upload", 200 * MiB, known | raw),
            "413, file of 500 MiB": ("/api/upload", 500 * MiB, known | raw),
        }
        for name, port in proxies.items():
            if only and name not in only:
                continue
            for case, (path, size, headers) in cases.items():
                count = tries if size < 100 * MiB else max(tries // 10, 2)
                body = bytes(size)
                answers = Counter(outcome(port, path, body, headers) for _ in range(count))
                print(f"{name:17} {case:22} {dict(answers)}", flush=True)
            file = Path(folder, "five.bin")
            file.write_bytes(bytes(5 * MiB))
            for expect in ("100-continue", ""):
                answers = Counter(
                    curl(port, CHUNK, file, known | {"Expect": expect}) for _ in range(tries)
                )
                print(f"{name:17} {'404, Expect: ' + expect:22} {dict(answers)}", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 20, sys.argv[2:])
