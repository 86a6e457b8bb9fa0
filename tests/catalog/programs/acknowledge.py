"""Lease and record without end in the catalog at argv[1]; print what was acknowledged."""

import asyncio
import os
import sys

from wherry.catalog.sqlite.catalog import SqliteCatalog
from wherry.core.ranges import Part
from wherry.core.upload import Upload

LENGTH = 1 << 40


async def acknowledge(catalog: SqliteCatalog, name: str, part: Part) -> None:
    await catalog.update(name, lambda u: u.lease(part.range, "t", 1.0))
    await catalog.update(name, lambda u: u.record("t", (part,)))
    os.write(1, f"{name} {part.start} {part.end}\n".encode())


async def client(catalog: SqliteCatalog, name: str) -> None:
    new = Upload(name, "o", "film.mp4", LENGTH, LENGTH)
    await catalog.create(new)
    at = 0
    while True:
        # A gap after every third part, so that rows are added as well as replaced.
        start = at + (at // 10 % 3 == 0)
        await acknowledge(catalog, name, Part(start, at + 10, start, 1.0))
        at += 10


async def main() -> None:
    catalog = SqliteCatalog(sys.argv[1])
    await asyncio.gather(*(client(catalog, f"u{number}") for number in range(8)))


asyncio.run(main())
