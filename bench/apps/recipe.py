"""The usual recipe for uploads in chunks with FastAPI, as tutorials show it.

Each chunk is a form with a file, each is stored in a file of its own, and the last request joins
them. The functions are not coroutines, so that writing does not block the event loop.
"""

import os
import shutil
from pathlib import Path
from typing import Annotated

from fastapi import FastAPI, Form, UploadFile
from pydantic import BaseModel

app = FastAPI()
chunks = Path(os.environ["BENCH_DATA"]) / "chunks"
files = Path(os.environ["BENCH_DATA"]) / "files"
chunks.mkdir(parents=True, exist_ok=True)
files.mkdir(parents=True, exist_ok=True)


class Complete(BaseModel):
    upload_id: str
    chunks: int


@app.post("/upload")
def upload(file: UploadFile) -> dict[str, str]:
    name = Path(str(file.filename)).name
    with (files / name).open("wb") as target:
        shutil.copyfileobj(file.file, target)
    return {"name": name}


@app.post("/chunk")
def chunk(
    upload_id: Annotated[str, Form()], index: Annotated[int, Form()], file: UploadFile
) -> dict[str, int]:
    folder = chunks / Path(upload_id).name
    folder.mkdir(exist_ok=True)
    with (folder / str(index)).open("wb") as target:
        shutil.copyfileobj(file.file, target)
    return {"index": index}


@app.post("/complete")
def complete(wanted: Complete) -> dict[str, str]:
    name = Path(wanted.upload_id).name
    with (files / f"{name}.bin").open("wb") as target:
        for index in range(wanted.chunks):
            with (chunks / name / str(index)).open("rb") as part:
                shutil.copyfileobj(part, target)
    shutil.rmtree(chunks / name)
    return {"name": name}
