"""Everything an upload can be refused for.

Rule 1: an error carries facts, never an HTTP status. Each protocol has its own
table from error type to status, and a test fails while a table has a hole.

Rule 2: `code` never changes once released; `str(error)` says what happened,
`hint` what is safe and what to do next.

Rule 3: only a refusal for size has "413" or "too large" in its text: clients in
the field look for them. So no other text has numbers; the facts have them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any, ClassVar


class UploadError(Exception):
    """The root of all refusals. `retryable`: the same request may succeed later."""

    code: ClassVar[str]
    retryable: ClassVar[bool] = False
    hint: ClassVar[str] = ""

    def facts(self) -> dict[str, Any]:
        """The error's own fields by name, as a client may read them."""
        return {f.name: getattr(self, f.name) for f in fields(self)}  # type: ignore[arg-type]


@dataclass
class BadRequest(UploadError):
    code: ClassVar[str] = "bad-request"
    hint: ClassVar[str] = "Nothing was stored. Correct the request and send it again."
    field: str
    problem: str

    def __str__(self) -> str:
        return f"{self.field}: {self.problem}"


@dataclass
class LengthRequired(UploadError):
    code: ClassVar[str] = "length-required"
    hint: ClassVar[str] = "Send a Content-Length header, or declare the size first."

    def __str__(self) -> str:
        return "It is not known how many bytes there are."


@dataclass
class Unauthorized(UploadError):
    code: ClassVar[str] = "unauthorized"
    hint: ClassVar[str] = (
        "Log in, or send a valid API key, and repeat the request. No byte is lost."
    )

    def __str__(self) -> str:
        return "The request comes without a login or a key that the server knows."


@dataclass
class KeysUnreadable(UploadError):
    """Keys are in use, and the file that holds them is missing or cannot be read."""

    code: ClassVar[str] = "keys-unreadable"
    retryable: ClassVar[bool] = True
    hint: ClassVar[str] = (
        "No byte is lost. Try again after retry_after seconds; the server's log says what is wrong."
    )
    retry_after: int = 5

    def __str__(self) -> str:
        return "The server cannot read its API keys, and lets nobody in meanwhile."


@dataclass
class ForeignOrigin(UploadError):
    """A browser sends this request for a page of another site."""

    code: ClassVar[str] = "foreign-origin"
    hint: ClassVar[str] = "Open the page at this server's own address, or use an API key."
    name: str

    def __str__(self) -> str:
        return f"Anonymous access is for this machine only, not for {self.name}."


@dataclass
class UploadNotFound(UploadError):
    """Unknown, or somebody else's: the answer is the same."""

    code: ClassVar[str] = "upload-not-found"
    hint: ClassVar[str] = "Start a new upload with init."
    upload_id: str

    def __str__(self) -> str:
        return "There is no such upload."


@dataclass
class NotThere(UploadError):
    """Something other than an upload that is unknown or not the caller's."""

    code: ClassVar[str] = "not-found"
    hint: ClassVar[str] = "Check the address and the credentials."

    def __str__(self) -> str:
        return "There is nothing here."


@dataclass
class WrongMethod(UploadError):
    """There is something at this address, but not for this method."""

    code: ClassVar[str] = "method-not-allowed"
    hint: ClassVar[str] = "Use one of the allowed methods."
    allowed: tuple[str, ...]

    def __str__(self) -> str:
        return f"This address takes {', '.join(self.allowed)}."


@dataclass
class UploadClosed(UploadError):
    """The upload is in a state that does not allow this verb any more."""

    code: ClassVar[str] = "upload-closed"
    hint: ClassVar[str] = (
        "Nothing is lost: what is complete or completing is safe. Ask for its state."
    )
    state: str
    reason: str | None = None

    def __str__(self) -> str:
        return f"The upload is {self.state}{f' ({self.reason})' if self.reason else ''}."


@dataclass
class UploadGone(UploadError):
    """The upload was cancelled, has expired or has failed; its bytes are deleted."""

    code: ClassVar[str] = "upload-gone"
    hint: ClassVar[str] = "Its bytes are deleted. Start a new upload with init."
    state: str
    reason: str | None = None

    def __str__(self) -> str:
        return f"The upload is {self.state}{f' ({self.reason})' if self.reason else ''}."


@dataclass
class RangeOutside(UploadError):
    code: ClassVar[str] = "range-outside"
    hint: ClassVar[str] = "Nothing of this request was stored. Send bytes inside the declared size."
    start: int
    end: int
    length: int

    def __str__(self) -> str:
        return "The bytes lie outside the size that was declared."


@dataclass
class LengthMismatch(UploadError):
    code: ClassVar[str] = "length-mismatch"
    hint: ClassVar[str] = "A length, once declared, cannot change. Start a new upload with init."
    declared: int
    provided: int

    def __str__(self) -> str:
        return "The upload has another length than the request says."


@dataclass
class ChunkTooSmall(UploadError):
    code: ClassVar[str] = "chunk-below-minimum"
    hint: ClassVar[str] = "Send at least the minimum; only the end of the file may be shorter."
    minimum: int
    provided: int

    def __str__(self) -> str:
        return "The chunk is smaller than the smallest that is taken."


@dataclass
class TooFragmented(UploadError):
    code: ClassVar[str] = "too-fragmented"
    hint: ClassVar[str] = "Every acknowledged byte is safe. Fill the gaps first; status lists them."
    most: int

    def __str__(self) -> str:
        return "The upload has too many gaps to open one more."


@dataclass
class TooLarge(UploadError):
    """More bytes than this server takes. `scope` is `file` or `chunk`."""

    code: ClassVar[str] = "too-large"
    hint: ClassVar[str] = "Nothing was stored. Stay below the limit."
    limit: int
    provided: int
    scope: str = "file"

    def __str__(self) -> str:
        return f"The {self.scope} is too large: {self.provided} bytes, the limit is {self.limit}."


@dataclass
class NeverFits(UploadError):
    """The file is larger than all the space there will ever be."""

    code: ClassVar[str] = "never-fits"
    hint: ClassVar[str] = "Waiting will not help. The operator must give Wherry more space."
    limit: int
    provided: int

    def __str__(self) -> str:
        return "The file can never fit into the space that uploads have."


@dataclass
class NoRoom(UploadError):
    """Full just now, and the request is of a kind that cannot wait, or the line is full too."""

    code: ClassVar[str] = "no-room"
    retryable: ClassVar[bool] = True
    hint: ClassVar[str] = "Nothing is lost. Try again after retry_after seconds."
    retry_after: int = 5

    def __str__(self) -> str:
        return "There is no room at the moment, for uploads or for their bytes."


@dataclass
class InLine(UploadError):
    """The upload stands in the waiting line at `position`; 1 is next."""

    code: ClassVar[str] = "waiting"
    retryable: ClassVar[bool] = True
    hint: ClassVar[str] = (
        "Nothing is lost, and its place is kept. Ask again after retry_after seconds."
    )
    position: int | None = None
    retry_after: int = 1

    def __str__(self) -> str:
        return "The upload waits in the line for its turn."


@dataclass
class DiskFull(UploadError):
    code: ClassVar[str] = "disk-full"
    retryable: ClassVar[bool] = True
    hint: ClassVar[str] = (
        "Every acknowledged byte is safe. Go on when the operator has freed space."
    )
    retry_after: int = 30

    def __str__(self) -> str:
        return "The disk is full."


@dataclass
class StorageFailed(UploadError):
    """The disk gave an error; the bytes of this request do not count as received."""

    code: ClassVar[str] = "storage-failed"
    retryable: ClassVar[bool] = True
    hint: ClassVar[str] = "Every acknowledged byte is recorded. Send this range again."
    problem: str
    retry_after: int = 5

    def __str__(self) -> str:
        return f"Storage failed: {self.problem}."


@dataclass
class DigestMismatch(UploadError):
    code: ClassVar[str] = "digest-mismatch"
    retryable: ClassVar[bool] = True
    hint: ClassVar[str] = "The damaged bytes were dropped. Send the same range again."
    algorithm: str

    def __str__(self) -> str:
        return f"The body's {self.algorithm} differs from what its Content-Digest says."


@dataclass
class FileDigestMismatch(UploadError):
    code: ClassVar[str] = "file-digest-mismatch"
    hint: ClassVar[str] = "The upload was deleted. Start a new one with init."
    announced: str
    received: str

    def __str__(self) -> str:
        return f"The file's digest is {self.received}, announced was {self.announced}."


@dataclass
class DigestDiffers(UploadError):
    code: ClassVar[str] = "digest-differs"
    hint: ClassVar[str] = "The stored file is safe. If you mean another file, start a new upload."
    provided: str
    stored: str

    def __str__(self) -> str:
        return "The file that was uploaded has another digest."


@dataclass
class TypeRefused(UploadError):
    code: ClassVar[str] = "type-refused"
    hint: ClassVar[str] = "The upload was deleted. Send a file of an allowed type."
    found: str
    allowed: tuple[str, ...]

    def __str__(self) -> str:
        return f"The content is {self.found}; allowed: {', '.join(self.allowed)}."


@dataclass
class ContentRefused(UploadError):
    """Raised by a `before_complete` hook that does not want the file."""

    code: ClassVar[str] = "content-refused"
    hint: ClassVar[str] = "The upload was deleted."
    reason: str

    def __str__(self) -> str:
        return f"The content was refused: {self.reason}"


@dataclass
class BytesMissing(UploadError):
    """Completion was asked for too early. `missing`: the first 100 ranges."""

    code: ClassVar[str] = "bytes-missing"
    hint: ClassVar[str] = "Send the missing ranges, then ask for completion again."
    missing: tuple[tuple[int, int], ...]

    def __str__(self) -> str:
        return "Bytes are missing."


@dataclass
class BodyCut(UploadError):
    """The request ended early. `received`: what was kept of it, in bytes."""

    code: ClassVar[str] = "body-cut"
    retryable: ClassVar[bool] = True
    hint: ClassVar[str] = "What arrived is kept, unless it came with a digest. Send the rest."
    received: int
    announced: int

    def __str__(self) -> str:
        return "The request brought fewer bytes than it announced."


@dataclass
class BodyStalled(UploadError):
    code: ClassVar[str] = "body-stalled"
    retryable: ClassVar[bool] = True
    hint: ClassVar[str] = "What arrived is kept, unless it came with a digest. Send the rest."
    received: int
    seconds: float

    def __str__(self) -> str:
        return "The request brought next to nothing for too long."


@dataclass
class Superseded(UploadError):
    code: ClassVar[str] = "superseded"
    retryable: ClassVar[bool] = True
    hint: ClassVar[str] = "Nothing is lost: the newer request brings the bytes."

    def __str__(self) -> str:
        return "A newer request for the same bytes has taken over."


@dataclass
class Busy(UploadError):
    code: ClassVar[str] = "busy"
    retryable: ClassVar[bool] = True
    hint: ClassVar[str] = "Nothing is lost. Try again after retry_after seconds."
    doing: str
    retry_after: int = 2

    def __str__(self) -> str:
        return f"Another request is {self.doing} at the moment."


@dataclass
class HookFailed(UploadError):
    """The application's own hook did not return what was asked for; the file is kept."""

    code: ClassVar[str] = "hook-failed"
    retryable: ClassVar[bool] = True
    hint: ClassVar[str] = "Every byte is kept. Ask for completion again."
    hook: str
    upload_id: str
    problem: str = "failed"
    retry_after: int = 5

    def __str__(self) -> str:
        return f"The application's {self.hook} {self.problem}."


@dataclass
class HookEndsServer(UploadError):
    """The application's own hook has ended its process again and again."""

    code: ClassVar[str] = "hook-ends-server"
    hint: ClassVar[str] = (
        "Every byte is kept. The operator finds the upload in the log; it can be completed again "
        "in `seconds` seconds."
    )
    hook: str
    upload_id: str
    seconds: int

    def __str__(self) -> str:
        return f"The server ended several times while the application's {self.hook} ran."


def every_error(root: type[UploadError] = UploadError) -> Iterator[type[UploadError]]:
    """All leaf errors there are; a protocol's table must name each."""
    below = root.__subclasses__()
    if not below:
        yield root
    for error in below:
        yield from every_error(error)
