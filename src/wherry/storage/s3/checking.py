"""What the store can do, found out by doing it; and what an operator should know about the bucket.

Rule 1: the bucket is tried out at the start and once in `EVERY` seconds after that, however often
it is asked. In between, only whether the bucket is there: requests that write cost money.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from threading import Lock
from typing import Any

from wherry.core.digests import crc64
from wherry.core.place import CHECKSUM_HEADER, FILES, PROBES, days_until_aborted
from wherry.storage.s3.bucket import PRESENT_FOR, Bucket, Features, as_text
from wherry.storage.s3.errors import DAMAGED, EXISTS, UNSUPPORTED, S3Error
from wherry.storage.s3.markers import new_token

#: How often the bucket is tried out, in seconds.
EVERY = 60.0

#: That of no object.
_NO_ETAG = f'"{"0" * 32}"'


class Checking:
    def __init__(self, bucket: Bucket, *, expires_after: float, is_direct: bool = False) -> None:
        """`expires_after`: the setting, in seconds."""
        self._bucket = bucket
        self._least_days = days_until_aborted(expires_after)
        self._is_direct = is_direct
        self._checked_at = float("-inf")
        self._warnings: list[str] | None = None
        self._lock = Lock()

    def check(self) -> list[str]:
        """Sentences for an operator. Raises `OSError` where the bucket cannot be written."""
        with self._lock:
            if time.monotonic() - self._checked_at < EVERY and self._warnings is not None:
                self._bucket.verify(PRESENT_FOR)
                return self._warnings
            self._bucket.verify()
            if self._warnings is None:
                self._bucket.features = self._find_features()
                self._warnings = self._find_weaknesses()
            else:
                self._write()
            self._checked_at = time.monotonic()
            return self._warnings

    def _write(self) -> None:
        """Make an object and remove it."""
        key = f"{PROBES}{new_token()}"
        self._bucket.put(key, b"wherry", crc64(b"wherry"))
        # A crash here leaves six bytes: `wherry storage reconcile` finds them.
        self._bucket.delete([key])

    def _find_features(self) -> Features:
        self._bucket.features = Features()
        verifies, verifies_parts = self._does_verify()
        self._bucket.features = Features(verifies, verifies_parts, is_conditional=False)
        return Features(verifies, verifies_parts, *self._find_conditions())

    def _does_verify(self) -> tuple[bool, bool]:
        """Whether the store compares the CRC-64/NVME of a whole object that is made of parts.

        And that of each part, which is tried out only where clients may send parts to it.
        """
        bucket, key, token = self._bucket, f"{PROBES}{new_token()}", new_token()
        bucket.features = Features(is_conditional=False)
        try:
            upload = bucket.begin(key, token)
        except S3Error as error:
            if error.code in UNSUPPORTED:
                return False, False
            raise
        # A crash here leaves a multipart upload: the lifecycle rule ends it, or `reconcile`.
        try:
            right, wrong = crc64(b"wherry"), crc64(b"ferry")
            bucket.put_part(key, upload, 1, bytearray(b"wherry"), 6, right)
            found = list(bucket.parts(key, upload).values())
            is_told = [part.crc for part in found] == [as_text(right)]
            verifies = self._refuses(lambda: bucket.complete(key, upload, found, 6, wrong))
            verifies_parts = (
                verifies
                and self._is_direct
                and is_told
                and self._refuses(
                    lambda: bucket.put_part(key, upload, 2, bytearray(b"wherry"), 6, wrong)
                )
            )
            return verifies, verifies_parts
        finally:
            bucket.abort(key, upload)
            bucket.delete([key])

    @staticmethod
    def _refuses(with_wrong_crc: Callable[[], object]) -> bool:
        """Whether the store refuses this request because of its CRC."""
        try:
            with_wrong_crc()
        except S3Error as error:
            if error.code in DAMAGED:
                return True
            if error.code not in UNSUPPORTED:
                raise
        return False  # it has accepted a wrong one, or does not know it

    def _find_conditions(self) -> tuple[bool, bool]:
        """`is_conditional` and `is_exact`."""
        bucket, key, crc = self._bucket, f"{PROBES}{new_token()}", crc64(b"wherry")

        def is_put(**condition: str) -> bool | None:
            """None: the store does not know the condition."""
            try:
                bucket.put(key, b"wherry", crc, **condition)
            except S3Error as error:
                if error.code in EXISTS:
                    return False
                if error.code not in UNSUPPORTED:
                    raise
                return None
            return True

        is_put()
        try:
            is_conditional, found = is_put(IfNoneMatch="*") is False, bucket.head(key)
            is_exact = (
                is_conditional
                and found is not None
                and found.crc == as_text(crc)
                and is_put(IfMatch=_NO_ETAG) is False
                and is_put(IfMatch=found.etag) is True
            )
            return is_conditional, is_exact
        finally:
            bucket.delete([key])

    def _find_weaknesses(self) -> list[str]:
        features, name, found = self._bucket.features, str(self._bucket.place), []
        if not features.verifies:
            found.append(
                f"The object store of {name} does not verify the CRC-64/NVME of a whole object: "
                "Wherry compares the checksums of what it receives, and relies on the store for "
                "the rest."
            )
        if not features.is_conditional:
            found.append(
                f"The object store of {name} does not know If-None-Match: Wherry asks before it "
                "makes an object, which takes one more request."
            )
        found += self._weaknesses_of_rules()
        if self._is_direct and not features.verifies_parts:
            found.append(
                f"The object store of {name} does not verify the CRC-64/NVME of each part: clients "
                "send every byte through Wherry, in spite of direct_uploads."
            )
        elif self._is_direct and not self._lets_browsers_send():
            found.append(
                f"The bucket of {name} has no CORS rule that lets browsers send parts, or does not "
                "say so. Without it, they send every byte through Wherry, in spite of "
                "direct_uploads. Add the rule that `wherry storage reconcile --dry-run` prints."
            )
        if self._is_versioned():
            found.append(
                f"The bucket of {name} keeps old versions: files that Wherry deletes stay, and are "
                "paid for. Add a lifecycle rule that deletes noncurrent versions, or suspend "
                "versioning."
            )
        return found

    def _weaknesses_of_rules(self) -> Iterator[str]:
        """Of the lifecycle rules that end incomplete multipart uploads."""
        name = str(self._bucket.place)
        rules = self._asked("get_bucket_lifecycle_configuration").get("Rules", [])
        days = {folder: self._days_in(folder, rules) for folder in (FILES, PROBES)}
        if None in days.values():
            yield (
                f"The bucket of {name} has no lifecycle rules that end incomplete multipart "
                "uploads, or does not say so. A crash can leave one, and it is paid for until it "
                "ends. Run `wherry storage reconcile` from time to time, or add the rules that it "
                "prints."
            )
        least = self._least_days
        if (found := days[FILES]) is not None and found < least:
            yield (
                f"A lifecycle rule of the bucket of {name} ends multipart uploads {_days(found)} "
                "after they began, also those that still receive bytes. Such an upload fails, and "
                f"its client has to begin again. With this expires_after, use at least "
                f"{_days(least)}: `wherry storage reconcile --dry-run` prints the rules."
            )

    def _days_in(self, folder: str, rules: Iterable[dict[str, Any]]) -> int | None:
        """After how many days the first of these rules ends incomplete uploads there."""
        path = f"{self._bucket.place.prefix}{folder}"
        return min(
            (
                rule["AbortIncompleteMultipartUpload"]["DaysAfterInitiation"]
                for rule in rules
                if rule.get("Status") == "Enabled"
                and "AbortIncompleteMultipartUpload" in rule
                and (prefix := _prefix_of(rule)) is not None
                and path.startswith(prefix)
            ),
            default=None,
        )

    def _lets_browsers_send(self) -> bool:
        return any(
            "PUT" in rule.get("AllowedMethods", [])
            and {"*", CHECKSUM_HEADER} & {name.lower() for name in rule.get("AllowedHeaders", [])}
            for rule in self._asked("get_bucket_cors").get("CORSRules", [])
        )

    def _is_versioned(self) -> bool:
        return self._asked("get_bucket_versioning").get("Status") == "Enabled"

    def _asked(self, operation: str) -> dict[str, Any]:
        """Nothing where the store does not answer that, or not to us."""
        try:
            return self._bucket.call(operation)
        except OSError:
            return {}


def _prefix_of(rule: dict[str, Any]) -> str | None:
    """Of the keys that a lifecycle rule is for; None if it is not for all of them."""
    # Older rules have no filter.
    found: dict[str, str] = rule.get("Filter", {"Prefix": rule.get("Prefix", "")})
    return None if set(found) - {"Prefix"} else found.get("Prefix", "")


def _days(number: int) -> str:
    return f"{number} day{'' if number == 1 else 's'}"
