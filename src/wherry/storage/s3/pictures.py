"""What assessments draw: `assessments/<assessment_id>/<name>`."""

from __future__ import annotations

from wherry.core.digests import crc64
from wherry.storage.names import check_assessment_id, check_picture_name
from wherry.storage.s3.bucket import Bucket
from wherry.storage.s3.file import S3File

FOLDER = "assessments/"


class S3Pictures:
    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket

    def put(self, assessment_id: str, name: str, data: bytes) -> None:
        """Keep a picture, in place of one with the same name. Raises `OSError`."""
        key = self._folder(assessment_id) + check_picture_name(name)
        self._bucket.put(key, data, crc64(data))

    def get(self, assessment_id: str, name: str) -> S3File:
        """The picture with this name."""
        return S3File(self._bucket, self._folder(assessment_id) + check_picture_name(name))

    def delete(self, assessment_id: str) -> None:
        """Remove every picture of this assessment. Raises `OSError`."""
        self._bucket.delete([key for key, _, _ in self._bucket.list(self._folder(assessment_id))])

    @staticmethod
    def _folder(assessment_id: str) -> str:
        return f"{FOLDER}{check_assessment_id(assessment_id)}/"
