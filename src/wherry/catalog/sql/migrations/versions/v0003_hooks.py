"""Calls of the application's hooks, and whether a file has its final name."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.add_column(
        "uploads", sa.Column("calls_lost", sa.Integer, nullable=False, server_default="0")
    )
    op.add_column("uploads", sa.Column("called_at", sa.Double, nullable=False, server_default="0"))
    op.add_column(
        "uploads", sa.Column("is_named", sa.Boolean, nullable=False, server_default=sa.false())
    )
