#!/usr/bin/env bash
# Starlette's max_body_size replaces the answer of a route that does not read the body.
#
# Version: starlette 1.10.0. A route refuses with its own 401 or 413 and never reads the body. If
# Content-Length is above the limit, the client gets a plain-text 413 instead: Starlette checks the
# limit again when the answer begins, and drops the route's answer.
# Seen:
#   1000 bytes: 401 application/problem+json
#   3000 bytes: 413 text/plain; charset=utf-8
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet starlette==1.10.0 httpx==0.28.1
"$folder/venv/bin/python" - > "$folder/seen" <<'PYTHON'
import asyncio

import httpx
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route


async def refuse(request):
    return JSONResponse({"title": "log in"}, 401, media_type="application/problem+json")


async def main():
    app = Starlette(routes=[Route("/", refuse, methods=["POST"])], max_body_size=2000)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://x") as client:
        for size in (1000, 3000):
            answer = await client.post("/", content=bytes(size))
            print(f"{size} bytes: {answer.status_code} {answer.headers['content-type']}")


asyncio.run(main())
PYTHON
cat "$folder/seen"
diff "$folder/seen" - <<'EXPECTED'
1000 bytes: 401 application/problem+json
3000 bytes: 413 text/plain; charset=utf-8
EXPECTED
