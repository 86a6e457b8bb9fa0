"""The application: sign in, upload a video, look at its assessment."""

import shutil
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Depends, FastAPI, HTTPException, Request, Response, UploadFile
from pydantic import BaseModel

import assessments
from auth import User, current_user, sign_in, sign_out


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    assessments.resume()
    yield
    assessments.stop()


app = FastAPI(title="Video assessment", lifespan=lifespan)
api_router = APIRouter(prefix="/api")


class Login(BaseModel):
    name: str
    password: str


@api_router.post("/login")
def login(given: Login, request: Request, response: Response) -> User:
    return sign_in(given.name, given.password, request, response)


@api_router.post("/logout")
def logout(request: Request, response: Response) -> dict[str, str]:
    sign_out(request, response)
    return {"status": "signed out"}


@api_router.get("/me")
def me(user: Annotated[User, Depends(current_user)]) -> User:
    return user


@api_router.post("/assessments/upload")
def upload_video(file: UploadFile, user: Annotated[User, Depends(current_user)]) -> dict[str, str]:
    assessment_id = str(uuid.uuid4())
    filename = file.filename or "video"
    video = assessments.VIDEOS / f"{assessment_id}{Path(filename).suffix}"
    with video.open("wb") as kept:
        shutil.copyfileobj(file.file, kept)
    assessments.begin(assessment_id, user.id, filename, video)
    return {"assessment_id": assessment_id}


@api_router.get("/assessments/{assessment_id}")
def get_assessment(
    assessment_id: str, user: Annotated[User, Depends(current_user)]
) -> dict[str, Any]:
    found = assessments.find(assessment_id, user.id)
    if found is None:
        raise HTTPException(404, "there is no such assessment")
    return found


app.include_router(api_router)
