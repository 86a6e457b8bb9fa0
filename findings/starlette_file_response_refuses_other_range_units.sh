#!/usr/bin/env bash
# Starlette's FileResponse refuses a Range of other units, and its 416 has none of the route's headers.
#
# Version: starlette 1.10.0. RFC 9110, section 14.2: an origin server must ignore a Range header with a
# range unit that it does not understand. FileResponse answers 400 to it. For a range behind the end of
# the file it answers 416, rightly, but drops the headers that the route has given to the response, here
# a Cache-Control: no-store. The 206 of a range inside the file has them.
# Seen:
#   bytes=0-3: 206 no-store
#   bytes=99-: 416 None
#   pages=1-2: 400 None
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet starlette==1.10.0 httpx==0.28.1
echo "ten bytes." > "$folder/file.txt"
FILE="$folder/file.txt" "$folder/venv/bin/python" - > "$folder/seen" <<'PYTHON'
import asyncio
import os

import httpx
from starlette.applications import Starlette
from starlette.responses import FileResponse
from starlette.routing import Route


async def file(request):
    return FileResponse(os.environ["FILE"], headers={"Cache-Control": "no-store"})


async def main():
    transport = httpx.ASGITransport(Starlette(routes=[Route("/", file)]))
    async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
        for asked in ("bytes=0-3", "bytes=99-", "pages=1-2"):
            answer = await client.get("/", headers={"Range": asked})
            print(f"{asked}: {answer.status_code} {answer.headers.get('cache-control')}")


asyncio.run(main())
PYTHON
cat "$folder/seen"
diff "$folder/seen" - <<'EXPECTED'
bytes=0-3: 206 no-store
bytes=99-: 416 None
pages=1-2: 400 None
EXPECTED
