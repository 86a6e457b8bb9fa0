"""A file inside multipart/form-data, as a body: https://www.rfc-editor.org/rfc/rfc7578

Rule 1: nothing is spooled. Fields come before the file, so that what is to be
done with its bytes is known before the first of them is read.

Rule 2: how long the file is, the form does not say. It is reckoned from the
request's length, less what came before and the closing boundary.
"""

from __future__ import annotations

from email.message import Message as Headers

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser
from starlette.types import Receive

from wherry.body import Ended, Sink
from wherry.core.errors import BadRequest, BodyCut, BodyStalled
from wherry.core.limits import ENVELOPE
from wherry.protocols.bodies import AsgiBody
from wherry.protocols.parsing import parse_filename, parse_header

#: What all fields before the file may have together, in bytes; and what may come behind it.
FIELDS_LIMIT = ENVELOPE


def parse_boundary(content_type: str) -> bytes:
    """The boundary of a form's content type. Raises `BadRequest`."""
    boundary = parse_header("content-type", content_type).get_param("boundary")
    if not isinstance(boundary, str) or not 1 <= len(boundary) <= 70 or not boundary.isascii():
        raise BadRequest("content-type", "names no boundary of 1 to 70 characters (RFC 2046)")
    return boundary.encode()


class FormBody(AsgiBody):
    """`await fields()` first; then it is the body of the file field named `file_field`."""

    def __init__(
        self, receive: Receive, length: int, timeout: float, content_type: str, file_field: str
    ) -> None:
        super().__init__(receive, length, timeout)
        boundary = parse_boundary(content_type)
        # As every client but a few ends a form: CRLF, boundary, two dashes, CRLF.
        self._closing = len(boundary) + 8
        self._file_field = file_field
        self._fields: dict[str, bytes] = {}
        self._file: str | None = None  # "open", then "over"
        self._fed = 0
        self._part = Headers()
        self._value = bytearray()
        self._header = [b"", b""]
        self._disposition = b""
        self._problem: BadRequest | None = None
        self._behind = 0
        self._filename: str | None = None
        self.file_type: str | None = None
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

    async def fields(self) -> dict[str, str]:
        """The fields before the file, which begins after them.

        Raises `BadRequest` for a malformed form or one without the file, `BodyCut`,
        `BodyStalled`.
        """
        while not self._has_file() and self._ended is None:
            await self._wait()
        if not self._has_file():
            if self._ended is Ended.CUT:
                raise BodyCut(0, self._length)
            if self._ended is Ended.STALLED:
                raise BodyStalled(0, self._timeout)
            raise BadRequest(self._file_field, "is the form's file field and is not there")
        return {name: value.decode("utf-8", "replace") for name, value in self._fields.items()}

    def named(self) -> str:
        """The file's name. Raises `BadRequest` where the form has none."""
        if not self._filename:
            raise BadRequest("filename", "is missing")
        return self._filename

    def _has_file(self) -> bool:
        return self._file is not None

    async def pour(self, sink: Sink, limit: int) -> Ended:
        ended = await super().pour(sink, limit)
        # What follows the file must be nothing; it is read before the bytes are recorded.
        while not self._held_size and self._ended is None and self._given >= self._length:
            await self._wait()
        return self._ended if self._ended and not self._held_size else ended

    def _take(self, data: bytes, more: bool) -> None:
        if self._file == "over":
            self._behind += len(data)
            if self._behind > FIELDS_LIMIT:
                raise BadRequest("form", f"more than {FIELDS_LIMIT} bytes behind the file")
        try:
            at = 0
            # Line by line, so that the file is seen to begin at the very byte.
            while not self._has_file() and at < len(data):
                end = data.find(b"\n", at) + 1 or len(data)
                at += self._parser.write(data[at:end])
                if self._fed + at > FIELDS_LIMIT:
                    raise BadRequest("form", f"more than {FIELDS_LIMIT} bytes before the file")
                if self._has_file():
                    self._length -= self._fed + at + self._closing
            self._parser.write(data[at:])
            if self._problem is not None:
                raise self._problem
        except FormParserError as error:
            raise BadRequest("form", f"is malformed: {error}") from error
        self._fed += len(data)
        if not more:
            self._ended = Ended.CUT if self._file == "open" else Ended.WHOLE

    # The parser's callbacks.

    def _on_part_begin(self) -> None:
        self._part, self._disposition = Headers(), b""
        self._value = bytearray()
        if self._file is not None:
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
        if self._file is None and self._name() == self._file_field:
            self._file = "open"
            self._filename = parse_filename(self._disposition, is_form=True)
            self.file_type = self._part.get("content-type")

    def _on_part_data(self, data: bytes, start: int, end: int) -> None:
        if self._file == "open":
            self._hold(memoryview(data)[start:end])
        elif self._file is None:
            self._value += data[start:end]

    def _on_part_end(self) -> None:
        if self._file == "open":
            self._file = "over"
        elif self._file is None and (name := self._name()):
            self._fields[name] = bytes(self._value)

    def _name(self) -> str:
        name = self._part.get_param("name", None, "content-disposition")
        return name if isinstance(name, str) else ""
