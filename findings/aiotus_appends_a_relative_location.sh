#!/usr/bin/env bash
# aiotus takes a relative Location for one below its endpoint.
#
# Version: aiotus 1.1.0 (PyPI). tus allows a relative Location, and RFC 9110 (section 10.2.2) resolves it against the address
# of the request: "files/1" in the answer to a POST to /files is /files/1. aiotus puts it behind its endpoint and a slash.
# So its uploads go to /files/files/1, where nothing is; it tries ten times in four minutes and gives up. Where the endpoint
# ends with a slash, and the Location has no folder ("1" for /files/), both ways agree.
# Seen: POST /files, HEAD /files/files/1; POST /files/, HEAD /files/1
set -euo pipefail
work=$(mktemp -d)
trap 'rm -r "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet aiotus==1.1.0
cat > "$work/run.py" <<'PYTHON'
import asyncio, io
from contextlib import suppress
from aiohttp import web
import aiotus

seen = []

async def answer(request):
    seen.append(f"{request.method} {request.path}")
    if request.method == "POST":
        location = "1" if request.path.endswith("/") else "files/1"
        return web.Response(status=201, headers={"Location": location, "Tus-Resumable": "1.0.0"})
    return web.Response(status=404)  # the next request is all that is wanted

async def main():
    app = web.Application()
    app.router.add_route("*", "/{rest:.*}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    once = aiotus.RetryConfiguration(retry_attempts=1)
    for endpoint in ("files", "files/"):
        with suppress(Exception):
            await aiotus.upload(f"http://127.0.0.1:{port}/{endpoint}", io.BytesIO(b"film"), {}, config=once)
    await runner.cleanup()
    print("; ".join(f"{a}, {b}" for a, b in zip(seen[::2], seen[1::2])))

asyncio.run(main())
PYTHON
seen=$("$work/venv/bin/python" "$work/run.py" 2>/dev/null)
echo "$seen"
[ "$seen" = "POST /files, HEAD /files/files/1; POST /files/, HEAD /files/1" ]
