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
_SQLITE_TRIGGERS = (
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
# In PostgreSQL, transactions run at the same time, and one row would let only one of them complete
# an upload. So there are 16 rows.
_POSTGRES_TRIGGERS = (
    """
    CREATE FUNCTION count_kept() RETURNS trigger LANGUAGE plpgsql AS $$
    DECLARE
        change bigint := 0;
    BEGIN
        IF TG_OP <> 'DELETE' THEN
            IF new.state = 'complete' AND new.discarded_at IS NULL THEN
                change := coalesce(new.length, 0);
            END IF;
        END IF;
        IF TG_OP <> 'INSERT' THEN
            IF old.state = 'complete' AND old.discarded_at IS NULL THEN
                change := change - coalesce(old.length, 0);
            END IF;
        END IF;
        IF change <> 0 THEN
            INSERT INTO totals (name, bytes)
            VALUES ('kept/' || mod(pg_backend_pid(), 16), change)
            ON CONFLICT (name) DO UPDATE SET bytes = totals.bytes + excluded.bytes;
        END IF;
        RETURN NULL;
    END
    $$
    """,
    """
    CREATE TRIGGER kept AFTER INSERT OR DELETE OR UPDATE OF state, discarded_at, length ON uploads
    FOR EACH ROW EXECUTE FUNCTION count_kept()
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
    _index("uploads", "queued_at", where=_IS_QUEUED)
    _index("uploads", "owner", "fingerprint")
    _index("uploads", "state", "created_at", "id")
    _index("uploads", "owner", "state", "created_at", "id")
    _index("uploads", "created_at", "id", where=_IS_KEPT, name="ix_uploads_kept")
    _index("uploads", "discarded_at", "id", where=_IS_DISCARDED)


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
    is_sqlite = op.get_bind().dialect.name == "sqlite"
    if is_sqlite:
        op.execute("INSERT INTO totals (name, bytes) VALUES ('kept', 0)")
    else:  # the deadline clock; with SQLite, it is in a file
        op.create_table(
            "beats",
            sa.Column("name", sa.Text, nullable=False),
            sa.Column("shown", sa.Double, nullable=False),
            sa.Column("at", sa.DateTime(timezone=True), nullable=False),
            sa.PrimaryKeyConstraint("name", name="pk_beats"),
        )
    for statement in _SQLITE_TRIGGERS if is_sqlite else _POSTGRES_TRIGGERS:
        op.execute(statement)


def _index(
    table: str,
    *columns: str,
    unique: bool = False,
    where: sa.TextClause | None = None,
    name: str | None = None,
) -> None:
    name = name or f"ix_{table}_{'_'.join(columns)}"
    op.create_index(
        name, table, list(columns), unique=unique, sqlite_where=where, postgresql_where=where
    )


def _of_upload(table: str) -> sa.ForeignKeyConstraint:
    name = f"fk_{table}_upload_id"
    return sa.ForeignKeyConstraint(["upload_id"], ["uploads.id"], name=name, ondelete="CASCADE")
