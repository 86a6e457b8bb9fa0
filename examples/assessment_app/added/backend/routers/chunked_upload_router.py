"""Upload videos in chunks, so that the ingress does not limit their size."""

import uuid
from typing import Annotated

from fastapi import Depends
from wherry.router import FinishedFile, chunked_upload_router, page_router

import assessments
from auth import User, current_user
from database import BACKEND


def owner(user: Annotated[User, Depends(current_user)]) -> int:
    """Return the id of the logged-in user, who owns the upload."""
    return user.id


def start_assessment(file: FinishedFile) -> str:
    """Called when all bytes are there: at least once, and never twice at the same time."""
    # The id depends on the upload only, so a second call finds the record of the first.
    assessment_id = str(uuid.uuid5(uuid.NAMESPACE_OID, file.id))
    video = assessments.VIDEOS / f"{assessment_id}{file.path.suffix}"
    if file.path.exists():
        file.path.replace(video)
    # After a crash here, the video is moved but not recorded. The next call records it.
    assessments.begin(assessment_id, int(file.owner), file.filename, video)
    return assessment_id


router = chunked_upload_router(owner=owner, on_complete=start_assessment, data=BACKEND / "uploads")
# A page to try it, at /api/chunked-upload/page/. The page is public; the API requires a login.
router.include_router(page_router(api="../../"), prefix="/page")
