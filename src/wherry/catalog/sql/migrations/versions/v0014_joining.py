"""Uploads that are pieces, or are joined from pieces."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    op.add_column("uploads", sa.Column("joining", sa.JSON))
