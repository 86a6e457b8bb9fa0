"""The version of an upload, by which PostgreSQL's writers know what they remember."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    version = sa.Column("version", sa.BigInteger, server_default=sa.text("0"), nullable=False)
    op.add_column("uploads", version)
