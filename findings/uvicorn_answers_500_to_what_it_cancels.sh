#!/usr/bin/env bash
# A request that uvicorn cancels because it stops is answered 500 Internal Server Error.
#
# Version: uvicorn 0.54.0. With --timeout-graceful-shutdown, uvicorn cancels the requests that are
# still open when the time is over. The cancellation reaches its own code as an exception of the
# application: uvicorn logs "Exception in ASGI application" with a traceback, and the client gets
# 500 instead of 503 or a closed connection. Clients and load balancers take that for a fault of the
# application, and most of them do not repeat the request. It happens where the application's own
# shutdown takes a moment; otherwise the process ends before the answer is sent.
# Seen:
#   HTTP/1.1 500 Internal Server Error
#   Exception in ASGI application
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet uvicorn==0.54.0
cat > "$folder/app.py" <<'PYTHON'
import asyncio


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await asyncio.sleep(0.5)  # it closes its connections to a database, for example
        await send({"type": "lifespan.shutdown.complete"})
        return
    print("the request is here", flush=True)
    await asyncio.sleep(60)
PYTHON
cd "$folder"
"$folder/venv/bin/python" - > "$folder/seen" <<'PYTHON'
import socket
import subprocess
import sys
import time
from pathlib import Path

with socket.socket() as one:
    one.bind(("127.0.0.1", 0))
    port = one.getsockname()[1]
command = [sys.executable, "-m", "uvicorn", "app:app", "--port", str(port)]
command += ["--timeout-graceful-shutdown", "1"]
log = Path("log")
with log.open("wb") as out:
    server = subprocess.Popen(command, stdout=out, stderr=out)


def wait_for(text):
    for _ in range(600):
        if text in log.read_text():
            return
        assert server.poll() is None, "uvicorn has ended"
        time.sleep(0.1)
    raise SystemExit(f"uvicorn does not log: {text}")


try:
    wait_for("Uvicorn running on")
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        wait_for("the request is here")
        server.terminate()
        answer = b""
        while more := connection.recv(1000):
            answer += more
    server.wait(60)
finally:
    server.kill()
print(answer.partition(b"\r\n")[0].decode())
for line in log.read_text().splitlines():
    if "Exception in ASGI application" in line:
        print("Exception in ASGI application")
PYTHON
cat "$folder/seen"
diff "$folder/seen" - <<'SEEN'
HTTP/1.1 500 Internal Server Error
Exception in ASGI application
SEEN
