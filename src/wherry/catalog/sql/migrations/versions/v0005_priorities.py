"""The priority of an assessment, and the order in which workers begin those that wait."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

_WAITS_FOR_WORKER = sa.text("state = 'queued'")


def upgrade() -> None:
    # Every assessment that exists has the usual priority.
    rank = sa.Column("rank", sa.Integer, server_default=sa.text("0"), nullable=False)
    op.add_column("assessments", rank)
    op.create_index(
        "ix_assessments_waiting",
        "assessments",
        ["state", "rank", "created_at", "id"],
        sqlite_where=_WAITS_FOR_WORKER,
        postgresql_where=_WAITS_FOR_WORKER,
    )
