"""Every file is scanned before it is complete.

SCANNER='clamdscan --fdpass --no-summary' uvicorn --app-dir docs/howto/examples scan:app
"""

import asyncio
import os
import shlex

from fastapi import FastAPI

from wherry.core.errors import ContentRefused
from wherry.engine import FinishedFile
from wherry.router import chunked_upload_router

SCANNER = shlex.split(os.environ["SCANNER"])
CLEAN, INFECTED = 0, 1


def everybody() -> str:
    """Your own login stands here."""
    return "everybody"


async def scan(file: FinishedFile) -> None:
    process = await asyncio.create_subprocess_exec(*SCANNER, file.path)
    code = await process.wait()
    if code == INFECTED:
        raise ContentRefused("the scanner found something")
    if code != CLEAN:
        raise RuntimeError(f"the scanner ended with {code}")


app = FastAPI()
app.include_router(
    chunked_upload_router(
        owner=everybody,
        before_complete=scan,
        data=os.environ.get("SCAN_DATA", "scan-data"),
        assessment=False,
    ),
    prefix="/api",
)
