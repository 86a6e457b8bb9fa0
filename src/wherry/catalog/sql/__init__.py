"""The catalog in SQL: what every database has in common.

    tables         the tables and their indexes; `migrations` creates them
    session        statements on a connection of the driver, compiled once
    rows           values of `core` to rows, and back
    queries        what is read about single records and about the queue
    lists          what is read page by page
    counts         how many records there are in which state
    occupancy      what uploads take, counted on from change to change
    refresh        an upload that was read before, as it is now
    known          what a writer remembers between transactions
    unit_of_work   what one transaction has read and changed
    operations     the changes, as values; those of tickets are in `ticket_operations`
    tickets        what uploads use of tickets, counted at the end of a transaction
    grouping       the thread that has operations carried out in groups
    readers        the threads and connections of queries
    catalog        `SqlCatalog`: the port, in terms of all these

A backend brings the rest, as `wherry.catalog.sqlite` and `wherry.catalog.postgres` do:

- It connects, so that a commit survives power loss, and translates the driver's errors
  into `DiskFull` and `StorageFailed`.
- It runs `migrate` in a transaction that no other process can enter at the same time.
- It decides which operations share a transaction, and which transactions run at the same time.
  `UnitOfWork` takes row locks where it reads, for databases that have them. Operations that admit
  uploads must exclude each other.
- It decides what is remembered between transactions: SQLite tells whether another process has
  committed; most databases do not.
- It creates the triggers that keep `totals` (see `migrations`), in its own dialect.

Rule 1: nothing here names a database, apart from options of indexes and tables that other
databases ignore.
"""
