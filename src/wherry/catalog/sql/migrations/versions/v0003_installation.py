"""Which storage belongs to this catalog."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.create_table(
        "installation",
        sa.Column("catalog", sa.Text, nullable=False),
        sa.Column("storage", sa.Text),
        sa.PrimaryKeyConstraint("catalog", name="pk_installation"),
    )
