"""Storage keeps bytes: what every storage promises the engine.

Rule 1: every method blocks and is called on a thread, never on the event loop. The
methods of a `StoredFile` and of a `Writer` block, too.

Rule 2: what `Writer.sync` returned from survives power loss (unless the
operator chose otherwise), and so do the names that `link` and `finish` gave and `discard`
removed. What `reserve` and `delete` did may be undone by power loss: then unfinished bytes
have vanished of which none was synced, or are back although their upload has ended.

Rule 3: what the disk says comes out as `OSError`, an identifier, a suffix or a
picture's name that is none of ours as `ValueError`.

Rule 4: every method may be called again after a crash at any line of it, and
then ends with the same result.

Rule 5: nothing above storage knows where bytes lie. No method takes or returns a path;
a `StoredFile` names one only where there is one (`local_path`), for programs and
libraries that open nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Protocol, Self

from wherry.core.admission import Space
from wherry.core.ranges import Range

#: The first bytes of an unfinished upload that every storage can read: enough to know its type.
HEAD_SIZE = 8192


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What this storage can do on this machine, as data."""

    reserves: bool  #: A full disk is known when space is reserved, not when bytes come.
    locks_ranges: bool  #: Two processes cannot write the same range at once.
    durable: bool  #: What is synced survives power loss.


class Vanished(Exception):
    """The upload's bytes are not there: its folder was removed."""


class RangeLocked(Exception):
    """Another process is writing in this range at this moment."""


class CannotPut(Exception):
    """`put` has kept nothing: the volume has no hard links or no locks, or the upload has bytes.

    `reserve` and `finish` do it, or tell what is wrong.
    """


class Writer(Protocol):
    """An open range of one upload: write at offsets, sync, close (by `with`)."""

    def write(self, at: int, data: memoryview) -> None:
        """Put all of `data` at byte `at`. Raises `OSError`; `Vanished` where it is known by now."""

    def sync(self) -> None:
        """Make what was written safe. Raises `OSError`; then nothing written counts."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...


class Arrival(Protocol):
    """A finished file of which no record is known to be safe. This process has it alone.

    Leaving its context lets go of the file. Without `keep` or `drop` before that, it stays for
    `reclaim`, as after a crash.
    """

    def keep(self) -> None:
        """The record is safe, so the file is finished."""

    def drop(self, recorded: str | None = None) -> None:
        """No record has the file: remove it. Raises `OSError`.

        `recorded`: the suffix of the finished file that the upload's record has. If it is this
        file, it stays; a file with another suffix goes.
        """

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...


@dataclass(frozen=True, slots=True)
class Stat:
    """`size` in bytes; `modified_at` in Unix seconds."""

    size: int
    modified_at: float


class StoredFile(Protocol):
    """A file in storage, to be read: a finished upload, one that is about to be, a picture.

    It is a name and holds nothing open. Making one asks the storage nothing, and the file
    may be gone by the time it is read: then `open`, `read` and `download` raise
    `FileNotFoundError`. Every method raises `OSError` where the storage cannot answer.
    """

    @property
    def local_path(self) -> Path | None:
        """Where the file is on this machine; None where other programs cannot open it."""

    def stat(self) -> Stat | None:
        """Size and age of the file; None if it is not there."""

    def open(self) -> BinaryIO:
        """The file from its beginning, for reading and seeking. Close it."""

    def read(self, within: Range) -> Iterator[bytes]:
        """These bytes of the file, in blocks that fit in memory; fewer if the file is shorter."""

    def download(self, to: Path) -> None:
        """Copy the file to `to` on this machine, in place of what is there.

        `to` appears when it is whole and safe: a crash or an error leaves no half of it.
        """

    def url(self, lifetime: int, filename: str, content_type: str) -> str | None:
        """An address from which anyone may download the file for `lifetime` seconds.

        It answers with this name and type. None where the storage serves no addresses. Asks the
        storage nothing.
        """


class Pictures(Protocol):
    """What assessments draw, by the assessment's id and the picture's name."""

    def put(self, assessment_id: str, name: str, data: bytes) -> None:
        """Keep a picture, in place of one with the same name. It survives power loss."""

    def get(self, assessment_id: str, name: str) -> StoredFile:
        """The picture with this name. Its `stat` says whether it is there."""

    def delete(self, assessment_id: str) -> None:
        """Remove every picture of this assessment; without effect if there is none."""


@dataclass(frozen=True, slots=True)
class Stray:
    """Something in storage that no unfinished upload there knows.

    `key`: where it is, in the storage's own terms. `upload_id`: None if it is of no upload, but
    left of trying out the storage. `multipart`: its id, if it is an unfinished object that has not
    been made. `suffix`: of the finished file that it is otherwise.
    """

    key: str
    upload_id: str | None
    suffix: str
    bytes: int
    begun_at: float
    multipart: str | None = None


@dataclass(frozen=True, slots=True)
class PartAddress:
    """Where a client sends the bytes of one part: by `method`, with these `headers` and its length.

    The address is a secret until it expires: whoever has it can send the part.
    """

    url: str = field(repr=False)
    method: str
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class StoredPart:
    """A part that is safe in storage. `crc`: the CRC-64/NVME that the storage has computed."""

    size: int
    crc: int


@dataclass(frozen=True, slots=True)
class Whole:
    """An unfinished upload of which all bytes are there, and that nothing is written into any more.

    `crc`: the CRC-64/NVME of its `length` bytes.
    """

    upload_id: str
    length: int
    crc: int


class Parts(Protocol):
    """How a storage divides files that it keeps in parts.

    Parts can be read only when the finished file is made. Requests that begin and end where parts
    do cost the storage least. Parts are numbered from 1 on. A file of one part may have its final
    name as soon as a request has brought all of it: the record alone says whether it counts.
    """

    @property
    def takes_direct(self) -> bool:
        """Whether clients may send parts to the storage themselves (`address`)."""

    def size(self, length: int) -> int:
        """The size of the parts of a file of `length` bytes. Raises `NeverFits`."""

    def address(self, upload_id: str, within: Range, crc: int, lifetime: int) -> PartAddress:
        """Where a client may send the part `within` for `lifetime` seconds, without the engine.

        The storage takes only bytes of this length and this CRC-64/NVME. A part that was sent again
        takes the place of the earlier one, also of one that is recorded: `crc` of `link` and
        `finish` protects the file from other bytes. Raises `Vanished`, `OSError`, and `ValueError`
        for what is no part.
        """

    def stored(self, upload_id: str, numbers: Iterable[int]) -> dict[int, StoredPart]:
        """Those of these parts that are there, however they came. Raises `Vanished`, `OSError`."""

    def round_end(self, upload_id: str, at: int, most: int) -> int:
        """Where a round of a request should end that begins at `at`, `most` bytes later at most.

        Never raises: for an unknown upload, `most` bytes later.
        """

    def strays(self, before: float) -> Iterator[Stray]:
        """What is older than that (Unix seconds), and belongs to no unfinished upload.

        Finished files are among it: the records know which of them are wanted.
        """

    def end_stray(self, stray: Stray) -> None:
        """Remove it; without effect if it is gone. Raises `OSError`."""


class Storage(Protocol):
    @property
    def pictures(self) -> Pictures: ...

    @property
    def parts(self) -> Parts | None:
        """None: files are kept whole, and any chunk is as good as any other."""

    @property
    def capabilities(self) -> Capabilities: ...

    def check(self) -> list[str]:
        """Sentences an operator should read at start. Raises `OSError` if unusable."""

    def present(self) -> None:
        """Raises `OSError` while what was opened is away, or something else is in its place.

        Every other method does so too: absent means removed, and never "not mounted".
        """

    def space(self) -> Space | None:
        """The volume's bytes in all, and those still free. None: there is no volume to fill."""

    def reserve(self, upload_id: str, length: int, suffix: str = "") -> None:
        """Set aside `length` bytes of disk for this upload, without a sync.

        `suffix`: of the name that `link` or `finish` will give. Raises `DiskFull`, or `NeverFits`
        for a file larger than the volume takes, whatever is free. Then nothing is left behind.
        """

    def open(self, upload_id: str, within: Range) -> Writer:
        """Open a range for writing. Raises `Vanished`, `RangeLocked`."""

    def copy(self, source: Whole, within: Range, upload_id: str, at: int) -> None:
        """Put the bytes `within` of `source` into another upload, from byte `at` on, and sync.

        They do not go through this process where the storage can avoid that. No other request
        writes there. Raises `Vanished` if one of the two is gone; `OSError`.
        """

    def head(self, upload_id: str, size: int) -> bytes:
        """The first bytes, at most `size`. Raises `Vanished`.

        A storage with parts keeps only the first `HEAD_SIZE` bytes so that they can be read.
        """

    def vanished(self, upload_ids: Iterable[str]) -> frozenset[str]:
        """Those of these uploads for which the other methods raise `Vanished`."""

    def unfinished_file(self, upload_id: str, length: int, crc: int | None = None) -> StoredFile:
        """The bytes before `finish`, to be read as one file of `length` bytes.

        Called when all bytes are there: nothing is written into this upload any more. A
        storage with parts puts them together now, under the final name: the record alone says
        whether the file counts. In one without, it may be called before: bytes that have not
        come read as anything, and others go on coming. `crc` as for `link`. Raises `Vanished`;
        `OSError`, also when there are fewer bytes than `length`.
        """

    def link(self, upload_id: str, suffix: str, length: int, crc: int | None = None) -> bool:
        """Make the finished file, in constant time, and keep the unfinished bytes until `delete`.

        So the record can come between the two: whoever reads the record before finds the
        unfinished upload, and after it the finished file. Both share the space. Called again,
        finds it linked. False where the storage cannot do this; then nothing has changed.
        `crc`: the CRC-64/NVME of the whole file. A storage that can check it without reading the
        file does so. Raises `Vanished`; `OSError`, also when there are fewer bytes than `length`,
        or when another file has the name, which then keeps it.
        """

    def finish(
        self, upload_id: str, suffix: str, length: int, crc: int | None = None
    ) -> StoredFile:
        """Turn the unfinished bytes into the finished file, in constant time.

        `crc` as for `link`. Called again, finds it finished; after `link`, too. Raises `Vanished`;
        `OSError`, also when there are fewer bytes than `length`. A file of this length that has the
        name keeps it, and unfinished bytes are dropped: they were reserved late. Any other file of
        the name is an `OSError`.
        """

    def finished_file(self, upload_id: str, suffix: str) -> StoredFile:
        """The file that `link` or `finish` makes. Its `stat` says whether it is there."""

    def put(self, upload_id: str, suffix: str, data: Sequence[memoryview]) -> Arrival:
        """Make the finished file of these bytes at once, as safe as by `sync` and `finish`.

        Until it is kept, `unfinished` lists it. Raises `CannotPut`, `DiskFull`, `OSError`; then
        nothing is left behind.
        """

    def reclaim(self, upload_id: str) -> Arrival | None:
        """What `put` has left in a process that died; None if there is nothing.

        Whether it is kept is for the record to say, read after this. Raises `RangeLocked` while
        the process that has put it lives.
        """

    def delete(self, upload_id: str) -> None:
        """Remove the unfinished bytes, but not what `put` made; the space is free on return.

        What has the final name stays, also of a file of one part that was not linked: `discard`
        removes it.
        """

    def discard(self, upload_id: str, suffix: str) -> None:
        """Remove the finished file; the space is free on return.

        Of a file that was linked and not deleted, a storage with parts removes the bytes.
        """

    def unfinished(self) -> Iterator[tuple[str, float]]:
        """Every upload with unfinished bytes, and when they last changed (Unix seconds).

        A storage with parts tells when the upload began instead.
        """
