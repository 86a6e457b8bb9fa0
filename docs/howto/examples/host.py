"""An application with Wherry's router. Run it: uvicorn --app-dir docs/howto/examples host:app"""

import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Depends, FastAPI, Header, HTTPException

from wherry.core.errors import ContentRefused
from wherry.engine import FinishedFile
from wherry.router import chunked_upload_router

FOLDER = Path(os.environ.get("HOST_FOLDER", "host-data"))
LIBRARY = FOLDER / "library"
LIBRARY.mkdir(parents=True, exist_ok=True)

# The application's own login. Yours is a session, a cookie, a JWT.
TOKENS = {"alices-token": "alice", "bobs-token": "bob"}


def current_user(authorization: Annotated[str, Header()] = "") -> str:
    """Return the user's name. Wherry records it as the owner, so it must never change."""
    user = TOKENS.get(authorization.removeprefix("Bearer "))
    if user is None:
        raise HTTPException(401, "log in first")
    return user


def is_admin(user: Annotated[str, Depends(current_user)]) -> bool:
    """Whether the user may list all uploads and read the disk space."""
    return user == "bob"


# The application's own jobs.


def jobs() -> sqlite3.Connection:
    connection = sqlite3.connect(FOLDER / "jobs.sqlite", isolation_level=None)
    connection.execute(
        "CREATE TABLE IF NOT EXISTS jobs (id TEXT PRIMARY KEY, owner TEXT, path TEXT)"
    )
    return connection


def refuse_empty_files(file: FinishedFile) -> None:
    """Called before the upload is complete: the last moment to say no."""
    if file.size == 0:
        raise ContentRefused("the file is empty")


def start_processing(file: FinishedFile) -> str:
    """Called at least once for each upload, never twice at the same time.

    A second call finds what the first one did, and does only the rest.
    """
    mine = LIBRARY / file.path.name
    if file.path.exists():
        file.path.replace(mine)
    # After a crash here, the file is moved but there is no job. The next call makes the job.
    with closing(jobs()) as connection:
        job = (file.id, file.owner, str(mine))
        connection.execute("INSERT OR IGNORE INTO jobs VALUES (?, ?, ?)", job)
    return file.id


app = FastAPI()
api_router = APIRouter(prefix="/api")


@api_router.get("/jobs/{job_id}")
def get_job(job_id: str, user: Annotated[str, Depends(current_user)]) -> dict[str, Any]:
    with closing(jobs()) as connection:
        query = "SELECT path FROM jobs WHERE id = ? AND owner = ?"
        found = connection.execute(query, (job_id, user)).fetchone()
    if found is None:
        raise HTTPException(404)
    return {"job": job_id, "path": found[0]}


api_router.include_router(
    chunked_upload_router(
        owner=current_user,
        operator=is_admin,
        before_complete=refuse_empty_files,
        on_complete=start_processing,
        data=FOLDER / "uploads",
        max_size="2GiB",
    )
)
app.include_router(api_router)
