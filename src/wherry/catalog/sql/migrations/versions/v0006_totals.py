"""The sum of the bytes of all files that are kept, as triggers keep it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

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
    op.create_table(
        "totals",
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("bytes", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_totals"),
    )
    op.execute(
        "INSERT INTO totals (name, bytes) SELECT 'kept', coalesce(sum(length), 0) "
        "FROM uploads WHERE state = 'complete' AND discarded_at IS NULL"
    )
    for trigger in _TRIGGERS:
        op.execute(trigger)
