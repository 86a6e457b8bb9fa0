"""A storage, a catalog and locks in memory, for tests that need no disk.

They pass the contract suites (`check_storage`, `check_catalog`, `check_locks`). What they hold
ends with the process.

    from wherry.testing.memory.catalog import MemoryCatalog
    from wherry.testing.memory.locks import MemoryLocks
    from wherry.testing.memory.storage import MemoryStorage
"""
