"""Run into an I/O error: files may not grow any more; then they may again."""

import asyncio
import resource
import sys
from pathlib import Path

from wherry.catalog.sqlite.catalog import SqliteCatalog
from wherry.core.errors import StorageFailed
from wherry.core.ranges import Part
from wherry.core.upload import Upload


async def main() -> None:
    path = Path(sys.argv[1])
    catalog = SqliteCatalog(path)
    await catalog.create(Upload("u", "o", "film.mp4", 1 << 40))
    hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    log = path.with_name(path.name + "-wal").stat().st_size
    resource.setrlimit(resource.RLIMIT_FSIZE, (log + 40_000, hard))

    async def bring(at: int) -> None:
        part = Part(at, at + 1, at, 1.0)
        await catalog.update("u", lambda u: u.lease(part.range, "t", 1.0))
        await catalog.update("u", lambda u: u.record("t", (part,)))

    acknowledged = 0
    try:
        while True:
            await bring(2 * acknowledged)
            acknowledged += 1
    except StorageFailed as error:
        sys.stdout.write(f"{error}\n")
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    assert len((await catalog.load("u")).received.parts) == acknowledged > 0
    await bring(1 << 30)
    assert len((await catalog.load("u")).received.parts) == acknowledged + 1
    await catalog.close()


asyncio.run(main())
