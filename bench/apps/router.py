"""An application with Wherry's router, for stock uvicorn. Settings come from the environment."""

from fastapi import FastAPI

from wherry.engine.finished import FinishedFile
from wherry.router import chunked_upload_router

app = FastAPI()


async def everyone() -> str:
    return "bench"


async def take(file: FinishedFile) -> str:
    return file.id


app.include_router(chunked_upload_router(owner=everyone, on_complete=take))


@app.get("/healthz")
async def healthz() -> dict[str, str]:
    return {"status": "ok"}
