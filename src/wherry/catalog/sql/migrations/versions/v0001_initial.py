"""Uploads with their parts and leases, assessments, and the sum of the files that are kept."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_IS_QUEUED = sa.text("queued_at IS NOT NULL")
_IS_KEPT = sa.text("state = 'complete' AND discarded_at IS NULL")
_IS_DISCARDED = sa.text("discarded_at IS NOT NULL")

# To add up all files that are kept would take longer with every upload. Triggers keep the sum
# in the transaction that changes it, so that no change can miss it.
_TRIGGERS = (
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
)


def upgrade() -> None:
    _create_uploads()
    _create_ranges()
    _create_assessments()
    _create_totals()


def _create_uploads() -> None:
    op.create_table(
        "uploads",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("owner", sa.Text, nullable=False),
        sa.Column("filename", sa.Text, nullable=False),
        sa.Column("limit", sa.BigInteger, nullable=False),
        sa.Column("length", sa.BigInteger),
        sa.Column("chunk_size", sa.BigInteger, nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("content_type", sa.Text),
        sa.Column("fingerprint", sa.Text),
        sa.Column("digest", sa.Text),
        sa.Column("metadata", sa.JSON, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("completion_token", sa.Text),
        sa.Column("completion_until", sa.Double),
        sa.Column("slot_until", sa.Double, nullable=False),
        sa.Column("assessment_id", sa.Text),
        sa.Column("failure", sa.Text),
        sa.Column("discarded_at", sa.Double),
        sa.Column("queued_at", sa.Double),
        sa.Column("calls_lost", sa.Integer, nullable=False),
        sa.Column("called_at", sa.Double, nullable=False),
        sa.Column("call_is_orphaned", sa.Boolean, nullable=False),
        sa.Column("is_named", sa.Boolean, nullable=False),
        sa.Column("began_at", sa.Double, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_uploads"),
    )
    _index("uploads", "queued_at", sqlite_where=_IS_QUEUED)
    _index("uploads", "owner", "fingerprint")
    _index("uploads", "state", "created_at", "id")
    _index("uploads", "owner", "state", "created_at", "id")
    op.create_index("ix_uploads_kept", "uploads", ["created_at", "id"], sqlite_where=_IS_KEPT)
    _index("uploads", "discarded_at", "id", sqlite_where=_IS_DISCARDED)


def _create_ranges() -> None:
    op.create_table(
        "parts",
        sa.Column("upload_id", sa.Text, nullable=False),
        sa.Column("start", sa.BigInteger, autoincrement=False, nullable=False),
        sa.Column("end", sa.BigInteger, nullable=False),
        sa.Column("crc", sa.BigInteger, nullable=False),
        sa.Column("at", sa.Double, nullable=False),
        sa.PrimaryKeyConstraint("upload_id", "start", name="pk_parts"),
        _of_upload("parts"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "leases",
        sa.Column("upload_id", sa.Text, nullable=False),
        sa.Column("start", sa.BigInteger, autoincrement=False, nullable=False),
        sa.Column("end", sa.BigInteger, nullable=False),
        sa.Column("token", sa.Text, nullable=False),
        sa.Column("at", sa.Double, nullable=False),
        sa.PrimaryKeyConstraint("upload_id", "start", name="pk_leases"),
        _of_upload("leases"),
        sqlite_with_rowid=False,
    )


def _create_assessments() -> None:
    op.create_table(
        "assessments",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("upload_id", sa.Text, nullable=False),
        sa.Column("owner", sa.Text, nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("token", sa.Text),
        sa.Column("leased_until", sa.Double, nullable=False),
        sa.Column("steps", sa.JSON, nullable=False),
        sa.Column("finished_at", sa.Double),
        sa.Column("report", sa.JSON),
        sa.Column("problem", sa.Text),
        sa.PrimaryKeyConstraint("id", name="pk_assessments"),
        _of_upload("assessments"),
    )
    _index("assessments", "upload_id", unique=True)
    _index("assessments", "state", "created_at", "id")


def _create_totals() -> None:
    op.create_table(
        "totals",
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("bytes", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_totals"),
    )
    op.execute("INSERT INTO totals (name, bytes) VALUES ('kept', 0)")
    for trigger in _TRIGGERS:
        op.execute(trigger)


def _index(
    table: str, *columns: str, unique: bool = False, sqlite_where: sa.TextClause | None = None
) -> None:
    name = f"ix_{table}_{'_'.join(columns)}"
    op.create_index(name, table, list(columns), unique=unique, sqlite_where=sqlite_where)


def _of_upload(table: str) -> sa.ForeignKeyConstraint:
    name = f"fk_{table}_upload_id"
    return sa.ForeignKeyConstraint(["upload_id"], ["uploads.id"], name=name, ondelete="CASCADE")
