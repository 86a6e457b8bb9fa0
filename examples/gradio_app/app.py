"""Gradio and Wherry in one FastAPI application: uvicorn app:app"""

import hashlib
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import gradio as gr
from fastapi import FastAPI, Request
from wherry.gradio import UploadedFile, wherry_upload
from wherry.router import FinishedFile, chunked_upload_router

DATA = Path(os.environ.get("APP_DATA", "data")).absolute()
DATA.mkdir(parents=True, exist_ok=True)


def current_user(request: Request) -> str:
    """Your own login. Here, a proxy in front does it, and no other way leads to this server."""
    return request.headers.get("X-Forwarded-User") or "anonymous"


@contextmanager
def library() -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(DATA / "library.sqlite")
    try:
        with connection:
            connection.execute(
                "CREATE TABLE IF NOT EXISTS files (id TEXT PRIMARY KEY, owner TEXT, path TEXT)"
            )
            yield connection
    finally:
        connection.close()


def keep(file: FinishedFile) -> str:
    """Called when all bytes are there: at least once, and never twice at the same time."""
    row = (file.id, file.owner, str(file.path))
    with library() as records:
        records.execute("INSERT OR IGNORE INTO files VALUES (?, ?, ?)", row)
    return file.id


def path_of(upload_id: str, owner: str) -> Path | None:
    """None for a file of somebody else: the id comes from a browser, which may make one up."""
    query = "SELECT path FROM files WHERE id = ? AND owner = ?"
    with library() as records:
        found = records.execute(query, (upload_id, owner)).fetchone()
    return Path(found[0]) if found else None


def look_at(files: list[UploadedFile], request: gr.Request) -> str:
    lines = []
    for file in files:
        path = path_of(file.id, request.username)
        if path is not None:
            with path.open("rb") as video:
                digest = hashlib.file_digest(video, "sha256").hexdigest()
            lines.append(f"{file.filename}: {path.stat().st_size:,} bytes, SHA-256 {digest}")
    return "\n".join(lines)


with gr.Blocks(title="Videos") as demo:
    uploader = wherry_upload("/api", accept="video/*", multiple=True)
    arrived = gr.Textbox(label="Arrived", lines=4)
    uploader.change(look_at, inputs=uploader, outputs=arrived)

app = FastAPI()
app.include_router(
    chunked_upload_router(owner=current_user, on_complete=keep, data=DATA / "uploads"),
    prefix="/api",
)
app = gr.mount_gradio_app(app, demo, path="/", auth_dependency=current_user)
