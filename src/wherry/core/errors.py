"""Everything an upload can be refused for.

Rule 1: an error carries facts, in no protocol's words. Protocols have the tables from an error
to its status and to the advice for the client (`protocols/problem.py`, `protocols/hints.py`);
a test fails while an error is missing in one.

Rule 2: `code` never changes once released; `str(error)` says what happened.

Rule 3: only a refusal for size has "413" or "too large" in its text, because clients look for
these words. So no other text has numbers; the facts have them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any, ClassVar


class UploadError(Exception):
    """The root of all refusals. `retryable`: whether the same request may succeed later."""

    code: ClassVar[str]
    retryable: ClassVar[bool] = False

    def facts(self) -> dict[str, Any]:
        """The error's own fields by name, as a client may read them."""
        return {f.name: getattr(self, f.name) for f in fields(self)}  # type: ignore[arg-type]


@dataclass
class BadRequest(UploadError):
    code: ClassVar[str] = "bad-request"
    field: str
    problem: str

    def __str__(self) -> str:
        return f"{self.field}: {self.problem}"


@dataclass
class LengthRequired(UploadError):
    code: ClassVar[str] = "length-required"

    def __str__(self) -> str:
        return "The number of bytes is not known."


@dataclass
class Unauthorized(UploadError):
    code: ClassVar[str] = "unauthorized"

    def __str__(self) -> str:
        return "No API key or login, or one that is not known."


@dataclass
class KeysUnreadable(UploadError):
    """API keys are in use, and their file is missing or cannot be read."""

    code: ClassVar[str] = "keys-unreadable"
    retryable: ClassVar[bool] = True
    retry_after: int = 5

    def __str__(self) -> str:
        return "The server cannot read its API keys, so it refuses every request."


@dataclass
class ForeignOrigin(UploadError):
    """A browser sent this request for a page of another site."""

    code: ClassVar[str] = "foreign-origin"
    name: str

    def __str__(self) -> str:
        return f"Anonymous access is for this machine only, not for {self.name}."


@dataclass
class TicketExpired(UploadError):
    """A guest's ticket begins no upload and shows no report any more: its time is over."""

    code: ClassVar[str] = "ticket-expired"

    def __str__(self) -> str:
        return "This guest ticket has expired."


@dataclass
class TicketRevoked(UploadError):
    code: ClassVar[str] = "ticket-revoked"

    def __str__(self) -> str:
        return "This guest ticket was revoked."


@dataclass
class TicketUsedUp(UploadError):
    """As many files as the ticket allows have come, or are on their way."""

    code: ClassVar[str] = "ticket-used-up"
    uploads: int

    def __str__(self) -> str:
        return "This guest ticket allows no more uploads."


@dataclass
class NotForGuests(UploadError):
    """A guest's ticket is for uploads or for a report, and this request is something else."""

    code: ClassVar[str] = "not-for-guests"

    def __str__(self) -> str:
        return "A guest ticket does not allow this request."


@dataclass
class UploadNotFound(UploadError):
    """Unknown, or of another owner: the answer is the same."""

    code: ClassVar[str] = "upload-not-found"
    upload_id: str

    def __str__(self) -> str:
        return "There is no such upload."


@dataclass
class NotThere(UploadError):
    """Anything but an upload that is unknown or not the caller's."""

    code: ClassVar[str] = "not-found"

    def __str__(self) -> str:
        return "There is nothing at this address."


@dataclass
class UploadClosed(UploadError):
    """The upload is in a state that no longer allows the request."""

    code: ClassVar[str] = "upload-closed"
    state: str
    reason: str | None = None

    def __str__(self) -> str:
        return f"The upload is {self.state}{f' ({self.reason})' if self.reason else ''}."


@dataclass
class UploadGone(UploadError):
    """The upload was cancelled, has expired or has failed; its bytes are deleted."""

    code: ClassVar[str] = "upload-gone"
    state: str
    reason: str | None = None

    def __str__(self) -> str:
        return f"The upload is {self.state}{f' ({self.reason})' if self.reason else ''}."


@dataclass
class MadeOfPieces(UploadError):
    """No request may bring bytes of an upload that is joined from others."""

    code: ClassVar[str] = "made-of-pieces"

    def __str__(self) -> str:
        return "The bytes of this upload come from other uploads, which it is joined from."


@dataclass
class OffsetDiffers(UploadError):
    """Bytes can only be appended at the offset, and the client has another one."""

    code: ClassVar[str] = "offset-differs"
    offset: int
    provided: int

    def __str__(self) -> str:
        return "The bytes do not begin where the upload goes on."


@dataclass
class RangeOutside(UploadError):
    code: ClassVar[str] = "range-outside"
    start: int
    end: int
    length: int

    def __str__(self) -> str:
        return "The bytes lie outside the declared size."


@dataclass
class LengthMismatch(UploadError):
    code: ClassVar[str] = "length-mismatch"
    declared: int
    provided: int

    def __str__(self) -> str:
        return "The request declares another length than the upload has."


@dataclass
class ChunkTooSmall(UploadError):
    code: ClassVar[str] = "chunk-below-minimum"
    minimum: int
    provided: int

    def __str__(self) -> str:
        return "The chunk is smaller than the minimum."


@dataclass
class TooFragmented(UploadError):
    code: ClassVar[str] = "too-fragmented"
    most: int

    def __str__(self) -> str:
        return "The upload has too many gaps to open one more."


@dataclass
class TooLarge(UploadError):
    """More bytes than the server takes. `scope` says of what: `file`, or one `request`.

    Quotas have errors of their own, because smaller requests do not help against them.
    """

    code: ClassVar[str] = "too-large"
    limit: int
    provided: int
    scope: str = "file"

    def __str__(self) -> str:
        return f"The {self.scope} is too large: {self.provided} bytes, the limit is {self.limit}."


@dataclass
class NeverFits(UploadError):
    """The file is larger than all the space that there can be for uploads."""

    code: ClassVar[str] = "never-fits"
    limit: int
    provided: int

    def __str__(self) -> str:
        return "The file can never fit into the space for uploads."


@dataclass
class NoRoom(UploadError):
    """There is no space now, and the request cannot wait, or the queue is full too."""

    code: ClassVar[str] = "no-room"
    retryable: ClassVar[bool] = True
    retry_after: int = 5

    def __str__(self) -> str:
        return "There is no room for the upload at the moment."


@dataclass
class Queued(UploadError):
    """The upload waits in the queue at `position`; 1 is next."""

    code: ClassVar[str] = "waiting"
    retryable: ClassVar[bool] = True
    position: int | None = None
    retry_after: int = 1

    def __str__(self) -> str:
        return "The upload waits in the queue."


@dataclass
class RateLimited(UploadError):
    """The caller has used up its rate of `kind`: `requests`, `uploads` or `bytes`."""

    code: ClassVar[str] = "rate-limited"
    retryable: ClassVar[bool] = True
    kind: str
    rate: str
    retry_after: int

    def __str__(self) -> str:
        return f"This caller has used up its rate of {self.kind}."


@dataclass
class DiskFull(UploadError):
    code: ClassVar[str] = "disk-full"
    retryable: ClassVar[bool] = True
    retry_after: int = 30

    def __str__(self) -> str:
        return "The disk is full."


@dataclass
class StorageFailed(UploadError):
    """The disk reported an error; the bytes of this request do not count as received."""

    code: ClassVar[str] = "storage-failed"
    retryable: ClassVar[bool] = True
    problem: str
    retry_after: int = 5

    def __str__(self) -> str:
        return f"Storage failed: {self.problem}."


@dataclass
class DigestMismatch(UploadError):
    code: ClassVar[str] = "digest-mismatch"
    retryable: ClassVar[bool] = True
    algorithm: str

    def __str__(self) -> str:
        return f"The {self.algorithm} of the bytes differs from the digest that came with them."


@dataclass
class FileDigestMismatch(UploadError):
    code: ClassVar[str] = "file-digest-mismatch"
    announced: str
    received: str

    def __str__(self) -> str:
        return f"The file's digest is {self.received}; the client announced {self.announced}."


@dataclass
class DigestDiffers(UploadError):
    code: ClassVar[str] = "digest-differs"
    provided: str
    stored: str

    def __str__(self) -> str:
        return "The uploaded file has another digest."


@dataclass
class TypeRefused(UploadError):
    code: ClassVar[str] = "type-refused"
    found: str
    allowed: tuple[str, ...]

    def __str__(self) -> str:
        return f"The content is {self.found}; allowed types: {', '.join(self.allowed)}."


@dataclass
class ContentRefused(UploadError):
    """A `before_complete` hook raises this to refuse the file."""

    code: ClassVar[str] = "content-refused"
    reason: str

    def __str__(self) -> str:
        return f"The content was refused: {self.reason}"


@dataclass
class BytesMissing(UploadError):
    """The client asked for completion too early. `missing`: the first 100 ranges."""

    code: ClassVar[str] = "bytes-missing"
    missing: tuple[tuple[int, int], ...]

    def __str__(self) -> str:
        return "Bytes are missing."


@dataclass
class PartsMissing(UploadError):
    """Parts that a client has reported are not in storage, or not whole. `parts`: their numbers."""

    code: ClassVar[str] = "parts-missing"
    retryable: ClassVar[bool] = True
    parts: tuple[int, ...]

    def __str__(self) -> str:
        return "Parts that were reported are not in the object store in full."


@dataclass
class BodyCut(UploadError):
    """The request ended early. `received`: how many bytes of it were kept."""

    code: ClassVar[str] = "body-cut"
    retryable: ClassVar[bool] = True
    received: int
    announced: int

    def __str__(self) -> str:
        return "The request ended before all of its bytes arrived."


@dataclass
class BodyStalled(UploadError):
    code: ClassVar[str] = "body-stalled"
    retryable: ClassVar[bool] = True
    received: int
    seconds: float

    def __str__(self) -> str:
        return "Too few bytes arrived for too long."


@dataclass
class Superseded(UploadError):
    code: ClassVar[str] = "superseded"
    retryable: ClassVar[bool] = True

    def __str__(self) -> str:
        return "A newer request for the same bytes has taken over."


@dataclass
class Busy(UploadError):
    code: ClassVar[str] = "busy"
    retryable: ClassVar[bool] = True
    doing: str
    retry_after: int = 2

    def __str__(self) -> str:
        return f"Another request is {self.doing} at the moment."


@dataclass
class Overloaded(UploadError):
    """The process works on as many requests as it may (`max_requests`)."""

    code: ClassVar[str] = "overloaded"
    retryable: ClassVar[bool] = True
    retry_after: int = 1

    def __str__(self) -> str:
        return "The server works on as many requests as it can."


@dataclass
class Stopping(UploadError):
    """The server is about to end. It begins nothing new, and has ended what lasted too long."""

    code: ClassVar[str] = "stopping"
    retryable: ClassVar[bool] = True
    retry_after: int = 1

    def __str__(self) -> str:
        return "The server is stopping."


@dataclass
class HookFailed(UploadError):
    """The application's own hook raised an error or returned a wrong value; the file is kept."""

    code: ClassVar[str] = "hook-failed"
    retryable: ClassVar[bool] = True
    hook: str
    upload_id: str
    problem: str = "failed"
    retry_after: int = 5

    def __str__(self) -> str:
        return f"The application's {self.hook} {self.problem}."


@dataclass
class HookEndsServer(UploadError):
    """The application's own hook has ended its process several times."""

    code: ClassVar[str] = "hook-ends-server"
    hook: str
    upload_id: str
    seconds: int

    def __str__(self) -> str:
        return f"The server stopped several times while the application's {self.hook} ran."


def every_error(root: type[UploadError] = UploadError) -> Iterator[type[UploadError]]:
    """All leaf errors. A protocol's table must have each of them."""
    below = root.__subclasses__()
    if not below:
        yield root
    for error in below:
        yield from every_error(error)
