"""When an upload came, or was let in last, by the clock of deadlines."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.add_column("uploads", sa.Column("began_at", sa.Double, nullable=False, server_default="0"))
    op.execute("UPDATE uploads SET began_at = created_at")
