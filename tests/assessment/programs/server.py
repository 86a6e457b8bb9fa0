"""A server as far as a worker sees it: `server.py DATA OPTIONS` keeps one running until it ends."""

import asyncio
import logging
import sys
from pathlib import Path

from wherry.assessment.supervisor import Supervisor


async def main() -> None:
    logging.basicConfig(level=logging.INFO, stream=sys.stderr)
    worker = Path(__file__).with_name("worker.py")
    async with Supervisor([sys.executable, str(worker), *sys.argv[1:]]):
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
