"""Tickets of guests, and which of them an upload was made with."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    op.create_table(
        "tickets",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("owner", sa.Text, nullable=False),
        sa.Column("sha256", sa.Text, nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("expires_at", sa.Double, nullable=False),
        sa.Column("uploads", sa.BigInteger, nullable=False),
        sa.Column("max_size", sa.BigInteger),
        sa.Column("note", sa.Text, nullable=False),
        sa.Column("used", sa.BigInteger, nullable=False),
        sa.Column("revoked_at", sa.Double),
        sa.PrimaryKeyConstraint("id", name="pk_tickets"),
    )
    op.create_index("ix_tickets_created_at_id", "tickets", ["created_at", "id"])
    op.create_index("ix_tickets_owner_created_at_id", "tickets", ["owner", "created_at", "id"])
    op.create_index("ix_tickets_expires_at", "tickets", ["expires_at"])
    op.add_column("uploads", sa.Column("ticket_id", sa.Text))
