"""What passes on the way to each public host."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    op.create_table(
        "paths",
        sa.Column("host", sa.Text, nullable=False),
        sa.Column("seen_at", sa.Double, nullable=False),
        sa.Column("passes", sa.BigInteger, nullable=False),
        sa.Column("passed_at", sa.Double, nullable=False),
        sa.Column("reports", sa.JSON, nullable=False),
        sa.PrimaryKeyConstraint("host", name="pk_paths"),
    )
