"""One of several servers: spend the rate of the owner argv[2] until it is used up.

argv[1]: the database. argv[3]: the folder of this server. Prints how many requests were free.
"""

import asyncio
import sys
from contextlib import suppress
from math import inf
from pathlib import Path

from wherry.app import App
from wherry.core.errors import RateLimited
from wherry.core.limits import Rate
from wherry.core.requests import Caller
from wherry.engine import shared_counts
from wherry.settings import Settings


async def main() -> None:
    database, owner, folder = sys.argv[1:]
    rate = Rate(500, "day")
    settings = Settings(
        data=Path(folder), database=database, assessment=False, min_free=0, rate_requests=rate
    )
    shared_counts.PATIENCE = 60.0  # on a busy machine, it would count by itself
    app, free = App(settings), 0
    engine = await app.engine()

    async def spend(most: float) -> None:
        nonlocal free
        with suppress(RateLimited):
            while free < most:
                await engine.check_rate(Caller(owner))
                free += 1

    await spend(1)  # so that each of them has a share
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.readline()
    await spend(inf)
    sys.stdout.write(f"{free}\n")
    await app.stop()


asyncio.run(main())
