"""The catalog in SQL: what every database has in common.

    tables         the tables and their indexes; `migrations` creates them
    session        statements on a connection of the driver, compiled once
    rows           values of `core` to rows, and back
    queries        what is read about single records and about the queue
    lists          what is read page by page
    counts         how many records there are in which state
    occupancy      what uploads take, counted on from change to change
    refresh        an upload that was read before, as it is now
    unit_of_work   what one transaction has read and changed
    operations     the changes, as values
    catalog        `SqlCatalog`: the port, in terms of all these

A backend brings the rest, as `wherry.catalog.sqlite` does:

- It connects, so that a commit survives power loss, and translates the driver's errors
  into `DiskFull` and `StorageFailed`.
- It runs `migrate` in a transaction that no other process can enter at the same time.
- It decides how operations become transactions: SQLite has one writer, so one thread commits
  them in groups; a database with many writers can give each a transaction, and then takes
  row locks where `UnitOfWork` reads.
- It decides what is remembered between transactions, if anything: SQLite tells whether
  another process has committed; most databases do not.
- It creates the triggers that keep `totals` (see `migrations`), in its own dialect.

Rule 1: nothing here names a database, apart from options of indexes and tables that other
databases ignore.
"""
