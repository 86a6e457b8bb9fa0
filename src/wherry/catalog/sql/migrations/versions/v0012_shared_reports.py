"""Tickets that show the report of an upload, and whether they show its file."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    op.add_column("tickets", sa.Column("shows", sa.Text))
    with_file = sa.Column("with_file", sa.Boolean, server_default=sa.text("false"), nullable=False)
    op.add_column("tickets", with_file)
