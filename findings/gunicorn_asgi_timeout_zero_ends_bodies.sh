#!/usr/bin/env bash
# Under gunicorn's worker `asgi`, `--timeout 0` does not switch the timeout off for bodies.
#
# Version: gunicorn 27.0.1. Its documentation says that 0 has the effect of infinite timeouts. The
# worker `asgi` waits 30 seconds for the next byte of a body all the same; then the application
# gets `http.disconnect`, although the client is connected and goes on sending. With
# `--timeout 60`, the same body arrives whole.
# Seen (a body of two bytes, the second one 33 seconds after the first):
#   --timeout 0: http.disconnect after 1 of 2 bytes
#   --timeout 60: whole
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet gunicorn==27.0.1
cat > "$folder/app.py" <<'PYTHON'
async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    got, seen = 0, "whole"
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            seen = f"http.disconnect after {got} of 2 bytes"
            break
        got += len(message["body"])
        if not message["more_body"]:
            break
    with open(f"seen-{scope['path'][1:]}", "w") as file:
        file.write(seen)
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b""})
PYTHON
cd "$folder"
"$folder/venv/bin/python" - > "$folder/seen" <<'PYTHON'
import contextlib
import os
import socket
import subprocess
import sys
import time


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def connected(server, port):
    for _ in range(600):
        with contextlib.suppress(ConnectionRefusedError):
            return socket.create_connection(("127.0.0.1", port), timeout=60)
        assert server.poll() is None, "gunicorn has ended"
        time.sleep(0.1)
    raise SystemExit("gunicorn does not listen")


servers, connections = [], []
for timeout in (0, 60):
    port = free_port()
    command = [sys.executable, "-m", "gunicorn", "app:app", "-k", "asgi", "--no-control-socket"]
    command += ["-b", f"127.0.0.1:{port}", "--timeout", str(timeout), "--log-level", "error"]
    servers.append(subprocess.Popen(command))
    connections.append(connected(servers[-1], port))
try:
    for timeout, connection in zip((0, 60), connections):
        head = f"POST /{timeout} HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\na"
        connection.sendall(head.encode())
    time.sleep(33)
    for timeout, connection in zip((0, 60), connections):
        with contextlib.suppress(OSError):
            connection.sendall(b"b")
        for _ in range(300):
            if os.path.exists(f"seen-{timeout}"):
                break
            time.sleep(0.1)
        time.sleep(0.5)
        print(f"--timeout {timeout}: {open(f'seen-{timeout}').read()}")
finally:
    for server in servers:
        server.terminate()
        server.wait()
PYTHON
cat "$folder/seen"
diff "$folder/seen" - <<'SEEN'
--timeout 0: http.disconnect after 1 of 2 bytes
--timeout 60: whole
SEEN
