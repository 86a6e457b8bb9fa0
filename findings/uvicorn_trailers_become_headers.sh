#!/usr/bin/env bash
# Whether an application sees trailers under uvicorn depends on which of its parsers is installed:
# with httptools, they are appended to the request's headers while the application runs.
#
# Version: uvicorn 0.54.0, httptools 0.9.0, h11 0.16.0. ASGI has no message for trailers, so an
# application expects none, and expects `scope["headers"]` to stay as it is. With h11, that is so.
# With httptools, which `uvicorn[standard]` installs and uvicorn then prefers, the list has one more
# header once the body has been read.
# Seen (a chunked body, then the trailer `X-Sum: 7`): the names in scope["headers"]
#   h11: before host,transfer-encoding; after host,transfer-encoding.
#   httptools: before host,transfer-encoding; after host,transfer-encoding,x-sum.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet uvicorn==0.54.0 httptools==0.9.0 h11==0.16.0
cd "$folder"
"$folder/venv/bin/python" - > "$folder/seen" <<'PYTHON'
import socket
import threading
import time

import uvicorn

END = b"\r\n\r\n"


def names(scope):
    return ",".join(name.decode() for name, _ in scope["headers"])


async def app(scope, receive, send):
    before = names(scope)
    while (await receive()).get("more_body"):
        pass
    body = f"before {before}; after {names(scope)}.".encode()
    length = str(len(body)).encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", length)]})
    await send({"type": "http.response.body", "body": body})


for http in ("h11", "httptools"):
    config = uvicorn.Config(app, http=http, lifespan="off", log_config=None)
    server = uvicorn.Server(config)
    listener = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=server.run, args=([listener],))
    thread.start()
    try:
        with socket.create_connection(listener.getsockname(), timeout=30) as connection:
            connection.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
            connection.sendall(b"2\r\nab\r\n")
            time.sleep(0.5)
            connection.sendall(b"0\r\nX-Sum: 7\r\n\r\n")
            answer = b""
            while not answer.endswith(b"."):
                answer += connection.recv(4096)
        print(f"{http}: {answer.partition(END)[2].decode()}")
    finally:
        server.should_exit = True
        thread.join()
PYTHON
cat "$folder/seen"
diff "$folder/seen" - <<'SEEN'
h11: before host,transfer-encoding; after host,transfer-encoding.
httptools: before host,transfer-encoding; after host,transfer-encoding,x-sum.
SEEN
