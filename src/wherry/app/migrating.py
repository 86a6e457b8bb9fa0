"""What `wherry migrate` does: it prepares the catalog, or moves it to PostgreSQL."""

from __future__ import annotations

import errno

from wherry.app.backends import MOVED, catalog_file, open_catalog, open_clock
from wherry.app.checking import saying_what_to_do
from wherry.deadline_clock import FileBeats
from wherry.settings import Settings
from wherry.storage.localfile import sync_folder


async def prepare(settings: Settings) -> None:
    """Bring the tables up to date. Raises as `open_catalog` does."""
    with saying_what_to_do(settings):
        catalog = open_catalog(settings)
    await catalog.close()


def move(settings: Settings) -> dict[str, int]:
    """Move all records from the data folder into the database; how many of each kind.

    The files stay where they are. Blocks. Raises `ValueError` for settings of no use,
    `RuntimeError` while a server, a worker or another command has the catalog open, `OSError`.
    """
    if settings.database is None:
        raise ValueError("name the database that gets the records, with --database")
    if settings.storage is not None:
        raise ValueError(
            "this moves records, and no files: those that are in the data folder would be missing "
            "in the bucket. Leave `storage` out"
        )
    path = catalog_file(settings)
    if not path.exists():
        raise FileNotFoundError(errno.ENOENT, "there are no records to move", str(path))
    from wherry.catalog.postgres.moving import move_records  # noqa: PLC0415

    def put_away() -> None:
        _move_clock(settings)
        # A server that starts without the setting `database` refuses to do without a catalog. It
        # would otherwise go on with records that the others do not see.
        path.rename(path.with_name(MOVED))
        sync_folder(path.parent)

    with saying_what_to_do(settings):
        return move_records(path, settings.database, put_away)


def _move_clock(settings: Settings) -> None:
    """Have the deadline clock go on from where it is."""
    old = FileBeats.open_to_read(settings.data / "served.clock")
    new = open_clock(settings, is_served=True)
    try:
        if (beat := old.read()) is not None:
            new.start(beat.shown, beat.shown)
            new.beat()
    finally:
        old.close()
        new.close()
