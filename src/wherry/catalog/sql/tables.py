"""The tables of the catalog, for SQLite and PostgreSQL alike.

Rule 1: one row a merged part and one a lease, and no column that every chunk
changes: parallel chunks of one upload do not write to a common row.

Rule 2: what is here and what the migrations make is the same; a test compares.

    uploads 1 ──── n parts         [start, end) and its CRC, neighbours merged
       │    1 ──── n leases        [start, end) and the request that has it
       └──  1 ── 0..1 assessments  the hand-off to the worker, and its report
    totals                         sums that would take long to add up
"""

from __future__ import annotations

from sqlalchemy import (
    DDL,
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
    event,
    false,
    text,
)
from sqlalchemy.engine import Dialect

_WRAP = 1 << 64


class Crc64(TypeDecorator[int]):
    """64 bits without a sign, in the signed integer that every database has."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: int | None, dialect: Dialect) -> int | None:
        return value - _WRAP if value is not None and value >= _WRAP >> 1 else value

    def process_result_value(self, value: int | None, dialect: Dialect) -> int | None:
        return value if value is None else value % _WRAP


#: Names that Alembic and we agree on, whatever the database would call them.
metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

# Conditions of indexes; they are used only for a statement that has the same words.
#: It stands in the line.
IS_IN_LINE = text("queued_at IS NOT NULL")
#: Complete, and its file is there.
IS_KEPT = text("state = 'complete' AND discarded_at IS NULL")
#: Complete, and its file is deleted or moved away.
IS_DISCARDED = text("discarded_at IS NOT NULL")

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
    Column("calls_lost", Integer, nullable=False, server_default="0"),
    Column("called_at", Double, nullable=False, server_default="0"),
    Column("is_named", Boolean, nullable=False, server_default=false()),
    Column("began_at", Double, nullable=False, server_default="0"),
    Column("call_is_orphaned", Boolean, nullable=False, server_default=false()),
    # The line, and nobody else: whether a column is NULL, a whole index would not tell at once.
    Index(None, "queued_at", sqlite_where=IS_IN_LINE),
    Index(None, "owner", "fingerprint"),
    # Lists, page by page: of everybody and of one owner. Of several states, one after the other.
    Index(None, "state", "created_at", "id"),
    Index(None, "owner", "state", "created_at", "id"),
    # What the sweep looks for: files that are there, and records of files that are gone.
    Index("ix_uploads_kept", "created_at", "id", sqlite_where=IS_KEPT),
    Index(None, "discarded_at", "id", sqlite_where=IS_DISCARDED),
)


def _of_upload(primary_key: bool = False) -> Column[str]:
    """A new column that says whose row it is; the row goes when its upload does."""
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
    Index(None, "upload_id", unique=True),
    Index(None, "state", "created_at", "id"),
)

totals = Table(
    "totals",
    metadata,
    Column("name", Text, primary_key=True),
    Column("bytes", BigInteger, nullable=False),
)

# The bytes of all files that are kept would have to be added up from everything there ever
# was. SQLite keeps their sum itself, in the transaction that changes it: nobody who writes
# can forget it.
for statement in (
    "INSERT INTO totals (name, bytes) VALUES ('kept', 0)",
    """
    CREATE TRIGGER kept_added AFTER INSERT ON uploads
    WHEN new.state = 'complete' AND new.discarded_at IS NULL BEGIN
        UPDATE totals SET bytes = bytes + coalesce(new.length, 0) WHERE name = 'kept';
    END
    """,
    """
    CREATE TRIGGER kept_removed AFTER DELETE ON uploads
    WHEN old.state = 'complete' AND old.discarded_at IS NULL BEGIN
        UPDATE totals SET bytes = bytes - coalesce(old.length, 0) WHERE name = 'kept';
    END
    """,
    """
    CREATE TRIGGER kept_changed AFTER UPDATE OF state, discarded_at, length ON uploads
    WHEN old.state = 'complete' OR new.state = 'complete' BEGIN
        UPDATE totals SET bytes = bytes
            + coalesce(new.length, 0) * (new.state = 'complete' AND new.discarded_at IS NULL)
            - coalesce(old.length, 0) * (old.state = 'complete' AND old.discarded_at IS NULL)
        WHERE name = 'kept';
    END
    """,
):
    made = DDL(statement).execute_if(dialect="sqlite")  # type: ignore[no-untyped-call]
    event.listen(metadata, "after_create", made)
