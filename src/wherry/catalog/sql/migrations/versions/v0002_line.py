"""The waiting line."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.add_column("uploads", sa.Column("queued_at", sa.Double))
    op.create_index("ix_uploads_queued_at", "uploads", ["queued_at"])
