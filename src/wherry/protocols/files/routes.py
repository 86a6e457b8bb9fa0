"""The operations on finished files and on assessments, for the router and for OpenAPI.

Two tables: an application that assesses its files itself includes only `FILES`.
"""

from __future__ import annotations

from wherry.core import errors
from wherry.protocols.files import models, verbs
from wherry.protocols.operation import Operation

FILES = (
    Operation(
        "GET",
        "/files/{upload_id}",
        "get_file",
        verbs.get_file,
        "The bytes of the finished file, for its owner; ranges are served",
        {
            200: ("The file.", None),
            206: ("A range of it.", None),
            416: ("No byte of the range is in the file.", None),
        },
        (errors.UploadNotFound,),
        takes_readers=True,
    ),
    Operation(
        "DELETE",
        "/files/{upload_id}",
        "delete_file",
        verbs.delete_file,
        "Delete the finished file",
        {204: ("Deleted.", None)},
        (errors.UploadNotFound, errors.UploadClosed),
    ),
)
ASSESSMENTS = (
    Operation(
        "GET",
        "/assessments/{assessment_id}",
        "get_assessment",
        verbs.get_assessment,
        "An assessment: the state of its steps, then its report",
        {200: ("The assessment.", models.AssessmentStatus)},
        (errors.NotThere,),
        takes_readers=True,
    ),
    Operation(
        "GET",
        "/assessments/{assessment_id}/pictures/{name}",
        "get_picture",
        verbs.get_picture,
        "A picture that an assessment made",
        {200: ("The picture.", None)},
        (errors.NotThere,),
        takes_readers=True,
    ),
)
