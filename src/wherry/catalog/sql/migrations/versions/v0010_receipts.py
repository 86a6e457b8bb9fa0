"""When an upload became complete, and the SHA-256 of its file, for receipts."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    op.add_column("uploads", sa.Column("completed_at", sa.Double))
    op.add_column("uploads", sa.Column("sha256", sa.Text))
