"""How the tables came to be, as Alembic revisions in `versions/`.

Rule 1: all that is missing is done in one transaction that holds the write
lock from its first statement. Of processes that start at once, one does it and
the others find it done.

Rule 2: Alembic needs no file of the operator's and touches no logging. Our
version table has a name of its own, because the default would collide with the
one of an application that shares the database.
"""

from __future__ import annotations

from threading import Lock

from alembic import command
from alembic.config import Config
from sqlalchemy import Engine

from wherry.catalog.sqlite import writing

VERSION_TABLE = "wherry_alembic_version"

# Alembic keeps the migration that is running in module globals.
_one_at_a_time = Lock()


def migrate(engine: Engine, revision: str = "head") -> None:
    """Bring the tables up to date, or to a revision before that.

    Raises `alembic.util.CommandError` if they are newer.
    """
    config = Config()
    config.set_main_option("script_location", "wherry.catalog:migrations")
    with _one_at_a_time, writing(engine) as connection, connection.begin():
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
        # A crash here leaves the database as it was.
