"""Indexes for lists in pages, and for what the sweep looks for."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

_IS_IN_LINE = sa.text("queued_at IS NOT NULL")
_IS_KEPT = sa.text("state = 'complete' AND discarded_at IS NULL")
_IS_DISCARDED = sa.text("discarded_at IS NOT NULL")


def upgrade() -> None:
    op.drop_index("ix_uploads_queued_at")
    op.create_index("ix_uploads_queued_at", "uploads", ["queued_at"], sqlite_where=_IS_IN_LINE)
    op.drop_index("ix_uploads_state_created_at")
    op.create_index("ix_uploads_state_created_at_id", "uploads", ["state", "created_at", "id"])
    op.create_index(
        "ix_uploads_owner_state_created_at_id", "uploads", ["owner", "state", "created_at", "id"]
    )
    op.create_index("ix_uploads_kept", "uploads", ["created_at", "id"], sqlite_where=_IS_KEPT)
    op.create_index(
        "ix_uploads_discarded_at_id", "uploads", ["discarded_at", "id"], sqlite_where=_IS_DISCARDED
    )
    op.drop_index("ix_assessments_state_created_at")
    op.drop_index("ix_assessments_owner")
    op.create_index(
        "ix_assessments_state_created_at_id", "assessments", ["state", "created_at", "id"]
    )
