"""Where files are in an object store, as the setting `storage` says it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

_URL = re.compile(r"s3://([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:/([A-Za-z0-9._/-]*))?")


#: Where finished files are, and what is made to try out the store.
FILES, PROBES = "files/", "probes/"
#: How many days an upload has for its bytes, before a last pause and the end by the rule.
DAYS_OF_SENDING = 6
#: After how many days the rule ends what trying out the store has left.
DAYS_OF_PROBES = 1
_DAY = 24 * 3600.0
#: The header by which the store verifies a part that a client sends itself.
CHECKSUM_HEADER = "x-amz-checksum-crc64nvme"


def days_until_aborted(expires_after: float) -> int:
    """After how many days the rule ends an upload. `expires_after`: the setting, in seconds.

    The store counts from the beginning of the upload, and expiry from its last byte. So there is no
    bound to how long an upload may last: it gets `DAYS_OF_SENDING`, and then the longest pause.
    """
    return DAYS_OF_SENDING + ceil(expires_after / _DAY)


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

    def lifecycle_rules(self, expires_after: float) -> dict[str, Sequence[object]]:
        """The rules of the bucket that end what crashes leave.

        As `aws s3api put-bucket-lifecycle-configuration` takes them. `expires_after`: the setting,
        in seconds.
        """

        def rule(name: str, folder: str, days: int) -> dict[str, object]:
            return {
                "ID": name,
                "Status": "Enabled",
                "Filter": {"Prefix": f"{self.prefix}{folder}"},
                "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": days},
            }

        return {
            "Rules": [
                rule("wherry-incomplete", FILES, days_until_aborted(expires_after)),
                rule("wherry-probes", PROBES, DAYS_OF_PROBES),
            ]
        }

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
