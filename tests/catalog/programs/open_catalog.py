"""Open the catalog at argv[1] when told to, say so, close it. It has the uploads in argv[2:]."""

import asyncio
import sys

from wherry.catalog import Catalog
from wherry.catalog.postgres.catalog import PostgresCatalog
from wherry.catalog.sqlite.catalog import SqliteCatalog


async def main() -> None:
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.readline()
    where = sys.argv[1]
    catalog: Catalog = PostgresCatalog(where) if "://" in where else SqliteCatalog(where)
    assert [upload.id for upload in await catalog.uploads()] == sys.argv[2:]
    sys.stdout.write("open\n")
    await catalog.close()


asyncio.run(main())
