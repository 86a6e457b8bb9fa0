"""Where files are in an object store, as the setting `storage` says it."""

from __future__ import annotations

import re
from dataclasses import dataclass

_URL = re.compile(r"s3://([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:/([A-Za-z0-9._/-]*))?")


#: After how many days the rule ends multipart uploads. Longer than uploads last.
DAYS = 7
#: The header by which the store verifies a part that a client sends itself.
CHECKSUM_HEADER = "x-amz-checksum-crc64nvme"


@dataclass(frozen=True, slots=True)
class Place:
    """A bucket, and the prefix of all keys: empty, or with a `/` at its end."""

    bucket: str
    prefix: str

    @classmethod
    def parse(cls, url: str) -> Place:
        """Of `s3://bucket/prefix`. Raises `ValueError` with a sentence."""
        found = _URL.fullmatch(url)
        if found is None:
            raise ValueError(
                f"{url!r} is not s3://BUCKET or s3://BUCKET/PREFIX, where the prefix has letters, "
                "digits and . _ - /"
            )
        steps = [step for step in (found[2] or "").split("/") if step]
        if any(step in (".", "..") for step in steps):
            raise ValueError(f"{url!r} has . or .. in its prefix")
        return cls(found[1], "".join(f"{step}/" for step in steps))

    def lifecycle_rule(self) -> dict[str, object]:
        """The rule of the bucket that ends what crashes leave.

        As `aws s3api put-bucket-lifecycle-configuration` takes it.
        """
        rule = {
            "ID": "wherry-incomplete",
            "Status": "Enabled",
            "Filter": {"Prefix": f"{self.prefix}files/"},
            "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": DAYS},
        }
        return {"Rules": [rule]}

    @staticmethod
    def cors_rule() -> dict[str, object]:
        """The rule of the bucket that lets pages send parts to it (`direct_uploads`).

        As `aws s3api put-bucket-cors` takes it. What protects the bucket is that each address is
        signed; browsers send no cookies with these requests.
        """
        rule = {
            "ID": "wherry-direct",
            "AllowedOrigins": ["*"],
            "AllowedMethods": ["PUT"],
            "AllowedHeaders": [CHECKSUM_HEADER, "content-type"],
            "MaxAgeSeconds": 3600,
        }
        return {"CORSRules": [rule]}

    def __str__(self) -> str:
        return f"s3://{self.bucket}/{self.prefix}".rstrip("/")
