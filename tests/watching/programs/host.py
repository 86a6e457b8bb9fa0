"""A host application as uvicorn runs it with nothing set: `uvicorn host:app`."""

import os

from fastapi import FastAPI

from wherry.router import chunked_upload_router

app = FastAPI()
app.include_router(
    chunked_upload_router(
        owner=lambda: "alice",
        operator=lambda: True,
        data=os.environ["HOST_DATA"],
        min_free=0,
        assessment=False,
    ),
    prefix="/api",
)
