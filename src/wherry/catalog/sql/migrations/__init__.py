"""How the tables are created and changed, as Alembic revisions in `versions/`.

Rule 1: all revisions that are missing run in one transaction of the caller's, which keeps
other processes out. Of processes that start at once, one runs them, and the others find
them done.

Rule 2: Alembic needs no configuration file and changes no logging. The version table has a
name of its own, because the default one would collide with that of an application that
shares the database.
"""

from __future__ import annotations

from threading import Lock

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection

VERSION_TABLE = "wherry_alembic_version"
LOCATION = "wherry.catalog.sql:migrations"

# Alembic keeps the migration that is running in module globals.
_one_at_a_time = Lock()


def migrate(connection: Connection, location: str = LOCATION) -> None:
    """Bring the tables up to date, in the transaction that `connection` has open.

    `location`: the folder or package with `env.py` and `versions/`.
    Raises `alembic.util.CommandError` if the tables are newer than this Wherry.
    """
    config = Config()
    config.set_main_option("script_location", location)
    with _one_at_a_time:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        # A crash here leaves the database unchanged: nothing is committed yet.
