"""The hint of each refusal: what is safe, and what the client should do next.

Rule 1: a hint holds for every protocol that answers with problem+json, so it names what the
client wants ("start a new upload"), and no request of one protocol.

Rule 2: like the errors' own texts, no hint has "413" or "too large" in it, nor a number.
"""

from __future__ import annotations

from collections.abc import Mapping

from wherry.core import errors
from wherry.core.errors import UploadError
from wherry.protocols.errors import WrongMediaType, WrongMethod, WrongVersion

_NOTHING_STORED = "Nothing was stored."
_SEND_THE_REST = "What arrived is kept, unless it came with a digest. Send the rest."

HINTS: Mapping[type[UploadError], str] = {
    errors.BadRequest: f"{_NOTHING_STORED} Correct the request and send it again.",
    errors.LengthRequired: (
        f"{_NOTHING_STORED} Send a Content-Length header, or declare the size when the upload "
        "begins. Without them, only small files are taken, unless the operator sets max_size."
    ),
    errors.Unauthorized: "No byte is lost. Log in or send a valid API key, and repeat the request.",
    errors.KeysUnreadable: (
        "No byte is lost. Try again after retry_after seconds; the server's log says what is wrong."
    ),
    errors.ForeignOrigin: (
        f"{_NOTHING_STORED} Open the page at this server's own address, or use an API key."
    ),
    errors.TicketExpired: (
        f"{_NOTHING_STORED} An upload that was begun before may be finished. For another one, ask "
        "the owner for a new ticket."
    ),
    errors.TicketRevoked: (
        "Nothing of this request was stored. What was complete is safe. Ask the owner for a new "
        "ticket."
    ),
    errors.TicketUsedUp: (
        f"{_NOTHING_STORED} An upload that was begun before may be finished. To send another file, "
        "ask the owner for a new ticket."
    ),
    errors.NotForGuests: (
        "Guests may begin uploads, and send, watch, complete or cancel those of their own ticket, "
        "or read the report that it shows. For anything else, log in."
    ),
    errors.UploadNotFound: "Check the identifier and the credentials, or start a new upload.",
    errors.NotThere: "Check the address and the credentials.",
    WrongMethod: "Use one of the allowed methods.",
    WrongMediaType: f"{_NOTHING_STORED} Send the body with the media type `expected`.",
    WrongVersion: f"{_NOTHING_STORED} Speak the protocol's version `expected`.",
    errors.UploadClosed: (
        "Nothing is lost: an upload that is complete or completing is safe. Ask for its status."
    ),
    errors.UploadGone: "Its bytes are deleted. Start a new upload.",
    errors.MadeOfPieces: (
        f"{_NOTHING_STORED} Every acknowledged byte is safe. Send bytes to the pieces instead."
    ),
    errors.OffsetDiffers: (
        "Nothing of this request was stored, and nothing is lost. Go on at `offset`."
    ),
    errors.RangeOutside: (
        "Nothing of this request was stored. Send bytes inside the declared size."
    ),
    errors.LengthMismatch: (
        "What was received is safe. A declared length cannot change: start a new upload."
    ),
    errors.ChunkTooSmall: (
        f"{_NOTHING_STORED} Send at least the minimum; only the end of the file may be shorter."
    ),
    errors.TooFragmented: (
        "Every acknowledged byte is safe. Fill the gaps first; the status lists them."
    ),
    errors.TooLarge: f"{_NOTHING_STORED} Stay below the limit.",
    errors.NeverFits: (
        f"{_NOTHING_STORED} Waiting does not help: the operator must give Wherry more space."
    ),
    errors.NoRoom: "Nothing is lost. Try again after retry_after seconds.",
    errors.Queued: (
        "Nothing is lost, and the upload stays in the queue. Ask again after retry_after seconds."
    ),
    errors.RateLimited: (
        "Every acknowledged byte is safe, and nothing of this request was used. Repeat it after "
        "retry_after seconds."
    ),
    errors.DiskFull: (
        "Every acknowledged byte is safe. Go on after retry_after seconds, when the operator has "
        "freed space."
    ),
    errors.StorageFailed: (
        "Every acknowledged byte is recorded. Repeat the request after retry_after seconds."
    ),
    errors.DigestMismatch: "The damaged bytes were dropped. Send the same bytes again.",
    errors.FileDigestMismatch: "The upload was deleted. Start a new upload.",
    errors.DigestDiffers: "The stored file is safe. Start a new upload for another file.",
    errors.TypeRefused: "The upload was deleted. Send a file of an allowed type.",
    errors.ContentRefused: "The upload was deleted. Send another file.",
    errors.BytesMissing: (
        "What was received is safe. Send the missing ranges, then ask for completion again."
    ),
    errors.PartsMissing: (
        "All other parts are recorded. Send those of `parts` again, or their bytes as chunks."
    ),
    errors.BodyCut: _SEND_THE_REST,
    errors.BodyStalled: _SEND_THE_REST,
    errors.Superseded: "Nothing is lost: the newer request brings the bytes.",
    errors.Busy: "Nothing is lost. Try again after retry_after seconds.",
    errors.Overloaded: (
        "Every acknowledged byte is safe, and nothing of this request was used. Repeat it after "
        "retry_after seconds."
    ),
    errors.Stopping: (
        "Every acknowledged byte is safe. Repeat the request after retry_after seconds: another "
        "server process answers it, or this server when it has started again."
    ),
    errors.HookFailed: "Every byte is kept. Ask for completion again after retry_after seconds.",
    errors.HookEndsServer: (
        "Every byte is kept. The server's log names the upload; ask for completion again after "
        "`seconds` seconds."
    ),
}
