"""Whether the process that made the last call of a hook no longer completes the upload."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    column = sa.Column("call_is_orphaned", sa.Boolean, nullable=False, server_default=sa.false())
    op.add_column("uploads", column)
