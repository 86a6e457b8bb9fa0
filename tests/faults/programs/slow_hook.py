"""A host application whose `on_complete` tells its begin, waits for a file, and tells its end."""

import os
import time
from pathlib import Path

from fastapi import FastAPI

from wherry.router import FinishedFile, chunked_upload_router

FOLDER = Path(os.environ["HOST_FOLDER"])


def tell(word: str) -> None:
    with (FOLDER / "calls").open("a") as calls:
        calls.write(f"{word} {os.getpid()}\n")


def on_complete(file: FinishedFile) -> str:
    tell("begin")
    while not (FOLDER / "let-go").exists():
        time.sleep(0.05)
    tell("end")
    return f"of-{os.getpid()}"


app = FastAPI()
app.include_router(
    chunked_upload_router(
        owner=lambda: "alice",
        on_complete=on_complete,
        data=FOLDER / "data",
        min_free=0,
        completion_lease=0.5,
        answer_within=2,
        max_open=None,
    ),
    prefix="/api",
)
