"""Uploads with their parts and leases, and assessments."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    _create_uploads()
    _create_ranges()
    _create_assessments()


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
        sa.PrimaryKeyConstraint("id", name="pk_uploads"),
    )
    op.create_index("ix_uploads_state_created_at", "uploads", ["state", "created_at"])
    op.create_index("ix_uploads_owner_fingerprint", "uploads", ["owner", "fingerprint"])


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
    op.create_index("ix_assessments_upload_id", "assessments", ["upload_id"], unique=True)
    op.create_index("ix_assessments_state_created_at", "assessments", ["state", "created_at"])
    op.create_index("ix_assessments_owner", "assessments", ["owner"])


def _of_upload(table: str) -> sa.ForeignKeyConstraint:
    name = f"fk_{table}_upload_id"
    return sa.ForeignKeyConstraint(["upload_id"], ["uploads.id"], name=name, ondelete="CASCADE")
