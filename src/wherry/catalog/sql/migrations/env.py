"""Run by Alembic, inside the transaction that `migrate` has opened."""

from __future__ import annotations

from alembic import context

from wherry.catalog.sql.migrations import VERSION_TABLE
from wherry.catalog.sql.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table=VERSION_TABLE,
)
context.run_migrations()
