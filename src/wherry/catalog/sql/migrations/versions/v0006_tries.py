"""How many workers in a row have begun an assessment and not come back."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    tries = sa.Column("tries", sa.Integer, server_default=sa.text("0"), nullable=False)
    op.add_column("assessments", tries)
