#!/usr/bin/env bash
# Behind two of Starlette's middlewares, an application cannot send early hints under gunicorn.
#
# Version: gunicorn 27.0.1, Starlette 1.10.0. gunicorn's worker `asgi` takes the message
# `http.response.informational`, which its documentation shows for 103 Early Hints. Starlette's
# BaseHTTPMiddleware, which every `@app.middleware("http")` is made of, asserts that the first
# message is `http.response.start`: the client gets a 500, and the application's answer is lost.
# GZipMiddleware drops the message without a word. Without a middleware, and behind CORSMiddleware,
# the client gets both responses.
# Seen (statuses of the responses that the client gets):
#   plain: 103 200
#   cors: 103 200
#   gzip: 200
#   base: 500
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet gunicorn==27.0.1 starlette==1.10.0
cat > "$folder/app.py" <<'PYTHON'
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.gzip import GZipMiddleware


async def hinting(scope, receive, send):
    if scope["type"] != "http":
        return
    hint = [(b"link", b"</style.css>; rel=preload; as=style")]
    await send({"type": "http.response.informational", "status": 103, "headers": hint})
    headers = [(b"content-type", b"text/plain"), (b"content-length", b"2")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"ok"})


async def pass_on(request, call_next):
    return await call_next(request)


APPS = {
    "/plain": hinting,
    "/cors": CORSMiddleware(hinting, allow_origins=["https://example.org"]),
    "/gzip": GZipMiddleware(hinting),
    "/base": BaseHTTPMiddleware(hinting, dispatch=pass_on),
}


async def app(scope, receive, send):
    await APPS.get(scope.get("path"), hinting)(scope, receive, send)
PYTHON
cd "$folder"
"$folder/venv/bin/python" - > "$folder/seen" <<'PYTHON'
import contextlib
import re
import socket
import subprocess
import sys
import time

with socket.socket() as one:
    one.bind(("127.0.0.1", 0))
    port = one.getsockname()[1]
command = [sys.executable, "-m", "gunicorn", "app:app", "-k", "asgi", "--no-control-socket"]
command += ["-b", f"127.0.0.1:{port}", "--log-level", "critical"]
server = subprocess.Popen(command)


def connected():
    for _ in range(600):
        with contextlib.suppress(ConnectionRefusedError):
            return socket.create_connection(("127.0.0.1", port), timeout=60)
        assert server.poll() is None, "gunicorn has ended"
        time.sleep(0.1)
    raise SystemExit("gunicorn does not listen")


try:
    for name in ("plain", "cors", "gzip", "base"):
        with connected() as connection:
            headers = "Host: x\r\nOrigin: https://example.org\r\nAccept-Encoding: gzip\r\n"
            connection.sendall(f"GET /{name} HTTP/1.1\r\n{headers}Connection: close\r\n\r\n".encode())
            got = b"".join(iter(lambda: connection.recv(65536), b""))
        print(f"{name}:", *re.findall(r"HTTP/1\.1 (\d+)", got.decode("latin-1")))
finally:
    server.terminate()
    server.wait()
PYTHON
cat "$folder/seen"
diff "$folder/seen" - <<'SEEN'
plain: 103 200
cors: 103 200
gzip: 200
base: 500
SEEN
