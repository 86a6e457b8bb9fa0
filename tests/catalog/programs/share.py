"""One of several: record every argv[3]rd byte from argv[2] on of the upload `shared`."""

import asyncio
import sys

from wherry.catalog.sqlite.catalog import SqliteCatalog
from wherry.core.digests import crc64
from wherry.core.ranges import Part
from wherry.core.upload import Upload

LENGTH = 200


async def main() -> None:
    path, first, step = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    catalog = SqliteCatalog(path)

    async def bring(start: int) -> None:
        token, part = f"{first}-{start}", Part(start, start + 1, crc64(bytes([start])), 1.0)
        await catalog.update("shared", lambda u: u.lease(part.range, token, 1.0))
        await catalog.update("shared", lambda u: u.record(token, (part,)))
        new = Upload(f"own-{start}", "o", "film.mp4", LENGTH)
        await catalog.create(new)

    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.readline()
    await asyncio.gather(*(bring(start) for start in range(first, LENGTH, step)))
    await catalog.close()


asyncio.run(main())
