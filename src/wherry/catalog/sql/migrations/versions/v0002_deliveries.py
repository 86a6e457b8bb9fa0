"""Deliveries of webhooks."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

_HAS_ENDED = sa.text("ended_at IS NOT NULL")


def upgrade() -> None:
    op.create_table(
        "deliveries",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("url", sa.Text, nullable=False),
        sa.Column("type", sa.Text, nullable=False),
        sa.Column("payload", sa.Text, nullable=False),
        sa.Column("date", sa.Double, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("due_at", sa.Double, nullable=False),
        sa.Column("token", sa.Text),
        sa.Column("ended_at", sa.Double),
        sa.Column("problem", sa.Text),
        sa.PrimaryKeyConstraint("id", name="pk_deliveries"),
    )
    op.create_index(
        "ix_deliveries_state_url_due_at_date_id",
        "deliveries",
        ["state", "url", "due_at", "date", "id"],
    )
    op.create_index("ix_deliveries_state_date_id", "deliveries", ["state", "date", "id"])
    op.create_index(
        "ix_deliveries_ended_at",
        "deliveries",
        ["ended_at"],
        sqlite_where=_HAS_ENDED,
        postgresql_where=_HAS_ENDED,
    )
