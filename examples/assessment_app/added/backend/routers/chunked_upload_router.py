"""Uploads in chunks: a video of any size gets in, whatever the ingress allows."""

import uuid
from typing import Annotated

from fastapi import Depends
from wherry.router import FinishedFile, chunked_upload_router, page_router

import assessments
from auth import User, current_user
from database import BACKEND


def owner(user: Annotated[User, Depends(current_user)]) -> int:
    """Whose upload it is, by our own login."""
    return user.id


def start_assessment(file: FinishedFile) -> str:
    """Called when all bytes are there: at least once, and never twice at the same time."""
    # The upload's id is the key: called again, this finds what it did the first time.
    assessment_id = str(uuid.uuid5(uuid.NAMESPACE_OID, file.id))
    video = assessments.VIDEOS / f"{assessment_id}{file.path.suffix}"
    if file.path.exists():
        file.path.replace(video)
    # A crash here: the video is moved, and not recorded. The next call records it.
    assessments.begin(assessment_id, int(file.owner), file.filename, video)
    return assessment_id


router = chunked_upload_router(owner=owner, on_complete=start_assessment, data=BACKEND)
# A page to try it with, at /api/chunked-upload/page/. It is public; the API behind it asks who.
router.include_router(page_router(api="../../"), prefix="/page")
