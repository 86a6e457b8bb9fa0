"""Whose request was the first to name a public host."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    finder = sa.Column("found_by", sa.Text, server_default=sa.text("''"), nullable=False)
    op.add_column("paths", finder)
