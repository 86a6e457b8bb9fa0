"""The tables of the catalog, for every database.

Rule 1: each merged part has a row, and each lease, and no column changes with every chunk:
parallel chunks of one upload do not write to a common row. Only PostgreSQL's writers change
`version` with every chunk; they have the lock of that row in any case.

Rule 2: the migrations create exactly these tables and indexes; a test compares. Triggers
differ from one database to the next and are in the migrations alone.

    uploads 1 ──── n parts         [start, end) and its CRC, neighbours merged
       │    1 ──── n leases        [start, end) and the request that writes it
       └──  1 ── 0..1 assessments  the order to the worker, and its report
    deliveries                     webhooks to send; they outlive their upload
    rates                          how much each owner has used of each rate, by a key of both
    paths                          what passes on the way to each public host
    tickets                        the rights of guests; uploads name theirs, and outlive it
    installation                   which storage belongs to this catalog; at most one row
    totals                         the bytes of files that are kept; triggers keep their sum,
                                   which is in one row or in several
"""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    TypeDecorator,
    text,
)
from sqlalchemy.engine import Dialect

_WRAP = 1 << 64


class Crc64(TypeDecorator[int]):
    """An unsigned number of 64 bits, in the signed integer that every database has."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: int | None, dialect: Dialect) -> int | None:
        return value - _WRAP if value is not None and value >= _WRAP >> 1 else value

    def process_result_value(self, value: int | None, dialect: Dialect) -> int | None:
        return value if value is None else value % _WRAP


#: The names of constraints and indexes, the same in every database and in the migrations.
metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

# Conditions of partial indexes. A query uses such an index only if it repeats the condition
# word for word.
#: The upload is in the queue.
IS_QUEUED = text("queued_at IS NOT NULL")
#: The upload is complete, and its file is kept.
IS_KEPT = text("state = 'complete' AND discarded_at IS NULL")
#: The upload is complete, and its file is deleted or moved away.
IS_DISCARDED = text("discarded_at IS NOT NULL")
#: The assessment waits for a worker.
WAITS_FOR_WORKER = text("state = 'queued'")
#: The delivery will not be tried again.
HAS_ENDED = text("ended_at IS NOT NULL")

uploads = Table(
    "uploads",
    metadata,
    Column("id", Text, primary_key=True),
    Column("owner", Text, nullable=False),
    Column("filename", Text, nullable=False),
    Column("limit", BigInteger, nullable=False),
    Column("length", BigInteger),
    Column("chunk_size", BigInteger, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("content_type", Text),
    Column("fingerprint", Text),
    Column("digest", Text),
    Column("metadata", JSON, nullable=False),
    Column("state", Text, nullable=False),
    Column("completion_token", Text),
    Column("completion_until", Double),
    Column("slot_until", Double, nullable=False),
    Column("assessment_id", Text),
    Column("failure", Text),
    Column("discarded_at", Double),
    Column("queued_at", Double),
    Column("calls_lost", Integer, nullable=False),
    Column("called_at", Double, nullable=False),
    Column("call_is_orphaned", Boolean, nullable=False),
    Column("is_named", Boolean, nullable=False),
    Column("began_at", Double, nullable=False),
    Column("version", BigInteger, server_default=text("0"), nullable=False),
    Column("ticket_id", Text),
    Column("completed_at", Double),
    Column("sha256", Text),
    Column("ended_at", Double),
    Column("joining", JSON(none_as_null=True)),
    # Only the queue: with an index of all rows, SQLite would not know how few are not NULL.
    Index(None, "queued_at", sqlite_where=IS_QUEUED, postgresql_where=IS_QUEUED),
    Index(None, "owner", "fingerprint"),
    # Pages of lists, of all owners and of one. Several states are read one after the other.
    Index(None, "state", "created_at", "id"),
    Index(None, "owner", "state", "created_at", "id"),
    # For the sweep: files that are kept, and records of files that are discarded.
    Index("ix_uploads_kept", "created_at", "id", sqlite_where=IS_KEPT, postgresql_where=IS_KEPT),
    Index(None, "discarded_at", "id", sqlite_where=IS_DISCARDED, postgresql_where=IS_DISCARDED),
)


def _of_upload(primary_key: bool = False) -> Column[str]:
    """A new column with the upload of a row; the row is deleted with its upload."""
    upload = ForeignKey("uploads.id", ondelete="CASCADE")
    return Column("upload_id", Text, upload, primary_key=primary_key, nullable=False)


parts = Table(
    "parts",
    metadata,
    _of_upload(primary_key=True),
    Column("start", BigInteger, primary_key=True, autoincrement=False),
    Column("end", BigInteger, nullable=False),
    Column("crc", Crc64, nullable=False),
    Column("at", Double, nullable=False),
    sqlite_with_rowid=False,
)

leases = Table(
    "leases",
    metadata,
    _of_upload(primary_key=True),
    Column("start", BigInteger, primary_key=True, autoincrement=False),
    Column("end", BigInteger, nullable=False),
    Column("token", Text, nullable=False),
    Column("at", Double, nullable=False),
    sqlite_with_rowid=False,
)

assessments = Table(
    "assessments",
    metadata,
    Column("id", Text, primary_key=True),
    _of_upload(),
    Column("owner", Text, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("state", Text, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("token", Text),
    Column("leased_until", Double, nullable=False),
    Column("steps", JSON, nullable=False),
    Column("finished_at", Double),
    Column("report", JSON(none_as_null=True)),
    Column("problem", Text),
    # Less for a higher priority, so that an index has the highest one first.
    Column("rank", Integer, server_default=text("0"), nullable=False),
    Column("tries", Integer, server_default=text("0"), nullable=False),
    Index(None, "upload_id", unique=True),
    Index(None, "state", "created_at", "id"),
    # The order in which workers begin those that wait. With the state, which is always the same:
    # otherwise, SQLite would take the index above, and sort.
    Index(
        "ix_assessments_waiting",
        "state",
        "rank",
        "created_at",
        "id",
        sqlite_where=WAITS_FOR_WORKER,
        postgresql_where=WAITS_FOR_WORKER,
    ),
)

deliveries = Table(
    "deliveries",
    metadata,
    Column("id", Text, primary_key=True),
    Column("url", Text, nullable=False),
    Column("type", Text, nullable=False),
    Column("payload", Text, nullable=False),
    Column("date", Double, nullable=False),
    Column("state", Text, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("due_at", Double, nullable=False),
    Column("token", Text),
    Column("ended_at", Double),
    Column("problem", Text),
    Index(None, "state", "url", "due_at", "date", "id"),
    Index(None, "state", "date", "id"),
    Index(None, "ended_at", sqlite_where=HAS_ENDED, postgresql_where=HAS_ENDED),
)

rates = Table(
    "rates",
    metadata,
    Column("key", Text, primary_key=True),
    Column("seconds", BigInteger, nullable=False),
    Column("period", BigInteger, nullable=False),
    Column("amount", BigInteger, nullable=False),
    Column("before", BigInteger, nullable=False),
    Column("expires_at", Double, nullable=False),
    Index(None, "expires_at"),
)

paths = Table(
    "paths",
    metadata,
    Column("host", Text, primary_key=True),
    Column("seen_at", Double, nullable=False),
    Column("passes", BigInteger, nullable=False),
    Column("passed_at", Double, nullable=False),
    Column("reports", JSON, nullable=False),
    Column("found_by", Text, server_default=text("''"), nullable=False),
)

tickets = Table(
    "tickets",
    metadata,
    Column("id", Text, primary_key=True),
    Column("owner", Text, nullable=False),
    Column("sha256", Text, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("expires_at", Double, nullable=False),
    Column("uploads", BigInteger, nullable=False),
    Column("max_size", BigInteger),
    Column("note", Text, nullable=False),
    Column("used", BigInteger, nullable=False),
    Column("revoked_at", Double),
    Column("shows", Text),
    Column("with_file", Boolean, nullable=False, server_default=text("false")),
    # Pages of lists, of all owners and of one.
    Index(None, "created_at", "id"),
    Index(None, "owner", "created_at", "id"),
    Index(None, "expires_at"),
)

installation = Table(
    "installation",
    metadata,
    Column("catalog", Text, primary_key=True),
    Column("storage", Text),
)

totals = Table(
    "totals",
    metadata,
    Column("name", Text, primary_key=True),
    Column("bytes", BigInteger, nullable=False),
)
