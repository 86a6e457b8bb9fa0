"""How the tables are created and changed, as Alembic revisions in `versions/`.

Rule 1: all revisions that are missing run in one transaction of the caller's, which keeps
other processes out. Of processes that start at once, one runs them, and the others find
them done.

Rule 2: Alembic needs no configuration file and changes no logging. The version table has a
name of its own, because the default one would collide with that of an application that
shares the database.

Rule 3: tables that are up to date need no Alembic. A server would hold 10 MB of it in memory.
"""

from __future__ import annotations

from threading import Lock

from sqlalchemy import Connection, inspect, text

#: The newest revision in `versions/`.
HEAD = "0014"
VERSION_TABLE = "wherry_alembic_version"
LOCATION = "wherry.catalog.sql:migrations"
_NEWER = (
    "a newer Wherry has changed the tables of the catalog (revision {version}; this one knows "
    f"those up to {HEAD}). Nothing was changed now. Install the newer Wherry again, or restore a "
    "backup of the catalog from before the upgrade"
)

# Alembic keeps the migration that is running in module globals.
_one_at_a_time = Lock()


def migrate(connection: Connection, location: str = LOCATION) -> None:
    """Bring the tables up to date, in the transaction that `connection` has open.

    `location`: the folder or package with `env.py` and `versions/`.
    Raises `RuntimeError` if a newer Wherry has changed the tables.
    """
    version = _version_of(connection) if location == LOCATION else None
    if version == HEAD:
        return
    if version is not None and version > HEAD:
        raise RuntimeError(_NEWER.format(version=version))
    from alembic import command  # noqa: PLC0415
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", location)
    with _one_at_a_time:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        # A crash here leaves the database unchanged: nothing is committed yet.


def _version_of(connection: Connection) -> str | None:
    """The revision of the tables; None where there are none."""
    if not inspect(connection).has_table(VERSION_TABLE):
        return None
    found = connection.execute(text(f"SELECT version_num FROM {VERSION_TABLE}"))  # noqa: S608
    return found.scalar_one_or_none()
