"""A file inside multipart/form-data, as a source: https://www.rfc-editor.org/rfc/rfc7578

Rule 1: nothing is spooled. Fields come before the file, so that it is known what to do with
the file's bytes before the first of them is read.

Rule 2: a form does not say how long its file is. The length is reckoned from the request's
length, less what came before the file and the closing boundary.
"""

from __future__ import annotations

from collections.abc import Sequence
from email.message import Message as Headers
from enum import Enum, auto

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser

from wherry.body import Ended
from wherry.core.errors import BadRequest, BodyCut, BodyStalled
from wherry.core.limits import FORM_OVERHEAD
from wherry.protocols.bodies.source import Form, Piece, Source
from wherry.protocols.parsing import parse_filename, parse_header

#: For `file_field`: whichever field has a file.
ANY_FIELD = ""
#: The most that all fields before the file may have together, in bytes; and what may follow it.
FIELDS_LIMIT = FORM_OVERHEAD


def parse_boundary(content_type: str) -> bytes:
    """The boundary of a form's content type. Raises `BadRequest`."""
    boundary = parse_header("content-type", content_type).get_param("boundary")
    if not isinstance(boundary, str) or not 1 <= len(boundary) <= 70 or not boundary.isascii():
        raise BadRequest("content-type", "names no boundary of 1 to 70 characters (RFC 2046)")
    return boundary.encode()


class _File(Enum):
    """Where in the form the parser is."""

    AHEAD = auto()
    OPEN = auto()
    OVER = auto()


class FormFile:
    """The bytes of the file field `file_field`, out of a source that brings the whole form.

    `await form()` first: it reads as far as the file begins.
    """

    def __init__(self, source: Source, content_type: str, file_field: str) -> None:
        boundary = parse_boundary(content_type)
        self.timeout = source.timeout
        self.ended: Ended | None = None
        self._source = source
        self._file_field = file_field
        # A form is reckoned to end as nearly every client ends it: CRLF, two dashes, boundary,
        # two dashes, CRLF. One that ends without the last CRLF has two bytes more in its file.
        self._total = source.remaining
        self._closing = len(boundary) + 8
        self._length = self._total
        self._parsed = 0
        self._behind = 0
        # What the parser has found.
        self._file = _File.AHEAD
        self._pieces: list[Piece] = []
        self._brought = 0
        self._fields: dict[str, bytes] = {}
        self._filename: str | None = None
        self._file_type: str | None = None
        self._problem: BadRequest | None = None
        # The part that the parser is in.
        self._part = Headers()
        self._header = [b"", b""]
        self._disposition = b""
        self._value = bytearray()
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._on_part_begin,
                "on_part_data": self._on_part_data,
                "on_part_end": self._on_part_end,
                "on_header_field": self._on_header_field,
                "on_header_value": self._on_header_value,
                "on_header_end": self._on_header_end,
                "on_headers_finished": self._on_headers_finished,
            },
        )

    async def form(self) -> Form:
        """The form's fields, and what it says of the file that begins after them.

        Raises `BadRequest` for a malformed form or one without the file, `BodyCut`,
        `BodyStalled`.
        """
        while not self._pieces and self.ended is None:
            await self._parse_more()
        if self._file is _File.AHEAD:
            if self.ended is Ended.CUT:
                raise BodyCut(0, self._total)
            if self.ended is Ended.STALLED:
                raise BodyStalled(0, self.timeout)
            if self._file_field == ANY_FIELD:
                raise BadRequest("form", "has no file")
            raise BadRequest(self._file_field, "is missing; the form's file belongs into it")
        fields = {name: value.decode("utf-8", "replace") for name, value in self._fields.items()}
        return Form(fields, self._filename, self._file_type)

    @property
    def remaining(self) -> int:
        waiting = sum(map(len, self._pieces))
        return waiting + (max(self._length - self._brought, 0) if self.ended is None else 0)

    async def read(self) -> Sequence[Piece]:
        while not self._pieces and self.ended is None:
            await self._parse_more()
        # Nothing may follow the file. The end of the form is read before the file's last bytes
        # are handed on, so that they are not recorded if something does.
        while self.ended is None and self._brought >= self._length:
            await self._parse_more()
        pieces, self._pieces = self._pieces, []
        return pieces

    def excuse(self, seconds: float) -> None:
        self._source.excuse(seconds)

    async def _parse_more(self) -> None:
        for piece in await self._source.read():
            # The parser takes nothing but bytes. ASGI servers bring just that.
            self._parse(piece if isinstance(piece, bytes) else bytes(piece))
        ended = self._source.ended
        is_open = ended is Ended.WHOLE and self._file is _File.OPEN
        self.ended = Ended.CUT if is_open else ended

    def _parse(self, data: bytes) -> None:
        if self._file is _File.OVER:
            self._behind += len(data)
            if self._behind > FIELDS_LIMIT:
                raise BadRequest("form", f"more than {FIELDS_LIMIT} bytes follow the file")
        try:
            at = 0
            # Line by line up to the file, so that it is known at which byte the file begins.
            while self._file is _File.AHEAD and at < len(data):
                end = data.find(b"\n", at) + 1 or len(data)
                at += self._parser.write(data[at:end])
                if self._parsed + at > FIELDS_LIMIT:
                    raise BadRequest("form", f"more than {FIELDS_LIMIT} bytes precede the file")
                if self._has_begun():
                    self._length -= self._parsed + at + self._closing
            self._parser.write(data[at:])
            if self._problem is not None:
                raise self._problem
        except FormParserError as error:
            raise BadRequest("form", f"is malformed: {error}") from error
        self._parsed += len(data)

    def _has_begun(self) -> bool:
        return self._file is not _File.AHEAD

    # The parser's callbacks.

    def _on_part_begin(self) -> None:
        self._part, self._disposition = Headers(), b""
        self._value = bytearray()
        if self._file is not _File.AHEAD:
            self._problem = BadRequest("form", "has fields after the file; put them before it")

    def _on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._header[0] += data[start:end]

    def _on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._header[1] += data[start:end]

    def _on_header_end(self) -> None:
        name = self._header[0].decode("latin-1").lower()
        if name in ("content-disposition", "content-type"):
            del self._part[name]
            for header in parse_header(name, self._header[1].decode("utf-8", "replace")).items():
                self._part[header[0]] = header[1]
        if name == "content-disposition":
            self._disposition = self._header[1]
        self._header = [b"", b""]

    def _on_headers_finished(self) -> None:
        if self._file is not _File.AHEAD:
            return
        is_any = self._file_field == ANY_FIELD
        if is_any or self._name() == self._file_field:
            filename = parse_filename(self._disposition, is_form=True)
            # https://html.spec.whatwg.org/#multipart-form-data: only a file has a file name
            if is_any and filename is None:
                return
            self._file = _File.OPEN
            self._filename = filename
            self._file_type = self._part.get("content-type")

    def _on_part_data(self, data: bytes, start: int, end: int) -> None:
        if self._file is _File.OPEN:
            if start < end:
                self._pieces.append(memoryview(data)[start:end])
                self._brought += end - start
        elif self._file is _File.AHEAD:
            self._value += data[start:end]

    def _on_part_end(self) -> None:
        if self._file is _File.OPEN:
            self._file = _File.OVER
        elif self._file is _File.AHEAD and (name := self._name()):
            self._fields[name] = bytes(self._value)

    def _name(self) -> str:
        name = self._part.get_param("name", None, "content-disposition")
        return name if isinstance(name, str) else ""
