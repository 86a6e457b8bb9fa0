"""The application: takes uploads in by Wherry and hands them over to Celery."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, FastAPI, Header, HTTPException
from wherry.router import FinishedFile, chunked_upload_router

from tasks import DATA, process, records

# The application's own login. Yours is a session, a cookie, a JWT.
TOKENS = {"alices-token": "alice", "bobs-token": "bob"}


def current_user(authorization: Annotated[str, Header()] = "") -> str:
    user = TOKENS.get(authorization.removeprefix("Bearer "))
    if user is None:
        raise HTTPException(401, "log in first")
    return user


def hand_over(file: FinishedFile) -> str:
    """Called when all bytes are there: at least once, and never twice at the same time."""
    with records() as connection:
        job = (file.id, file.owner, str(file.path))
        connection.execute("INSERT OR IGNORE INTO jobs (id, owner, video) VALUES (?, ?, ?)", job)
    # A crash here: there is a record and no task yet. The next call sends it. If the broker is
    # away this raises: the file is kept, and the client asks again.
    process.apply_async((file.id,), task_id=file.id)
    return file.id


app = FastAPI()
api_router = APIRouter(prefix="/api")


@api_router.get("/jobs/{job_id}")
def get_job(job_id: str, user: Annotated[str, Depends(current_user)]) -> dict[str, Any]:
    with records() as connection:
        query = "SELECT state, sha256 FROM jobs WHERE id = ? AND owner = ?"
        found = connection.execute(query, (job_id, user)).fetchone()
    if found is None:
        raise HTTPException(404)
    return {"job": job_id, "state": found[0], "sha256": found[1]}


api_router.include_router(
    chunked_upload_router(owner=current_user, on_complete=hand_over, data=DATA / "uploads")
)
app.include_router(api_router)
